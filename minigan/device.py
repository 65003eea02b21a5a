"""Where arrays live and are computed on: the CPU's memory, a GPU's, or that of the emulated GPU.

The type of an array says where it lives, so nothing above the kernels asks for a device but to move arrays there::

    gpu = device.get("gpu")
    g.to(gpu)                                    # a Module's parameters and buffers
    y = g(Tensor(gpu.upload(z)))                 # y lives on the GPU
    device.of(y.data).upload(targets)            # beside y, wherever that is
"""

import difflib
from functools import cache

import numpy as np

from . import kernels
from .kernels.gpu import runtime
from .kernels.gpu.runtime import DeviceError

NAMES = ("cpu", "gpu", "emulated")

__all__ = [
    "CPU",
    "NAMES",
    "Device",
    "DeviceError",
    "Generator",
    "array_types",
    "choose",
    "download",
    "get",
    "of",
    "seed",
    "unavailable",
]


class Device:
    """A place for arrays; :func:`get` and :func:`of` return the one of its name.

    Attributes
    ----------
    name : {"cpu", "gpu", "emulated"}
    runtime : Runtime or None
        What launches kernels there (see :mod:`minigan.kernels.gpu.runtime`); None on the CPU.
    """

    def __init__(self, name, runtime):
        self.name, self.runtime = name, runtime

    def upload(self, array, dtype=None):
        """Return the array in this device's memory: as it is, if it is there and has that dtype.

        Parameters
        ----------
        array : array_like
            Of any device, or what ``numpy.asarray`` takes.
        dtype : optional
        """
        if of(array) is self and hasattr(array, "dtype"):
            return array if dtype is None else array.astype(dtype, copy=False)
        host = np.asarray(download(array) if hasattr(array, "get") else array, dtype)
        return host if self.runtime is None else self.runtime.upload(host)

    def generator(self, rng):
        """Return a source of random numbers that draws in this device's memory: on the CPU ``rng`` itself.

        Parameters
        ----------
        rng : numpy.random.Generator
            Gives a :class:`Generator` its seed, and is not advanced by it.
        """
        if self.runtime is None:
            return rng
        return Generator(seed(rng), self)

    def describe(self):
        """What computes there, in a line."""
        return "the CPU" if self.runtime is None else self.runtime.describe()

    def __repr__(self):
        return f"Device({self.name!r})"


CPU = Device("cpu", None)


@cache
def get(name):
    """Return the device of that name.

    Raises
    ------
    ValueError
        For an unknown name; offers the near ones.
    DeviceError
        Where it cannot be used; says why, and what to do about it.
    """
    if name not in NAMES:
        near = difflib.get_close_matches(str(name), NAMES, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"device: expected {', '.join(NAMES[:-1])} or {NAMES[-1]}, got {name!r}{hint}")
    if name == "cpu":
        return CPU
    _in_use.append(Device(name, runtime.get(name)))
    return _in_use[-1]


_in_use = []  # the devices besides the CPU that were asked for, or whose arrays were seen


def array_types():
    """The types of arrays that there are: NumPy's, and those of the devices in use."""
    return (np.ndarray, *(place.runtime.array_type for place in _in_use))


def choose(name="auto"):
    """Return the device of that name and a remark: "auto" is the GPU where one works, else the CPU, and why it is that.

    Returns
    -------
    device : Device
    remark : str
        Empty for a device that was asked for by name.
    """
    if name != "auto":
        return get(name), ""
    reason = unavailable("gpu")
    return (CPU, reason) if reason else (get("gpu"), "")


def unavailable(name):
    """None, or why the device of that name cannot be used, and what to do about it."""
    return None if name == "cpu" else runtime.unavailable(name)


def of(array):
    """Return the device that an array lives on; the CPU for what is no array of a device."""
    return _of_type(type(array))


@cache
def _of_type(array_type):
    found = runtime.of_type(array_type)
    return CPU if found is None else get(found.name)


def download(array):
    """Copy an array of any device to a NumPy array."""
    return array.get() if hasattr(array, "get") else np.array(array)


def seed(rng):
    """The number that seeds a :class:`Generator` in the place of a numpy.random.Generator, which is not advanced."""
    return int(rng.bit_generator.seed_seq.generate_state(1, np.uint64)[0])


class Generator:
    """Random numbers drawn in a device's memory, by the methods of numpy.random.Generator that training needs.

    Counter-based (Philox; see :mod:`minigan.kernels.spec`, family random): the state is a key and a counter, which lie
    in the device's memory, so that a captured graph draws other numbers at each launch. The same state gives the same
    numbers on every device, normal ones up to rounding; on the CPU this is another source than NumPy's.

    Parameters
    ----------
    key : int
        The seed, below 2^64.
    device : Device
    """

    def __init__(self, key, device):
        self._state = device.upload(np.array([key, 0], np.uint64))

    @property
    def state(self):
        """Key and counter, a pair of ints; setting it goes on from there."""
        return tuple(download(self._state).tolist())

    @state.setter
    def state(self, pair):
        self._state[...] = of(self._state).upload(np.array(pair, np.uint64))

    def standard_normal(self, shape, dtype=np.float32):
        """N(0, 1), float32."""
        return kernels.random_normal_(self._state, shape).astype(dtype, copy=False)

    def uniform(self, low, high, shape):
        """U(low, high), float32."""
        return kernels.random_uniform_(self._state, shape, low, high)

    def random(self, shape, dtype=np.float32):
        """U(0, 1), float32."""
        return self.uniform(0.0, 1.0, shape).astype(dtype, copy=False)

    def integers(self, high, *, size):
        """Integers of [0, high), each as likely to within high / 2^23, int32."""
        return (self.uniform(0.0, 1.0, (size,)) * high).astype(np.int32)

    def permutation(self, n):
        """The integers of [0, n) in a random order."""
        return np.argsort(self.uniform(0.0, 1.0, (n,)))

    def categorical(self, n, classes):
        """n one-hot rows, each class as likely, float32 (n, classes)."""
        return kernels.random_categorical_(self._state, n, classes)
