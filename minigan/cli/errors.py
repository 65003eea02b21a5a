"""The errors that are reported to the user in one line, without a traceback."""

from ..device import DeviceError

USER_ERRORS = (ValueError, OSError, FloatingPointError, MemoryError, DeviceError)
