"""What d and g play for: losses at known values and extremes, penalties against differences and closed forms."""

import dataclasses
import itertools
import math
from typing import get_args

import numpy as np
import pytest

from minigan import Tensor, grad, gradcheck, nn, ops, presets
from minigan.presets import GANConfig
from minigan.training.losses import HINGE, LOSSES, MINIMAX, NON_SATURATING, cross_entropy
from minigan.training.penalties import PENALTIES, dragan, r1, r2, squared_gradient_norms, wgan_gp
from minigan.training.trainer import random_streams

RNG = np.random.default_rng
SMOOTHED = {
    "minimax, smoothed": cross_entropy(smoothing=0.1, saturating=True),
    "non-saturating, smoothed": cross_entropy(smoothing=0.1),
}


def column(*values, dtype=np.float64):
    return Tensor(np.array(values, dtype).reshape(-1, 1), requires_grad=True)


# --- losses -----------------------------------------------------------------------------------------------------------


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


FORMULAS = {  # of d's outputs for real and generated images, as the papers write them
    "minimax": (lambda r, f: -log_sigmoid(r) - log_sigmoid(-f), lambda f: log_sigmoid(-f)),
    "non-saturating": (lambda r, f: -log_sigmoid(r) - log_sigmoid(-f), lambda f: -log_sigmoid(f)),
    "least-squares": (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda f: (f - 1) ** 2 / 2),
    "hinge": (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda f: -f),
    "wasserstein": (lambda r, f: f - r, lambda f: -f),
}
SLOPES = {  # d(d's loss)/d(real), d(d's loss)/d(fake), d(g's loss)/d(fake) where |outputs| = 1e4
    "minimax": (lambda r: -(r < 0), lambda f: f > 0, lambda f: -(f > 0)),
    "non-saturating": (lambda r: -(r < 0), lambda f: f > 0, lambda f: -(f < 0)),
    "least-squares": (lambda r: r - 1, lambda f: f, lambda f: f - 1),
    "hinge": (lambda r: -(r < 1), lambda f: f > -1, lambda f: -(f < math.inf)),
    "wasserstein": (lambda r: -(r < math.inf), lambda f: f < math.inf, lambda f: -(f < math.inf)),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_are_the_papers_formulas(name):
    r, f = RNG(0).normal(0, 3, (2, 50))
    of_d, of_g = FORMULAS[name]
    loss = LOSSES[name]
    assert loss.d(column(*r), column(*f)).item() == pytest.approx(of_d(r, f).mean(), rel=1e-12)
    assert loss.g(column(*f)).item() == pytest.approx(of_g(f).mean(), rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("size", [1e4, -1e4])
def test_losses_are_finite_and_their_slopes_exact_for_outputs_of_1e4_in_float32(name, size):
    real, fake = column(size, dtype=np.float32), column(-size, dtype=np.float32)
    loss, (of_real, of_fake, of_g) = LOSSES[name], SLOPES[name]
    total = loss.d(real, fake)
    assert total.dtype == np.float32
    assert total.item() == pytest.approx(FORMULAS[name][0](size, -size), rel=1e-6)
    assert [g.item() for g in grad(total, [real, fake])] == [of_real(size), of_fake(-size)]
    total = loss.g(fake)
    assert total.item() == pytest.approx(FORMULAS[name][1](-size), rel=1e-6)
    assert grad(total, fake).item() == of_g(-size)


@pytest.mark.parametrize("name", LOSSES | SMOOTHED)
def test_losses_have_the_gradients_that_differences_give(name):
    loss = (LOSSES | SMOOTHED)[name]
    real, fake = RNG(1).normal(0, 2, (2, 6, 1))
    assert gradcheck(loss.d, real, fake, order=2) < 1e-6
    assert gradcheck(loss.g, fake, order=2) < 1e-6


BEST = {"least-squares": 0.5, "minimax, smoothed": math.log(0.45 / 0.55), "non-saturating, smoothed": math.log(9 / 11)}


@pytest.mark.parametrize("name", LOSSES | SMOOTHED)
def test_the_stated_optimum_is_where_d_can_do_no_better_against_equal_images(name):
    loss, best = (LOSSES | SMOOTHED)[name], column(BEST.get(name, 0.0))
    of_d, of_g = loss.d(best, best), loss.g(best)
    assert (of_d.item(), of_g.item()) == pytest.approx(loss.optimum, abs=1e-12)
    assert grad(of_d, best).item() == pytest.approx(0, abs=1e-12)
    around = [loss.d(column(best.item() + e), column(best.item() + e)).item() for e in (-0.2, 0.2)]
    assert min(around) >= loss.optimum[0] - 1e-12


def test_saturating_is_what_its_name_says():
    sure = column(-20.0)  # of a generated image
    assert abs(grad(MINIMAX.g(sure), sure).item()) < 1e-8
    assert grad(NON_SATURATING.g(sure), sure).item() == pytest.approx(-1)


def test_the_log_shows_probabilities_of_logits_and_scores_of_others():
    outputs = column(0.0, 2.0)
    assert HINGE.mean_output(outputs) == 1
    assert MINIMAX.mean_output(outputs) == pytest.approx((0.5 + 1 / (1 + math.exp(-2))) / 2)


def test_labels_are_smoothed_into_labels():
    with pytest.raises(ValueError, match=r"smoothing: must be in \[0, 1\), got 1.0"):
        cross_entropy(smoothing=1.0)


# --- penalties --------------------------------------------------------------------------------------------------------


def images(seed, n=7):
    return Tensor(RNG(seed).normal(0, 1, (n, 4, 4, 2)))


def linear_d(length, size=32):
    """A d whose slope is ``length`` everywhere."""
    w = RNG(5).standard_normal((size, 1))
    w = Tensor(w * length / np.linalg.norm(w))
    return lambda x: x.reshape(len(x), -1) @ w


@pytest.mark.parametrize(
    ("penalty", "expected"), [(r1, 5 * 9), (r2, 5 * 9), (wgan_gp, 10 * 4), (dragan, 10 * 4)], ids=PENALTIES
)
def test_penalties_of_a_linear_d_have_their_closed_form(penalty, expected):
    found = penalty(linear_d(3.0), images(1), images(2), RNG(0)).item()
    assert found == pytest.approx(expected, rel=1e-9)
    assert penalty(linear_d(3.0), images(1), images(2), RNG(0), weight=1.0).item() == pytest.approx(expected / 10)


@pytest.mark.parametrize("name", PENALTIES)
def test_penalties_have_the_gradients_that_differences_give(name):
    rng = RNG(3)
    weights = [rng.normal(0, 0.5, shape) for shape in ((3, 3, 2, 4), (4,), (16, 5), (5,), (5, 1))]

    def of(w1, b1, w2, b2, w3):
        def d(x):
            h = ops.tanh(ops.conv2d(x, w1, 2, 1) + b1).reshape(len(x), -1)
            return ops.softplus(ops.linear(h, w2, b2)) @ w3

        return PENALTIES[name](d, images(1), images(2), RNG(4))

    assert gradcheck(of, *weights) < 1e-6


def test_slopes_are_each_images_own():
    w = Tensor(RNG(0).standard_normal((32, 3)))

    def d(x):
        return ops.square(x.reshape(len(x), -1) @ w).sum(1, keepdims=True)

    x = images(1)
    together = squared_gradient_norms(d, x).data
    alone = [squared_gradient_norms(d, Tensor(x.data[i : i + 1])).item() for i in range(len(x.data))]
    np.testing.assert_allclose(together, alone, rtol=1e-12)


def where_the_slope_is_taken(penalty, x_real, x_fake):
    seen = []

    def d(x):
        seen.append(x.data)
        return x.reshape(len(x), -1).sum(1, keepdims=True)

    penalty(d, x_real, x_fake, RNG(0))
    return seen[0]


def test_wgan_gp_looks_between_a_real_and_a_generated_image_each():
    real, fake = images(1, n=50), images(2, n=50)
    x = where_the_slope_is_taken(wgan_gp, real, fake)
    share = ((x - fake.data) / (real.data - fake.data)).reshape(50, -1)
    np.testing.assert_allclose(share, share[:, :1] * np.ones(32), rtol=1e-6)
    assert share.min() > 0
    assert share.max() < 1
    assert share[:, 0].std() == pytest.approx(12**-0.5, rel=0.2)


def test_dragan_looks_around_real_images():
    real = Tensor(images(1, n=200).data * 3)
    moved = where_the_slope_is_taken(dragan, real, images(2, n=200)) - real.data
    assert moved.std() == pytest.approx(1.5, rel=0.05)
    assert abs(moved.mean()) < 0.1


def test_a_flat_d_has_finite_penalties():
    w = Tensor(np.zeros((32, 1), np.float32), requires_grad=True)
    x, y = (Tensor(images(i).data.astype(np.float32)) for i in (1, 2))
    for penalty in PENALTIES.values():
        value = penalty(lambda x: x.reshape(len(x), -1) @ w, x, y, RNG(0))
        assert value.dtype == np.float32
        assert np.isfinite(grad(value, w).data).all()


# --- Dirac-GAN --------------------------------------------------------------------------------------------------------


def dirac_field(name, place, penalty=None):
    """Where simultaneous gradient descent goes from (theta, psi) in Mescheder et al.'s Dirac-GAN, and its Jacobian.

    Data are all at 0, g makes theta, d(x) = psi x. For least squares plus 1/2, its value for "cannot tell".
    """
    loss, neutral = LOSSES[name], 0.5 if name == "least-squares" else 0.0
    theta, psi = (Tensor(np.full((1, 1), value), requires_grad=True) for value in place)

    def d(x):
        return x @ psi + neutral

    zero = Tensor(np.zeros((1, 1)))
    of_d = loss.d(d(zero), d(theta))
    if penalty:
        of_d = of_d + penalty(d, zero, theta.detach(), RNG(0))
    of_g = loss.g(d(theta))
    v = -grad(of_g, theta, create_graph=True), -grad(of_d, psi, create_graph=True)
    jacobian = [[g.item() for g in grad(part.sum(), [theta, psi], keep_graph=True)] for part in v]
    return np.array([part.item() for part in v]), np.array(jacobian)


SPEED = {"minimax": 0.5, "non-saturating": 0.5, "least-squares": 0.5, "hinge": 1.0, "wasserstein": 1.0}  # f'(0)


@pytest.mark.parametrize("name", LOSSES)
def test_the_bare_game_only_rotates(name):
    """Mescheder et al., arXiv:1801.04406, lemma 2.3: eigenvalues +-i f'(0) at the equilibrium."""
    v, jacobian = dirac_field(name, (0.0, 0.0))
    np.testing.assert_array_equal(v, 0)
    eigenvalues = sorted(np.linalg.eigvals(jacobian), key=lambda e: e.imag)
    np.testing.assert_allclose(eigenvalues, [-1j * SPEED[name], 1j * SPEED[name]], atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("penalty", [r1, r2])
def test_r1_and_r2_turn_the_rotation_into_an_inward_spiral(name, penalty):
    """Lemma 4.1: eigenvalues -gamma / 2 +- sqrt(gamma^2 / 4 - f'(0)^2)."""
    gamma = 0.4
    _, jacobian = dirac_field(name, (0.0, 0.0), lambda *a: penalty(*a, weight=gamma))
    root = np.emath.sqrt(gamma**2 / 4 - SPEED[name] ** 2)
    eigenvalues = sorted(np.linalg.eigvals(jacobian), key=lambda e: e.imag)
    np.testing.assert_allclose(eigenvalues, [-gamma / 2 - root, -gamma / 2 + root], atol=1e-12)


@pytest.mark.parametrize(("penalty", "end"), [(None, "away"), (r1, "home"), (wgan_gp, "neither")])
def test_simultaneous_descent_converges_with_r1_only(penalty, end):
    place = np.array([0.3, 0.3])
    for _ in range(400):
        place = place + 0.1 * dirac_field("wasserstein", place, penalty and (lambda *a: penalty(*a, weight=0.5)))[0]
    distance = np.linalg.norm(place)
    if end == "away":
        assert distance > 1
    elif end == "home":
        assert distance < 1e-3
    else:
        assert 0.2 < distance < 3


# --- from the config --------------------------------------------------------------------------------------------------

SMALL = {"batch": 4, "width": 4, "d_batch": None}
GAMES = [name for name, preset in presets.PRESETS.items() if isinstance(preset.config, GANConfig)]


def build(name, **changes):
    preset = presets.get(name)
    small = {field: value for field, value in SMALL.items() if hasattr(preset.config, field)}
    config = dataclasses.replace(preset.config, **small | changes)
    streams = random_streams(0)
    return preset.build(config, preset.default_shape, streams["init"]), preset.default_shape, streams["noise"]


def two_steps(system, shape, rng):
    n = getattr(system, "d_batch", system.batch)
    batch = RNG(1).uniform(-1, 1, (n, *shape)).astype(np.float32)
    if system.needs_labels:
        batch = (batch, np.arange(n))
    for _ in range(2):
        seen = system.step(itertools.repeat(batch), rng)
        assert all(np.isfinite(value) for value in seen.values()), seen
    return seen


@pytest.mark.parametrize("name", GAMES)
def test_every_preset_plays_every_loss(name):
    system, shape, rng = build(name)
    for loss in LOSSES.values():
        system.loss = loss
        two_steps(system, shape, rng)


@pytest.mark.parametrize(
    ("preset", "options"),
    [
        ("gan-2d", {"loss": "wasserstein", "penalty": "wgan-gp", "packing": 2, "d_steps": 3}),
        ("gan-2d", {"penalty": "dragan", "smoothing": 0.1, "average": 0.9, "fresh_noise": True}),
        ("dcgan-mnist", {"penalty": "r1", "packing": 2, "d_norm": "layer"}),
        ("dcgan-mnist", {"penalty": "r2", "spectral_norm": True, "d_norm": "none"}),
        ("dcgan-mnist", {"loss": "hinge", "spectral_norm": True, "average": 0.9}),
        (
            "infogan-paper",
            {"loss": "hinge", "penalty": "dragan", "d_norm": "layer", "spectral_norm": True, "average": 0.9},
        ),
    ],
)
def test_options_take_two_finite_steps_together(preset, options):
    system, shape, rng = build(preset, **options)
    start = system.g.state_dict()
    seen = two_steps(system, shape, rng)
    assert ("penalty" in seen) == ("penalty" in options)
    assert ("g_average" in system.modules) == ("average" in options)
    if "average" in options:
        mean, last = system.average.module.state_dict(), system.g.state_dict()
        assert all(start[name].max() != array.max() != last[name].max() for name, array in mean.items())


def test_wgan_keeps_all_of_d_clipped():
    system, shape, rng = build("dcgan-mnist", loss="wasserstein", clip=0.01, d_steps=2)
    two_steps(system, shape, rng)
    largest = [np.abs(parameter.data).max() for parameter in system.d.parameters()]
    assert max(largest) == np.float32(0.01)
    assert max(np.abs(parameter.data).max() for parameter in system.g.parameters()) > 0.01


def test_the_choices_of_the_config_are_the_tables():
    types = {field.name: field.type for field in dataclasses.fields(GANConfig)}
    assert get_args(types["loss"]) == tuple(LOSSES)
    assert set(get_args(types["penalty"])) == {"none", *PENALTIES}


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("dcgan", {"loss": "hing"}, "loss: unknown 'hing'; did you mean hinge"),
        ("dcgan", {"penalty": "gp"}, "penalty: unknown 'gp'; did you mean wgan-gp"),
        ("dcgan", {"d_norm": "weight"}, "d_norm: unknown 'weight'; there are batch, layer, none"),
        ("dcgan", {"smoothing": -0.1}, r"smoothing: must be in \[0, 1\), got -0.1"),
        ("dcgan", {"clip": 0.0}, "clip: must be positive and finite, got 0.0"),
        ("dcgan", {"average": 1.0}, r"average: must be in \(0, 1\), got 1.0"),
        ("dcgan", {"packing": 0}, "packing: must be at least 1, got 0"),
        ("dcgan", {"packing": 3}, "packing: expected a divisor of the batch, 128, got 3"),
        (
            "dcgan",
            {"penalty_weight": 1.0},
            "penalty_weight: 1 has no effect without --penalty",
        ),
        ("dcgan", {"loss": "hinge", "smoothing": 0.1}, "smoothing: loss hinge has no labels to smooth"),
        ("dcgan", {"loss": "wasserstein"}, "loss: wasserstein has no minimum unless .* give --penalty wgan-gp, --clip"),
        (
            "dcgan",
            {"clip": 0.1, "penalty": "r1"},
            "clip: bounds the discriminator's gradient, as penalty does; give one",
        ),
        (
            "dcgan",
            {"clip": 0.1, "spectral_norm": True},
            "clip: bounds the discriminator's gradient, as spectral_norm does",
        ),
        ("infogan", {"d_steps": 5}, "d_steps: expected 1, got 5; each network is updated once per iteration here"),
        ("infogan", {"packing": 2}, "packing: expected 1, got 2; Q reads each image by itself"),
        ("acgan", {"packing": 2}, "packing: expected 1, got 2; Q reads each image by itself"),
        ("cgan", {"packing": 2}, "packing: expected 1, got 2; the discriminator is given the class of each image"),
        (
            "infogan",
            {"clip": 0.1},
            "clip: expected None, got 0.1; Q shares layers with the discriminator; give --penalty",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(preset, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(presets.get(preset).config, **changes)


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("dcgan-mnist", {"penalty": "r1"}, "penalty: r1 needs outputs .* batch normalisation of dcgan-mnist's .* "),
        ("infogan", {"penalty": "dragan"}, "give --d-norm layer, or none, with it"),
        ("gan-2d", {"d_norm": "layer"}, "d_norm: the discriminator of gan-2d has no batch normalisation to replace"),
    ],
)
def test_options_that_do_not_fit_the_preset_are_refused(preset, changes, message):
    with pytest.raises(ValueError, match=message):
        build(preset, **changes)


def test_a_penalty_counts_a_pack_as_one_image():
    system, shape, _ = build("dcgan-mnist", packing=2, penalty="r1", d_norm="none")
    assert isinstance(system.d.layers[3], nn.Bias)
    x = Tensor(RNG(0).standard_normal((2, 28, 28, 2 * shape[-1]), np.float32))
    assert squared_gradient_norms(system.d, x).shape == (2,)
