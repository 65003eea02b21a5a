"""``minigan kernels``: list the kernels; ``minigan kernels check``: run one of the user's own."""

from . import kernel_check, listings


def run(command, arguments):
    """List the kernels, or check one of the user's own; returns the exit status."""
    if arguments[:1] == ["check"]:
        return kernel_check.check(arguments[1:])
    return listings.run(command, arguments)
