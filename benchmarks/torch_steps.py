"""The training steps in PyTorch: what its DCGAN tutorial writes, and the same with every setting that makes it faster.

The losses, their order and the batches are those of minigan.training.steps; only the engine differs.
"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch.nn import functional as F

from minigan.latents import STD_FLOOR, Categorical, Uniform

from .torch_models import Discriminator, rebuild


@dataclass(frozen=True)
class Setting:
    """How PyTorch is used.

    Attributes
    ----------
    freeze : bool
        Spare g's update the gradients of d's weights, which the tutorial computes and throws away.
    channels_last : bool
        The memory order of images and convolution weights that its CPU kernels like best.
    fused : bool
        The optimiser in one pass over memory.
    compiled : bool
        The networks by ``torch.compile``.
    bfloat16 : bool
        Networks under autocast.
    device : str
    graph : bool
        The whole step as one CUDA graph (:class:`GraphStep`).
    allocator : bool
        Whether its process has minigan's settings of glibc's malloc (kernels/cpu/memory.py); PyTorch makes none.
    """

    freeze: bool = False
    channels_last: bool = False
    fused: bool = False
    compiled: bool = False
    bfloat16: bool = False
    device: str = "cpu"
    graph: bool = False
    allocator: bool = False


SETTINGS = {
    "tutorial": Setting(),
    "best": Setting(freeze=True, channels_last=True, fused=True),
    "best-allocator": Setting(freeze=True, channels_last=True, fused=True, allocator=True),
    "compiled": Setting(freeze=True, channels_last=True, fused=True, compiled=True),
}
GPU_BEST = Setting(freeze=True, channels_last=True, fused=True, device="cuda")  # and TF32
GPU_SETTINGS = {
    "eager": GPU_BEST,
    "graph": replace(GPU_BEST, graph=True),
    "bfloat16": replace(GPU_BEST, bfloat16=True),
    "bfloat16-graph": replace(GPU_BEST, bfloat16=True, graph=True),
}
SETTINGS |= {f"gpu-{name}": setting for name, setting in GPU_SETTINGS.items()}


def mean_bce(logits, target):
    """Mean binary cross-entropy of logits against one target, in nats."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


@contextmanager
def frozen(*networks, on=True):
    """Take the networks' parameters out of differentiation for the length of a block."""
    chosen = networks if on else ()
    for network in chosen:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in chosen:
            network.requires_grad_(True)


def gan_step(g, d, opt_g, opt_d, x_real, z, z_g=None, *, freeze=False):
    """As minigan.training.steps.gan_step, in the words of PyTorch's tutorial: two backward passes for d, one for g."""
    with torch.set_grad_enabled(z_g is None):
        x_fake = g(z)
    opt_d.zero_grad()
    loss_real = mean_bce(d(x_real), 1)
    loss_real.backward()
    loss_fake = mean_bce(d(x_fake.detach()), 0)
    loss_fake.backward()
    opt_d.step()

    if z_g is not None:
        x_fake = g(z_g)
    opt_g.zero_grad()
    with frozen(d, on=freeze):
        loss_g = mean_bce(d(x_fake), 1)
    loss_g.backward()
    opt_g.step()
    return {"loss_d": (loss_real + loss_fake).detach(), "loss_g": loss_g.detach()}


def infogan_step(g, d, q, opt_g, opt_d, x_real, z, z_g, latents, *, weight, information, freeze=False):
    """As minigan.training.steps.infogan_step."""
    both = information == "both"
    with torch.set_grad_enabled(z_g is None):
        x_fake = g(z)
    opt_d.zero_grad()
    loss_real = mean_bce(d(x_real), 1)
    loss_real.backward()
    features = d.trunk(x_fake.detach())
    loss_fake = mean_bce(d.head(features), 0)
    objective = _information(latents, q(features), z)[1] if both else 0
    (loss_fake - weight * objective).backward()
    opt_d.step()

    if z_g is not None:
        x_fake, z = g(z_g), z_g
    opt_g.zero_grad()
    with frozen(d, *([q] if both else []), on=freeze):
        features = d.trunk(x_fake)
        loss_g = mean_bce(d.head(features), 1)
        known, objective = _information(latents, q(features), z)
    (loss_g - weight * objective).backward()
    opt_g.step()
    scalars = {"loss_d": loss_real + loss_fake, "loss_g": loss_g, "information_nats": known}
    return {name: scalar.detach() for name, scalar in scalars.items()}


def _information(latents, q, z):
    """Sums over codes of H(c) + mean ln Q(c) (arXiv:1606.03657, equation 5): as it is, and with the codes' weights."""
    known, objective, column = 0, 0, 0
    for part, columns in latents.codes:
        outputs, code = q[:, column : column + part.q_size], z[:, columns]
        if isinstance(part, Categorical):
            nll = F.cross_entropy(outputs, code)
        else:
            std = F.softplus(outputs[:, 1:]) + STD_FLOOR if part.std is None else torch.full_like(code, part.std)
            posterior = torch.distributions.Normal(outputs[:, :1], std, validate_args=False)  # a check would wait
            nll = -posterior.log_prob(code).mean()
        bound = part.entropy_nats - nll
        known, objective, column = known + bound, objective + part.weight * bound, column + part.q_size
    return known, objective


class TorchSystem:
    """A system of minigan's (``GAN`` or ``InfoGAN``) in PyTorch, from the same weights on.

    Parameters
    ----------
    system : GAN or InfoGAN
        Fresh, with a single update of d for each of g. It is read once, and not kept.
    setting : Setting

    Attributes
    ----------
    networks : dict of str to torch.nn.Module
    links : list of Link
        The twins of all parameters and buffers.
    """

    def __init__(self, system, setting):
        self.setting, self.latents = setting, system.latents
        self.networks, self.links = rebuild(system.modules, system.latents.size)
        for network in self.networks.values():
            network.to(setting.device)
            if setting.channels_last:
                network.to(memory_format=torch.channels_last)
        self.optimizers = {name: self._optimizer(own) for name, own in system.optimizers.items()}
        if setting.bfloat16:
            self._replace(Autocast)
        if setting.compiled:
            # All Sequentials count together: InfoGAN needs more than 8 graphs.
            torch._dynamo.config.recompile_limit = 64
            # Not in place: Module.compile() of a Sequential, whose code is PyTorch's own, silently compiles nothing.
            self._replace(torch.compile)
        self.batch, self.d_batch = system.batch, system.data_batch
        self.fresh_noise = system.fresh_noise
        if "q" in self.networks:
            self.options = {"weight": system.weight, "information": system.information}

    def _optimizer(self, own):
        twins = {id(link.own): link.twin for link in self.links}
        parameters = [twins[id(parameter)] for _, parameter in own.named]
        fused = True if self.setting.fused else None  # None is the default: PyTorch's choice
        options = {"lr": own.lr, "betas": (own.beta1, own.beta2), "eps": own.eps, "fused": fused}
        return torch.optim.Adam(parameters, **options, capturable=self.setting.graph)

    def _replace(self, make):
        """Replace each network, or the parts of one that has parts, by what ``make`` makes of it."""
        for name, network in self.networks.items():
            if isinstance(network, Discriminator):
                network.trunk, network.head = make(network.trunk), make(network.head)
            else:
                self.networks[name] = make(network)

    def forget_minigan(self):
        """Let go of minigan's arrays, so that memory holds PyTorch's alone."""
        self.links = []

    def images(self, array):
        """A batch of images (N, H, W, C), or of points, as a tensor in the memory order of the setting."""
        tensor = torch.from_numpy(array).to(self.setting.device)
        if tensor.ndim == 2:
            return tensor
        order = torch.channels_last if self.setting.channels_last else torch.contiguous_format
        return tensor.permute(0, 3, 1, 2).contiguous(memory_format=order)

    def step(self, batches, rng):
        """One iteration, as the system's own; ``batches`` yields what :meth:`images` made."""
        g, d, *q = self.networks.values()
        x_real, z = next(batches), self._latent(rng, self.d_batch)
        arguments = [*self.optimizers.values(), x_real, z]
        z_g = self._latent(rng, self.batch) if self.fresh_noise else None
        if q:
            options = self.options | {"freeze": self.setting.freeze}
            return infogan_step(g, d, *q, *arguments, z_g, self.latents, **options)
        return gan_step(g, d, *arguments, z_g, freeze=self.setting.freeze)

    def _latent(self, rng, n):
        """Latent rows: drawn by ``rng``, or without one where the networks are."""
        if rng is not None:
            return torch.from_numpy(self.latents.sample(rng, n)).to(self.setting.device)
        return torch.cat([_draw(part, n, self.setting.device) for part in self.latents.parts], dim=1)

    def sample(self, z):
        """Images (n, H, W, C), or points, for latent rows z, in inference mode."""
        g = self.networks["g"].eval()
        with torch.no_grad():
            images = g(torch.from_numpy(z).to(self.setting.device)).cpu()
        g.train()
        return (images if images.ndim == 2 else images.permute(0, 2, 3, 1)).numpy()


class GraphStep:
    """A system's step as one CUDA graph, as PyTorch's notes on CUDA graphs capture a whole network.

    The first steps are taken one operation at a time, on a stream of their own, which capturing asks for.

    Parameters
    ----------
    system : TorchSystem
    batches : iterator of torch.Tensor
        Of one shape.
    """

    WARM_UP = 3

    def __init__(self, system, batches):
        self._system, self._batches = system, batches
        self._taken, self._graph, self._x_real, self._scalars = 0, torch.cuda.CUDAGraph(), None, None

    def __call__(self, rng=None):
        """Take a step, and return its scalars; ``rng`` draws the noise of one that comes before the capture."""
        x_real = next(self._batches)
        if self._taken < self.WARM_UP:
            self._taken += 1
            return self._take_apart(x_real, rng)
        if self._x_real is None:
            self._x_real = x_real.clone()
            with torch.cuda.graph(self._graph):
                self._scalars = self._system.step(iter([self._x_real]), None)
        self._x_real.copy_(x_real)
        self._graph.replay()
        return self._scalars

    def _take_apart(self, x_real, rng):
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            scalars = self._system.step(iter([x_real]), rng)
        torch.cuda.current_stream().wait_stream(stream)
        return scalars


class Autocast(torch.nn.Module):
    """A network whose convolutions and matrix products round their inputs to bfloat16; losses stay float32."""

    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        with torch.autocast("cuda", torch.bfloat16):
            y = self.network(x)
        return y.float()


def _draw(part, n, device):
    """Rows of one part of a latent vector, by PyTorch's own generator."""
    if isinstance(part, Categorical):
        return F.one_hot(torch.randint(part.classes, (n,), device=device), part.classes).float()
    if isinstance(part, Uniform) or getattr(part, "law", None) == "uniform":
        return 2 * torch.rand(n, part.size, device=device) - 1
    return torch.randn(n, part.size, device=device)
