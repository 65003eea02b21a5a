"""The one exception of the emulator."""


class EmulatorError(RuntimeError):
    """A kernel did what it must not, or what the emulator cannot do; names the kernel, the source line, the thread."""
