"""The exceptions of the emulator."""


class EmulatorError(RuntimeError):
    """A kernel did what it must not, or what the emulator cannot do; names the kernel, the source line, the thread."""


class Unsupported(EmulatorError):
    """What the emulator cannot do, or does not know, and a GPU may: no fault of the kernel."""
