"""InfoGAN: codes that come to mean something, read off the images by Q."""

from functools import partial

from ..latents import Categorical, Latents, Noise, Uniform
from ..models import infogan
from ..training.systems import InfoGAN
from .config import InfoGANConfig
from .gans import adams, bound, game
from .preset import preset


def _build_infogan(generator, discriminator, config, image_shape, rng):
    codes = [Uniform(config.continuous_weight) for _ in range(config.uniform_codes)]
    latents = Latents(Noise(config.z), Categorical(config.classes), *codes)
    g, d = generator(latents.size, rng=rng), discriminator(rng=rng)
    q = infogan.q_head(d.head.layers[0].w.shape[0], latents.q_size, rng=rng)
    bound(config, d, rng)
    both = config.information == "both"
    opt_g, opt_d = adams(config, [g] if both else [g, q], [d, q] if both else [d])
    options = {"weight": config.weight, "information": config.information, **game(config)}
    return InfoGAN(g, d, q, latents, opt_g, opt_d, batch=config.batch, d_batch=config.d_batch, **options)


INFOGANS = [
    preset(
        "infogan",
        "InfoGAN for digits with one categorical code, in the manner of Keras's tutorials",
        (28, 28, 1),
        partial(_build_infogan, infogan.keras_generator, infogan.keras_discriminator),
        InfoGANConfig,
        data="mnist-10k",
        epochs=100,
        batch=64,
        d_batch=32,
        z=62,
        information="generator",
        samples=100,
        sample_every=1560,  # 10 epochs of mnist-10k
        checkpoint_every=1560,
    ),
    preset(
        "infogan-paper",
        "InfoGAN of the paper for digits: one categorical and two uniform codes",
        (28, 28, 1),
        partial(_build_infogan, infogan.paper_generator, infogan.paper_discriminator),
        InfoGANConfig,
        data="mnist-10k",
        epochs=10,
        steps=5000,
        z=62,
        uniform_codes=2,
        lr_g=1e-3,
        samples=100,
    ),
]
