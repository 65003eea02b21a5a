"""Optimisers: they turn gradients into new weights, in place, one fused pass over all parameters."""

import numpy as np

from . import device, kernels
from .communicator import ALONE
from .recording import Event, watching


class Optimizer:
    """What all optimisers share: parameters, a step count, and state of each parameter's shape.

    Parameters
    ----------
    *modules : Module
        Their parameters are trained. Those without a name take their dotted one into error messages; of several modules
        the state's names begin with the module's place: "0.", "1.", ...
    lr : float
        Learning rate; may be set at any time.
    clip : float, optional
        Keep every value in [-clip, clip], as WGAN does to bound its critic's slope (arXiv:1701.07875, algorithm 1).

    Attributes
    ----------
    device : Device
        Where its state lives; see :meth:`to`.
    steps : int
        Updates done. On a device an array of one element there, as the learning rate is inside: a captured graph of a
        step (see :mod:`minigan.training.graph`) counts on, and sees a new rate.
    communicator : Communicator
        Of the processes whose gradients are averaged before an update; see :mod:`minigan.training.parallel`.

    Raises
    ------
    ValueError
        For a module without parameters, or a learning rate (or clip) that is not positive and finite.
    """

    state_names = ()
    communicator = ALONE

    def __init__(self, *modules, lr, clip=None):
        places = [""] if len(modules) == 1 else [f"{i}." for i in range(len(modules))]
        named = [
            (place + n, p) for place, module in zip(places, modules, strict=True) for n, p in module.named_parameters()
        ]
        first = {id(parameter): name for name, parameter in reversed(named)}  # what modules share is updated once
        self.named = [(name, parameter) for name, parameter in named if first[id(parameter)] == name]
        if not self.named:
            what = "the module has no parameters" if modules else "expected a module with parameters"
            raise ValueError(f"{type(self).__name__}: {what} to train")
        for what, value in (("lr", lr), ("clip", clip)):
            if value is not None and not (np.isfinite(value) and value > 0):
                raise ValueError(f"{type(self).__name__}: {what} must be positive and finite, got {value}")
        self.device, self._lr, self.clip, self.steps = device.CPU, lr, clip, 0
        for name, parameter in self.named:
            parameter.name = parameter.name or name
        self.state = {name: [np.zeros_like(p.data) for _, p in self.named] for name in self.state_names}

    @property
    def lr(self):
        """The learning rate, a number."""
        return self._lr if self.device is device.CPU else device.download(self._lr).item()

    @lr.setter
    def lr(self, lr):
        if self.device is device.CPU:
            self._lr = lr
        else:
            self._lr[...] = lr

    def to(self, place):
        """Move the state to the Device on which the parameters live; return the optimiser."""
        self.state = {name: [place.upload(array) for array in arrays] for name, arrays in self.state.items()}
        steps, lr = device.download(self.steps).item(), self.lr
        if place is not device.CPU:
            steps, lr = place.upload([steps], np.int32), place.upload([lr], np.float32)
        self.device, self.steps, self._lr = place, steps, lr
        return self

    def zero_grad(self):
        """Forget all gradients."""
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
        """Step count and copies of all state in host memory: name -> NumPy array."""
        state = {
            f"{kind}.{name}": device.download(array)
            for kind, arrays in self.state.items()
            for (name, _), array in zip(self.named, arrays, strict=True)
        }
        return state | {"steps": device.download(self.steps).reshape(())}

    def load_state_dict(self, state):
        """Take the state of an optimiser of the same kind for the same module.

        Raises
        ------
        ValueError
            Lists every missing, unexpected and misshapen entry.
        """
        own = {
            f"{kind}.{name}": array
            for kind, arrays in self.state.items()
            for (name, _), array in zip(self.named, arrays, strict=True)
        }
        wrong = sorted(set(own) ^ (set(state) - {"steps"}))
        wrong += [
            f"{n} {np.shape(state[n])} != {own[n].shape}" for n in own if n in state and state[n].shape != own[n].shape
        ]
        if wrong or "steps" not in state:
            raise ValueError(
                f"load_state_dict: {type(self).__name__} does not fit: " + ", ".join(wrong or ["no steps"])
            )
        if self.device is device.CPU:
            self.steps = int(state["steps"])
        else:
            self.steps[...] = int(state["steps"])
        for name, array in own.items():
            array[...] = device.of(array).upload(state[name], array.dtype)


def _average_gradients(parameters, communicator):
    """Put the mean of all processes' gradients in the place of each parameter's own, in one message."""
    ends = np.cumsum([parameter.size for parameter in parameters])
    mean = communicator.mean_(np.concatenate([parameter.grad.ravel() for parameter in parameters]))
    for parameter, grad in zip(parameters, np.split(mean, ends[:-1]), strict=True):
        parameter.grad = grad.reshape(parameter.shape)


class SGD(Optimizer):
    """Stochastic gradient descent with momentum: v = momentum v + grad; w -= lr v."""

    state_names = ("velocity",)

    def __init__(self, *modules, lr, momentum=0.0, clip=None):
        super().__init__(*modules, lr=lr, clip=clip)
        self.momentum = momentum

    def _update(self, params, grads, velocities):
        kernels.sgd_(params, grads, velocities, lr=self._lr, momentum=self.momentum)


class Adam(Optimizer):
    """Adam (Kingma & Ba, arXiv:1412.6980, algorithm 1), eps after bias correction.

    Parameters
    ----------
    lr : float
        Learning rate alpha.
    beta1, beta2 : float
        Decay of the moments. GANs take beta1 = 0.5 (Radford et al., arXiv:1511.06434).
    eps : float
    clip : float, optional
        See :class:`Optimizer`.
    """

    state_names = ("m", "v")

    def __init__(self, *modules, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8, clip=None):
        super().__init__(*modules, lr=lr, clip=clip)
        self.beta1, self.beta2, self.eps = beta1, beta2, eps

    def _update(self, params, grads, m, v):
        numbers = {"lr": self._lr, "beta1": self.beta1, "beta2": self.beta2, "eps": self.eps}
        kernels.adam_(params, grads, m, v, step=self.steps, **numbers)


class RMSProp(Optimizer):
    """RMSProp (Tieleman & Hinton, 2012): s = decay s + (1 - decay) grad^2; w -= lr grad / (sqrt(s) + eps)."""

    state_names = ("square_mean",)

    def __init__(self, *modules, lr=1e-2, decay=0.99, eps=1e-8, clip=None):
        super().__init__(*modules, lr=lr, clip=clip)
        self.decay, self.eps = decay, eps

    def _update(self, params, grads, square_means):
        kernels.rmsprop_(params, grads, square_means, lr=self._lr, decay=self.decay, eps=self.eps)


class Together:
    """Optimisers that act as one: for parts of a network that learn at different rates from one gradient.

    Parameters
    ----------
    *optimizers : Optimizer
        Of parameters that no two of them share. Their state's names begin with their place: "0/", "1/", ...
    """

    def __init__(self, *optimizers):
        self.optimizers = optimizers

    @property
    def named(self):
        """Pairs (name, parameter) of all."""
        return [pair for optimizer in self.optimizers for pair in optimizer.named]

    @property
    def steps(self):
        """Updates done."""
        return self.optimizers[0].steps

    @property
    def communicator(self):
        """That of all of them."""
        return self.optimizers[0].communicator

    @communicator.setter
    def communicator(self, communicator):
        for optimizer in self.optimizers:
            optimizer.communicator = communicator

    def to(self, place):
        """Move the state to a Device; return the optimiser."""
        for optimizer in self.optimizers:
            optimizer.to(place)
        return self

    def zero_grad(self):
        """Forget all gradients."""
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
        """Take the state of optimisers of the same kinds; ValueError, naming the entries, where it does not fit."""
        for i, optimizer in enumerate(self.optimizers):
            prefix = f"{i}/"
            own = {name.removeprefix(prefix): array for name, array in state.items() if name.startswith(prefix)}
            optimizer.load_state_dict(own)
