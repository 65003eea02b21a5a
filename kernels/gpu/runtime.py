"""What runs a kernel: a GPU through CuPy, or the emulator. One small interface, chosen by the type of the arrays."""

from functools import cache
from importlib import import_module
from pathlib import Path

SOURCES = Path(__file__).parent
RUNTIMES = {"gpu": "cupy_runtime", "emulated": "emulated_runtime"}  # name -> module that defines RUNTIME


class DeviceError(RuntimeError):
    """A device that is not here or cannot be used; the message says why, and what to do about it."""


class Runtime:
    """What a device can do; :class:`~.cupy_runtime.CupyRuntime` and :class:`~.emulated_runtime.EmulatedRuntime` do it.

    Attributes
    ----------
    name : str
        "gpu" or "emulated".
    array_type : type
        Of the arrays that live there. They know NumPy's functions (``numpy.sqrt(x)``), ``get()``, and ``set(array)``.
    """

    name = None
    array_type = None

    def upload(self, array):
        """Copy a NumPy array to the device."""
        raise TypeError(f"{type(self).__name__} defines no upload")

    def empty(self, shape, dtype):
        """Allocate a C-contiguous array; what it holds is not defined."""
        raise TypeError(f"{type(self).__name__} defines no empty")

    def free_bytes(self):
        """How much memory is left there."""
        raise TypeError(f"{type(self).__name__} defines no free_bytes")

    def describe(self):
        """What computes there, in a line."""
        raise TypeError(f"{type(self).__name__} defines no describe")

    def function(self, source, instance):
        """Compile an instance of a kernel of ``<source>.cu``, or take it from the cache.

        Parameters
        ----------
        source : str
            Name of a file of this folder, without its suffix.
        instance : str
            Name of a kernel, with its template arguments: ``"conv2d_tiles<32, 8>"``.

        Returns
        -------
        Function
        """
        raise TypeError(f"{type(self).__name__} defines no function")

    def capture(self, step):
        """Call ``step()`` while recording all that it does on the device, without doing it.

        Returns
        -------
        Graph
            Its ``launch()`` does all of it, each time; its ``result`` is what ``step`` returned: arrays that each
            launch writes anew; its ``write(array, host)`` overwrites an array of the device between launches.

        Raises
        ------
        RuntimeError
            For a step that waits for the device or reads from it, and where its memory does not suffice. Run the step
            before, so that all is compiled.
        """
        raise TypeError(f"{type(self).__name__} defines no capture")

    def synchronize(self):
        """Wait until the device has done everything that it was asked to."""


@cache
def get(name):
    """The runtime of that name, "gpu" or "emulated".

    Raises
    ------
    DeviceError
        Where it cannot be used; says why.
    """
    module = import_module(f"{__package__}.{RUNTIMES[name]}")
    if reason := module.unavailable():
        raise DeviceError(reason)
    return module.RUNTIME


def unavailable(name):
    """None, or why the runtime of that name cannot be used."""
    return import_module(f"{__package__}.{RUNTIMES[name]}").unavailable()


@cache
def of_type(array_type):
    """The runtime whose arrays have this type; None for NumPy's and for others."""
    if array_type.__module__.partition(".")[0] == "cupy":
        return get("gpu")
    runtime = getattr(array_type, "runtime", None)  # the emulator's arrays carry theirs
    return runtime if isinstance(runtime, Runtime) else None
