"""Devices, where arrays live and computation runs: the CPU, a GPU, or the emulated GPU.

The type of an array says where it lives, so above the kernels a device is only needed to move arrays to it::

    gpu = device.get("gpu")
    g.to(gpu)                                    # a Module's parameters and buffers
    y = g(Tensor(gpu.upload(z)))                 # y lives on the GPU
    device.of(y.data).upload(targets)            # to y's device, whichever that is
"""

from functools import cache

import numpy as np

from . import kernels
from .kernels.gpu import runtime
from .kernels.gpu.runtime import DeviceError
from .near import near

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
    """A place for arrays; :func:`get` and :func:`of` return the one instance for each name.

    Attributes
    ----------
    name : {"cpu", "gpu", "emulated"}
    runtime : Runtime or None
        What launches kernels there (see :mod:`minigan.kernels.gpu.runtime`); None on the CPU.
    """

    def __init__(self, name, runtime):
        self.name, self.runtime = name, runtime

    def upload(self, array, dtype=None):
        """Return the array in this device's memory; without a copy if it is already there with that dtype.

        Parameters
        ----------
        array : array_like
            An array of any device, or anything that ``numpy.asarray`` accepts.
        dtype : optional
        """
        if of(array) is self and hasattr(array, "dtype"):
            return array if dtype is None else array.astype(dtype, copy=False)
        host = np.asarray(download(array) if hasattr(array, "get") else array, dtype)
        return host if self.runtime is None else self.runtime.upload(host)

    def generator(self, rng):
        """Return a source of random numbers that draws in this device's memory; on the CPU, ``rng`` itself.

        Parameters
        ----------
        rng : numpy.random.Generator
            Seeds the :class:`Generator`, and is not advanced by that.
        """
        if self.runtime is None:
            return rng
        return Generator(seed(rng), self)

    def describe(self):
        """One line on the hardware that computes there."""
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
        For an unknown name; close names are suggested.
    DeviceError
        If the device cannot be used; says why, and what to do about it.
    """
    if name not in NAMES:
        raise ValueError(f"device: unknown {name!r}; {near(name, NAMES)}")
    if name == "cpu":
        return CPU
    _in_use.append(Device(name, runtime.get(name)))
    return _in_use[-1]


_in_use = []  # the devices other than the CPU that were asked for, or whose arrays were seen


def array_types():
    """All array types: NumPy's, and those of the devices in use."""
    return (np.ndarray, *(place.runtime.array_type for place in _in_use))


def choose(name="auto"):
    """Return the device of that name, and a remark; "auto" is the GPU if one works, else the CPU.

    Returns
    -------
    device : Device
    remark : str
        Why "auto" chose the CPU; otherwise empty.
    """
    if name != "auto":
        return get(name), ""
    reason = unavailable("gpu")
    return (CPU, reason) if reason else (get("gpu"), "")


def unavailable(name):
    """Why the device of that name cannot be used, and what to do about it; None if it can."""
    return None if name == "cpu" else runtime.unavailable(name)


def of(array):
    """Return the device that an array lives on; the CPU for anything that is not a device array."""
    return _of_type(type(array))


@cache
def _of_type(array_type):
    found = runtime.of_type(array_type)
    return CPU if found is None else get(found.name)


def download(array):
    """Copy an array of any device to a NumPy array."""
    return array.get() if hasattr(array, "get") else np.array(array)


def seed(rng):
    """The seed of the :class:`Generator` that replaces a numpy.random.Generator, which is not advanced."""
    return int(rng.bit_generator.seed_seq.generate_state(1, np.uint64)[0])


class Generator:
    """Random numbers drawn in a device's memory, with the methods of numpy.random.Generator that training needs.

    Counter-based (Philox; see :mod:`minigan.kernels.spec`, family random): the state, a key and a counter, lies in the
    device's memory, so that a captured graph draws new numbers at each launch. The same state gives the same numbers
    on every device, normal ones up to rounding; they are not those of NumPy's generators.

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
        """The key and the counter, a pair of ints; assign one to continue from it."""
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
        """Integers in [0, high), int32; their probabilities are equal up to a relative error of high / 2^23."""
        return (self.uniform(0.0, 1.0, (size,)) * high).astype(np.int32)

    def permutation(self, n):
        """The integers in [0, n) in random order."""
        return np.argsort(self.uniform(0.0, 1.0, (n,)))

    def categorical(self, n, classes):
        """n one-hot rows of equally likely classes, float32 (n, classes)."""
        return kernels.random_categorical_(self._state, n, classes)
