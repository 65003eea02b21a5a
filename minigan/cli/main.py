"""The entry point: runs the command, and reports the user's errors in one line instead of a traceback.

Exit status: 0 for success; 1 for a training that failed after it had started, and for a fault that ``kernels check``
found; 2 for any other error; 130 after Ctrl-C. ``--debug``, with any command, shows the traceback.
"""

import os
import sys
import warnings
from importlib import import_module

from .. import __version__
from ..near import near
from .errors import USER_ERRORS
from .train import TrainingFailed

COMMANDS = {
    "train": "train",
    "step": "step",
    "sample": "sample",
    "eval": "evaluation",
    "compare": "study",
    "classify": "study",
    "doctor": "study",
    "inpaint": "study",
    "traverse": "study",
    "presets": "listings",
    "data": "listings",
    "kernels": "kernels",
    "info": "listings",
}
"""The module of each command, imported on use; its ``run(command, arguments)`` returns the exit status."""

HELP = """\
usage: minigan COMMAND ...

Generative adversarial networks from the ground up.

  train PRESET    train a system by name, with its source's networks and hyperparameters; or resume a run
  sample RUN      draw samples from a trained generator
  eval RUN        measure the quality of its samples
  step PRESET     take one training step of a preset or a run, and show every number in it
  doctor RUN      check a training for known ways to fail
  compare RUN...  show the samples and scores of several runs side by side
  classify RUN    tell which category unseen digits belong to
  inpaint RUN     fill in the hidden part of images
  traverse RUN    draw images as a code, or another latent value, changes
  presets [NAME]  list the presets, or show the networks of one
  data            list the data sets, and where to get those that are missing
  kernels         list the kernels and their variants; kernels check runs a CUDA kernel of yours without a GPU
  info            versions, threads and folders, for a bug report

  minigan COMMAND --help  lists all options; --debug, with any command, shows the traceback of an error
"""


def main(arguments=None):
    """Run the command line; returns the exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in arguments or os.environ.get("MINIGAN_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: print(f"minigan: {message}", file=sys.stderr)
            status = _run(arguments)
        if sys.stdout is not None:  # as it is after >&-
            sys.stdout.flush()  # at the interpreter's exit a broken pipe would be an error
        return status
    except KeyboardInterrupt:
        print("minigan: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        sys.stdout = None
        return 0
    except TrainingFailed as failed:
        if debug:
            raise
        return _complain(failed.__cause__, 1, str(failed))
    except USER_ERRORS as error:
        if debug:
            raise
        return _complain(error, 2)


def _run(arguments):
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if arguments[0] == "--version":
        print(f"minigan {__version__}")
        return 0
    name, *rest = arguments
    if name not in COMMANDS:
        raise ValueError(f"unknown command {name!r}; {near(name, COMMANDS)}")
    return import_module(f".{COMMANDS[name]}", __package__).run(name, rest)


def _complain(error, status, hint=""):
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = ": ".join(str(part) for part in (error.filename, error.strerror) if part)
    if isinstance(error, MemoryError):
        text = f"not enough memory; a smaller --batch, --n or --rows needs less. {text}"
    print(f"minigan: error: {text}{hint}", file=sys.stderr)
    return status
