"""InfoGAN: codes that acquire a meaning because Q must read them off the images."""

from functools import partial

from .. import nn
from ..latents import Latents, Noise, codes
from ..models import infogan
from ..optim import Adam, OptimizerGroup
from ..training.systems import InfoGAN
from .config import InfoGANConfig
from .gans import game, with_norms
from .preset import preset


def _build_infogan(generator, discriminator, config, image_shape, rng):
    std = {"nll": None, "mse": 1.0}[config.continuous]
    latents = Latents(Noise(config.z), *codes(config.codes, weight=config.continuous_weight, std=std))
    g, d = generator(latents.size, rng=rng), discriminator(rng=rng)
    q = infogan.q_head(d.head.layers[0].w.shape[0], latents.q_size, rng=rng)
    if config.information == "separate":
        q = nn.Sequential(*discriminator(rng=rng).trunk.layers, *q.layers, input_shape=image_shape)
    opt_g, opt_d, opt_q = _optimizers(config, g, with_norms(config, d, rng), q)
    options = {"weight": config.weight, "information": config.information, **game(config)}
    return InfoGAN(g, d, q, latents, opt_g, opt_d, opt_q, batch=config.batch, d_batch=config.d_batch, **options)


def _optimizers(config, g, d, q):
    """The optimiser of each update: the table of :mod:`minigan.training.steps.information`."""
    in_gs, in_ds, in_own = {
        "both": ([g], [d, q], []),
        "generator": ([g, q], [d], []),
        "separate": ([g, q], [d], []),
        "joint": ([g], [d], [g, d.trunk, q]),
        "none": ([g], [d], [q]),
    }[config.information]
    return tuple(
        _optimizer(config, modules, q, lr)
        for modules, lr in ((in_gs, config.lr_g), (in_ds, config.lr_d), (in_own, config.lr_d))
    )


def _optimizer(config, modules, q, lr):
    """Adam for the modules of one update, with Q at ``lr_q`` if that is given; None for no modules."""
    adam = partial(Adam, beta1=config.beta1, beta2=config.beta2)
    if config.lr_q is None or q not in modules:
        return adam(*modules, lr=lr) if modules else None
    others = [module for module in modules if module is not q]
    q_alone = adam(q, lr=config.lr_q)
    return OptimizerGroup(adam(*others, lr=lr), q_alone) if others else q_alone


INFOGANS = [
    preset(
        "infogan",
        "InfoGAN for digits with one categorical code, in the style of Keras's tutorials",
        (28, 28, 1),
        partial(_build_infogan, infogan.keras_generator, infogan.keras_discriminator),
        InfoGANConfig,
        data="mnist-10k",
        epochs=50,  # the tutorials' 100: their discriminators see half of each batch
        batch=64,
        d_batch=32,
        fresh_noise=True,
        z=62,
        information="generator",
        samples=100,
        sample_every=1560,  # 10 epochs of mnist-10k
        checkpoint_every=1560,
    ),
    preset(
        "infogan-paper",
        "the paper's InfoGAN for digits, with one categorical and two uniform codes",
        (28, 28, 1),
        partial(_build_infogan, infogan.paper_generator, infogan.paper_discriminator),
        InfoGANConfig,
        data="mnist-10k",
        epochs=10,
        steps=5000,
        z=62,
        codes=("10", "uniform", "uniform"),
        continuous="mse",  # the authors' code: a Gaussian with standard deviation 1
        continuous_weight=1.0,
        lr_g=1e-3,
        fresh_noise=True,  # the authors' code draws it for each session.run
        samples=100,
    ),
]
