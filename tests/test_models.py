"""The networks are those of their sources: shapes, parameter counts, layers; and presets know their mistakes."""

import dataclasses

import numpy as np
import pytest

from minigan import Tensor, nn, no_grad, presets
from minigan.latents import STD_FLOOR, Categorical, Gaussian, Latents, Noise, Uniform
from minigan.training.trainer import random_streams

# Counted by hand from the tables: weights, biases where the source has them, and two values a channel of batch norm.
COUNTS = {
    "gan": {"g": 6_675_009, "d": 1_102_721},
    "dcgan": {"g": 3_576_704, "d": 2_765_568},
    "dcgan-mnist": {"g": 369_600, "d": 166_784},
    "infogan-paper": {"g": 6_652_481, "d": 6_559_169, "q": 133_004},
    "gan-2d": {"g": 17_154, "d": 17_025},
    "pacgan-2d": {"g": 484_802, "d": 405_201},
}


def build(name, **changes):
    preset = presets.get(name)
    config = dataclasses.replace(preset.config, **changes)
    return preset.build(config, preset.default_shape, random_streams(0)["init"]), preset.default_shape


GAMES = [name for name, preset in presets.PRESETS.items() if isinstance(preset.config, presets.GANConfig)]


@pytest.mark.parametrize("name", GAMES)
def test_images_come_out_and_logits(name):
    system, shape = build(name)
    z = system.latents.sample(np.random.default_rng(0), 2)
    with no_grad():
        x = system.g(Tensor(z))
        assert x.shape == (2, *shape)
        assert system.judge(x, z).shape == (2, 1)
    if len(shape) == 3:
        assert np.abs(x.data).max() <= 1


@pytest.mark.parametrize("name", set(presets.PRESETS) - set(GAMES))
def test_systems_without_a_game_make_images_from_noise(name):
    system, shape = build(name)
    x = system.sample(system.latents.sample(np.random.default_rng(0), 2))
    assert x.shape == (2, *shape)
    assert x.dtype == np.float32
    if len(shape) == 3:
        assert np.abs(x).max() <= 1


@pytest.mark.parametrize("name", COUNTS)
def test_parameter_counts_are_the_sources(name):
    system, _ = build(name)
    assert {part: module.parameter_count() for part, module in system.modules.items()} == COUNTS[name]


def test_dcgan_begins_and_ends_as_the_paper_says():
    system, _ = build("dcgan")
    first_d, last_g = system.d.layers[1], system.g.layers[-1]
    assert isinstance(first_d, nn.LeakyReLU), "no batch norm after d's first layer"
    assert first_d.slope == 0.2
    assert isinstance(last_g, nn.Tanh)
    assert not any(isinstance(layer, nn.BatchNorm) for layer in (system.d.layers[-2], system.g.layers[-2]))
    gammas = np.concatenate([m.gamma.data for m in system.g.layers if isinstance(m, nn.BatchNorm)])
    assert gammas.mean() == pytest.approx(1, abs=0.005)
    assert gammas.std() == pytest.approx(0.02, rel=0.1)


def test_gan_normalises_after_the_activation():
    kinds = [type(layer) for layer in build("gan")[0].g.layers]
    for i, kind in enumerate(kinds):
        if kind is nn.BatchNorm:
            assert kinds[i - 1] is nn.ReLU


def test_unknown_presets_are_offered_near_ones():
    with pytest.raises(ValueError, match="preset: unknown 'dcgn'; did you mean dcgan"):
        presets.get("dcgn")
    with pytest.raises(ValueError, match="has no field widht"):
        presets.config_from_dict({"preset": "dcgan", "widht": 3})


@pytest.mark.parametrize(
    ("preset", "option", "before"), [("r1gan-2d", "cooldown", 0), ("pacgan-2d", "simultaneous", False)]
)
def test_a_config_from_before_an_option_is_one_without_it(preset, option, before):
    config = presets.get(preset).config
    values = dataclasses.asdict(config)
    assert presets.config_from_dict(values) == config
    assert values.pop(option) != before
    assert presets.config_from_dict(values) == dataclasses.replace(config, **{option: before})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 0}, "batch: must be at least 1, got 0"),
        ({"lr_d": float("inf")}, "lr_d: must be positive and finite, got inf"),
        ({"beta1": 1.0}, r"beta1: must be in \[0, 1\), got 1.0"),
        ({"steps": 0}, "steps: must be at least 1, got 0"),
        ({"width": 0}, "width: must be at least 1, got 0"),
    ],
)
def test_impossible_numbers_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(presets.get("dcgan").config, **change)


def test_images_of_another_shape_are_refused():
    images = np.zeros((4, 32, 32, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"preset gan takes images of 28 x 28 x 1, the data have items of shape \(32, 32, 3\)"
    ):
        presets.check_images(presets.get("gan"), images)


# --- latents ----------------------------------------------------------------------------------------------------------


def test_latents_lie_side_by_side():
    latents = Latents(Noise(3, "uniform"), Categorical(4), Uniform(), Gaussian())
    z = latents.sample(np.random.default_rng(0), 1000)
    assert z.shape == (1000, latents.size)
    assert latents.q_size == 4 + 2 + 2
    (_, category), (_, uniform), (_, gaussian) = latents.codes
    assert np.array_equal(np.unique(z[:, category]), [0, 1])
    assert np.array_equal(z[:, category].sum(1), np.ones(1000))
    assert np.abs(z[:, uniform]).max() <= 1
    assert z[:, gaussian].std() == pytest.approx(1, abs=0.1)


def test_information_is_zero_for_a_uniform_q_and_ln_k_for_a_perfect_one():
    latents = Latents(Noise(2), Categorical(10))
    z = latents.sample(np.random.default_rng(0), 64)
    (nothing,) = latents.information(Tensor(np.zeros((64, 10))), z.astype(np.float64))
    (all_of_it,) = latents.information(Tensor(1e4 * z[:, 2:].astype(np.float64)), z.astype(np.float64))
    assert nothing.item() == pytest.approx(0, abs=1e-12)
    assert all_of_it.item() == pytest.approx(np.log(10), abs=1e-12)


def test_a_continuous_codes_deviation_cannot_collapse():
    latents = Latents(Uniform())
    z = np.array([[0.3]])
    (bound,) = latents.information(Tensor(np.array([[0.3, -1e4]])), z)  # the right mean, the smallest deviation
    assert bound.item() == pytest.approx(np.log(2) - np.log(STD_FLOOR) - 0.5 * np.log(2 * np.pi), abs=1e-9)


def test_the_objective_weighs_each_code():
    latents = Latents(Categorical(2), Uniform(weight=0.25))
    assert latents.objective([Tensor(np.array(2.0)), Tensor(np.array(4.0))]).item() == 3.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Categorical(1), "needs at least 2 classes, got 1"),
        (lambda: Noise(0), 'size must be >= 1 and law "normal" or "uniform", got 0'),
        (lambda: Noise(3, "cauchy"), "'cauchy'"),
        (lambda: Latents(), "give at least one part"),
    ],
)
def test_impossible_latents_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
