"""Optimisers: they update parameters in place from their gradients, in one fused pass over all of them."""

import numpy as np

from . import device, kernels
from .communicator import ALONE
from .recording import Event, watching
from .states import below, check_fits


class Optimizer:
    """Base of all optimisers: parameters, a step count, and state arrays shaped like the parameters.

    Parameters
    ----------
    *modules : Module
        Their parameters are trained. Unnamed ones are given their dotted name, for error messages; with several
        modules it begins with the module's index: "0.", "1.", ...
    lr : float
        Learning rate; may be set at any time. :meth:`scale_lr` multiplies this one, whatever it was set to.
    clip : float, optional
        Clip all parameters to [-clip, clip] after each update, as WGAN does to keep its critic Lipschitz
        (arXiv:1701.07875, algorithm 1).

    Attributes
    ----------
    device : Device
        Where the state lives; see :meth:`to`.
    steps : int
        Updates done. On a GPU it is a one-element device array, and so internally is the learning rate: a captured
        graph (see :mod:`minigan.training.graph`) then increments the count and sees a changed rate.
    communicator : Communicator
        Joins the processes whose gradients are averaged before an update; see :mod:`minigan.training.parallel`.

    Raises
    ------
    ValueError
        If there are no parameters, or if the learning rate or a given clip is not positive and finite.
    """

    state_names = ()
    communicator = ALONE

    def __init__(self, *modules, lr, clip=None):
        places = [""] if len(modules) == 1 else [f"{i}." for i in range(len(modules))]
        named = [
            (place + n, p) for place, module in zip(places, modules, strict=True) for n, p in module.named_parameters()
        ]
        first = {id(parameter): name for name, parameter in reversed(named)}  # shared ones are updated once
        self.named = [(name, parameter) for name, parameter in named if first[id(parameter)] == name]
        if not self.named:
            what = "the module has no parameters" if modules else "expected a module with parameters"
            raise ValueError(f"{type(self).__name__}: {what} to train")
        given = {"lr": lr} if clip is None else {"lr": lr, "clip": clip}
        for what, value in given.items():
            if value is None or not (np.isfinite(value) and value > 0):
                raise ValueError(f"{type(self).__name__}: {what} must be positive and finite, got {value}")
        self.device, self._lr, self.clip, self.steps = device.CPU, lr, clip, 0
        self._given_lr = lr
        for name, parameter in self.named:
            parameter.name = parameter.name or name
        self.state = {name: [np.zeros_like(p.data) for _, p in self.named] for name in self.state_names}

    @property
    def lr(self):
        """The learning rate, as a number."""
        return self._lr if self.device is device.CPU else device.download(self._lr).item()

    @lr.setter
    def lr(self, lr):
        if self.device is device.CPU:
            self._lr = lr
        else:
            self._lr[...] = lr

    def scale_lr(self, factor):
        """Set the learning rate to ``factor`` times that which the optimiser was made with."""
        self.lr = self._given_lr * factor

    def to(self, place):
        """Move the state to the parameters' Device; return the optimiser."""
        self.state = {name: [place.upload(array) for array in arrays] for name, arrays in self.state.items()}
        steps, lr = device.download(self.steps).item(), self.lr
        if place is not device.CPU:
            steps, lr = place.upload([steps], np.int32), place.upload([lr], np.float32)
        self.device, self.steps, self._lr = place, steps, lr
        return self

    def zero_grad(self):
        """Drop all gradients."""
        for _, parameter in self.named:
            parameter.grad = None

    def step(self):
        """Update every parameter that has a gradient."""
        self.steps += 1
        some = [i for i, (_, parameter) in enumerate(self.named) if parameter.grad is not None]
        if not some:
            return
        parameters = [self.named[i][1] for i in some]
        for parameter in parameters:
            parameter.mark_written()
        if self.communicator.size > 1:
            _average_gradients(parameters, self.communicator)
        arrays, grads = [parameter.data for parameter in parameters], [parameter.grad for parameter in parameters]
        watcher = watching()
        states = {kind: [state[i] for i in some] for kind, state in self.state.items()}
        before = []
        if watcher:
            before = [array.copy() for array in arrays]
            for kind, state in states.items():
                for parameter, array in zip(parameters, state, strict=True):
                    watcher(Event("state", kind, None, array, (parameter,)))
        self._update(arrays, grads, *states.values())
        if self.clip is not None:
            for array in arrays:
                array.clip(-self.clip, self.clip, out=array)
        if watcher:
            for parameter, old in zip(parameters, before, strict=True):
                watcher(Event("update", parameter.name, None, old, (parameter,)))

    def _update(self, params, grads, *states):
        raise TypeError(f"{type(self).__name__} is not an optimiser: it defines no _update")

    def state_dict(self):
        """The step count and copies of all state in host memory: name -> NumPy array."""
        state = {
            f"{kind}.{name}": device.download(array)
            for kind, arrays in self.state.items()
            for (name, _), array in zip(self.named, arrays, strict=True)
        }
        return state | {"steps": device.download(self.steps).reshape(())}

    def load_state_dict(self, state):
        """Load the state of an optimiser of the same kind for the same modules.

        Raises
        ------
        ValueError
            If an entry is missing, unexpected or misshapen; lists all of them.
        """
        own = {
            f"{kind}.{name}": array
            for kind, arrays in self.state.items()
            for (name, _), array in zip(self.named, arrays, strict=True)
        }
        check_fits(self, {"steps": 0} | own, state)
        if self.device is device.CPU:
            self.steps = int(state["steps"])
        else:
            self.steps[...] = int(state["steps"])
        for name, array in own.items():
            array[...] = device.of(array).upload(state[name], array.dtype)


def _average_gradients(parameters, communicator):
    """Replace each parameter's gradient by the mean over all processes, in one message."""
    ends = np.cumsum([parameter.size for parameter in parameters])
    mean = communicator.mean_(np.concatenate([parameter.grad.ravel() for parameter in parameters]))
    for parameter, grad in zip(parameters, np.split(mean, ends[:-1]), strict=True):
        parameter.grad = grad.reshape(parameter.shape)


def _check_decay(name, value):
    if not 0 <= value < 1:
        raise ValueError(f"{name}: expected a number in [0, 1), got {value}")


def _check_eps(value):
    if not 0 < value < np.inf:
        raise ValueError(f"eps: expected a positive, finite number, got {value}")


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v = momentum v + grad; w -= lr v."""

    state_names = ("velocity",)

    def __init__(self, *modules, lr, momentum=0.0, clip=None):
        super().__init__(*modules, lr=lr, clip=clip)
        _check_decay("momentum", momentum)
        self.momentum = momentum

    def _update(self, params, grads, velocities):
        kernels.sgd_(params, grads, velocities, lr=self._lr, momentum=self.momentum)


class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980, algorithm 1), with eps added after bias correction.

    The bias correction counts the optimiser's steps. A parameter without a gradient skips a step, with its moments, but
    the count goes on: where the first gradient comes late, nothing is corrected any more, and the first update is up to
    (1 - beta1) / sqrt(1 - beta2) times lr, 16 times with beta1 = 0.5 (torch.optim.Adam counts for each parameter).
    Parameters that start to learn later need an optimiser of their own.

    Parameters
    ----------
    lr : float
        Learning rate alpha.
    beta1, beta2 : float
        Decay rates of the moments. GANs often use beta1 = 0.5 (Radford et al., arXiv:1511.06434).
    eps : float
    clip : float, optional
        See :class:`Optimizer`.
    """

    state_names = ("m", "v")

    def __init__(self, *modules, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, clip=None):
        super().__init__(*modules, lr=lr, clip=clip)
        _check_decay("beta1", beta1)
        _check_decay("beta2", beta2)
        _check_eps(eps)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def _update(self, params, grads, m, v):
        numbers = {"lr": self._lr, "beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}
        kernels.adam_(params, grads, m, v, step=self.steps, **numbers)


class RMSProp(Optimizer):
    """RMSProp (Tieleman & Hinton, 2012): s = decay s + (1 - decay) grad^2; w -= lr grad / (sqrt(s) + eps)."""

    state_names = ("square_mean",)

    def __init__(self, *modules, lr=1e-2, decay=0.99, eps=1e-8, clip=None):
        super().__init__(*modules, lr=lr, clip=clip)
        _check_decay("decay", decay)
        _check_eps(eps)
        self.decay, self.eps = decay, eps

    def _update(self, params, grads, square_means):
        kernels.rmsprop_(params, grads, square_means, lr=self._lr, decay=self.decay, eps=self.eps)


class OptimizerGroup:
    """Optimisers used as one: for parts of a network that learn at different rates from one gradient.

    Parameters
    ----------
    *optimizers : Optimizer
        No two may share a parameter. Each one's names in the state begin with its index: "0/", "1/", ...
    """

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    @property
    def named(self):
        """Pairs (name, parameter) of all optimisers."""
        return [pair for optimizer in self.optimizers for pair in optimizer.named]

    @property
    def steps(self):
        """Updates done."""
        return self.optimizers[0].steps

    @property
    def communicator(self):
        """The communicator of all optimisers."""
        return self.optimizers[0].communicator

    @communicator.setter
    def communicator(self, communicator):
        for optimizer in self.optimizers:
            optimizer.communicator = communicator

    def to(self, place):
        """Move the state to the parameters' Device; return the group."""
        for optimizer in self.optimizers:
            optimizer.to(place)
        return self

    def scale_lr(self, factor):
        """Set each learning rate to ``factor`` times that which its optimiser was made with."""
        for optimizer in self.optimizers:
            optimizer.scale_lr(factor)

    def zero_grad(self):
        """Drop all gradients."""
        for optimizer in self.optimizers:
            optimizer.zero_grad()

    def step(self):
        """Update every parameter that has a gradient."""
        for optimizer in self.optimizers:
            optimizer.step()

    def state_dict(self):
        """Copies of all state in host memory: name -> NumPy array."""
        return {
            f"{i}/{name}": array
            for i, optimizer in enumerate(self.optimizers)
            for name, array in optimizer.state_dict().items()
        }

    def load_state_dict(self, state):
        """Load the state of a group of the same kinds; ValueError, naming the entries, if it does not fit."""
        for i, optimizer in enumerate(self.optimizers):
            optimizer.load_state_dict(below(f"{i}/", state))
