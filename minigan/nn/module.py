"""The base class of layers and networks.

A module's parameters are the tensors among its attributes, its buffers the arrays, its children the modules, also
within lists: nothing has to be registered.
"""

from .. import device
from ..autograd import Tensor
from ..communicator import ALONE
from ..states import check_fits


class Module:
    """A callable with parameters.

    A subclass assigns its parts to attributes in ``__init__`` and defines ``__call__``. A layer that knows its output
    shape also defines ``out_shape``, which :class:`.Sequential` prints.

    Attributes
    ----------
    training : bool
        Whether batch normalisation uses batch statistics (and updates its running averages).
    takes_slope : bool
        Whether ``module(x, slope)`` applies a leaky ReLU to its result in the same pass over memory.
    communicator : Communicator
        Joins the processes whose batches together form the module's batch; see :mod:`minigan.training.parallel`.
    """

    training = True
    takes_slope = False
    communicator = ALONE

    def _parts(self):
        for name, value in vars(self).items():
            yield from _spread(name, value)

    def _named(self, kind, prefix=""):
        for name, part in self._parts():
            if isinstance(part, kind):
                yield prefix + name, part
            elif isinstance(part, Module):
                yield from part._named(kind, f"{prefix}{name}.")

    def _named_once(self, kind):
        """Named parts, each once: what several layers share has its first name, and is trained and counted once."""
        first = {}
        for name, part in self._named(kind):
            first.setdefault(id(part), (name, part))
        return list(first.values())

    def modules(self):
        """This module and all below it, in the order of construction."""
        yield self
        for _, part in self._parts():
            if isinstance(part, Module):
                yield from part.modules()

    def named_parameters(self):
        """Pairs (dotted name, Tensor), in the order of construction."""
        return self._named_once(Tensor)

    def parameters(self):
        """All parameters, in the order of construction."""
        return [parameter for _, parameter in self.named_parameters()]

    def named_buffers(self):
        """Pairs (dotted name, array): state that is not trained, such as running averages."""
        return self._named_once(device.array_types())

    def name_parameters_(self, name):
        """Name each parameter ``name`` plus its dotted name, for errors and watchers; return the module."""
        for dotted, parameter in self.named_parameters():
            parameter.name = f"{name}.{dotted}"
        return self

    def train(self, mode=True):
        """Switch this module and its descendants to training (or inference) mode; return the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Switch to inference mode; return the module."""
        return self.train(False)

    def astype(self, dtype):
        """Convert all parameters and buffers to float32 or float64; return the module."""
        return self.replace_arrays_(lambda array: array.astype(dtype))

    def to(self, place):
        """Move all parameters and buffers to a Device (see :mod:`minigan.device`); return the module."""
        return self.replace_arrays_(place.upload)

    @property
    def device(self):
        """The Device of its parameters; the CPU if it has none."""
        first = next(self._named(Tensor), None)
        return device.CPU if first is None else device.of(first[1].data)

    def replace_arrays_(self, change):
        """Replace the array of each parameter and buffer by ``change(array)``; return the module."""
        for parameter in self.parameters():
            parameter.data = change(parameter.data)
        for module in self.modules():
            for name, part in list(vars(module).items()):
                setattr(module, name, _changed(part, change))
        return self

    def state_dict(self):
        """Copies of all parameters and buffers in host memory: dotted name -> NumPy array."""
        state = {name: device.download(parameter.data) for name, parameter in self.named_parameters()}
        return state | {name: device.download(buffer) for name, buffer in self.named_buffers()}

    def load_state_dict(self, state):
        """Load parameters and buffers from a state_dict.

        Raises
        ------
        ValueError
            If an entry is missing, unexpected or misshapen; lists all of them, and loads nothing.
        """
        parameters, buffers = dict(self.named_parameters()), dict(self.named_buffers())
        check_fits(self, parameters | buffers, state)
        for name, parameter in parameters.items():
            parameter.assign_(state[name])
        for name, buffer in buffers.items():
            buffer[...] = device.of(buffer).upload(state[name], buffer.dtype)

    def parameter_count(self):
        """Number of trained values."""
        return sum(parameter.size for parameter in self.parameters())

    def __repr__(self):
        return type(self).__name__


def _spread(name, value):
    """Pairs (name, part); lists, also nested ones, are flattened, with the index appended to the name."""
    if isinstance(value, list | tuple):
        for i, part in enumerate(value):
            yield from _spread(f"{name}.{i}", part)
    else:
        yield name, value


def _changed(value, change):
    """The value with ``change`` applied to an array, also within lists; anything else is returned as it is."""
    if type(value) in (list, tuple):
        return type(value)(_changed(part, change) for part in value)
    return change(value) if isinstance(value, device.array_types()) else value
