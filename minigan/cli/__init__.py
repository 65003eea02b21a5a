"""The command line, one file per group of commands: ``minigan train``, ``minigan sample`` and the rest of COMMANDS.

``python -m minigan`` does the same.
"""

from .main import COMMANDS, main
from .train import TrainingFailed

__all__ = ["COMMANDS", "TrainingFailed", "main"]
