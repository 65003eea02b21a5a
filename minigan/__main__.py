"""The way into the command line, for the script and ``python -m minigan``: Ctrl-C while it loads is no traceback."""

import sys


def main():
    """Run the command line; returns the exit status."""
    try:
        from .cli import main

        return main()
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
