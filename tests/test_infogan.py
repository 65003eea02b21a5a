"""Who learns from the information bound, in each of the ways to ascend it; and codes are what their words declare."""

import dataclasses

import numpy as np
import pytest

from minigan import Tensor, gradcheck, nn, ops, presets, runs
from minigan.latents import Categorical, Gaussian, Latents, Noise, Uniform, codes
from minigan.models import gan
from minigan.training import checkpoint
from minigan.training.steps import INFORMATION, gan_step, infogan_step
from minigan.training.systems import InfoGAN
from minigan.training.trainer import random_streams

RNG = np.random.default_rng

# What the bound must change, and what it must leave as a plain GAN would have it, in one iteration.
LEARNERS = {
    "both": {"g", "trunk", "q"},
    "generator": {"g", "q"},
    "separate": {"g", "q"},
    "joint": {"g", "trunk", "q"},
    "none": {"q"},
}


def networks(latents, information="both"):
    g = gan.mlp_generator(latents.size, 16, rng=RNG(0))
    d = nn.TrunkAndHead(
        nn.Sequential(nn.Linear(2, 16, rng=RNG(1)), nn.LeakyReLU(0.1)), nn.Sequential(nn.Linear(16, 1, rng=RNG(2)))
    )
    q = nn.Sequential(nn.Linear(16, latents.q_size, rng=RNG(3)))
    if information == "separate":
        q = nn.Sequential(nn.Linear(2, 16, rng=RNG(4)), nn.LeakyReLU(0.1), *q.layers)
    return g, d, q


def system(information, weight=1.0, lr=1e-2, batch=32, fresh_noise=True, **more):
    """A small InfoGAN whose optimisers hold what the presets' would."""
    latents = Latents(Noise(2), Categorical(3), Uniform())
    config = dataclasses.replace(presets.get("infogan-paper").config, information=information, lr_g=lr, lr_d=lr)
    g, d, q = networks(latents, information)
    optimizers = presets.infogans._optimizers(config, g, d, q)
    options = {"weight": weight, "information": information, "fresh_noise": fresh_noise, **more}
    return InfoGAN(g, d, q, latents, *optimizers, batch=batch, **options)


def batches(batch=32):
    rng = RNG(7)
    while True:
        yield rng.standard_normal((batch, 2), np.float32)


def parts(built):
    trunk, head = built.d.trunk, built.d.head
    return {"g": built.g, "trunk": trunk, "head": head, "q": built.q}


def moved(before, after):
    return not all(np.array_equal(before[name], after[name]) for name in before)


# --- who learns -------------------------------------------------------------------------------------------------------


def test_every_way_is_tested():
    assert list(LEARNERS) == list(INFORMATION)


def descend(params, grads, *_):
    for param, grad in zip(params, grads, strict=True):
        param -= 0.1 * grad


@pytest.mark.parametrize("information", INFORMATION)
def test_the_bound_reaches_whom_it_should_and_nobody_else(information):
    # Two iterations that differ in the weight of the bound alone differ in exactly those who learn from it. One step of
    # SGD each, where a difference is the bound's gradient; Adam would show its sign only.
    after = []
    for weight in (0.5, 2.0):
        built = system(information, weight)
        for optimizer in built.optimizers.values():
            optimizer._update = descend
        built.step(batches(), RNG(1))
        after.append({name: module.state_dict() for name, module in parts(built).items()})
    different = {name for name in after[0] if moved(after[0][name], after[1][name])}
    # In "both" d's update comes before g's, and the head's gradient does not depend on the bound.
    assert different == LEARNERS[information]


@pytest.mark.parametrize("information", INFORMATION)
def test_q_learns_in_every_way_and_the_rest_of_d_plays_on(information):
    built = system(information)
    before = {name: module.state_dict() for name, module in parts(built).items()}
    built.step(batches(), RNG(1))
    assert all(moved(before[name], module.state_dict()) for name, module in parts(built).items())


def test_without_information_it_is_a_plain_gan_bit_for_bit():
    informed, plain = system("none"), system("none")
    reader, rng, data = plain.q.state_dict(), RNG(1), batches()
    informed.step(batches(), RNG(1))
    z, z_g = plain.latents.sample(rng, 32), plain.latents.sample(rng, 32)
    gan_step(plain.g, plain.d, plain.optimizers["g"], plain.optimizers["d"], Tensor(next(data)), Tensor(z), Tensor(z_g))
    for name in ("g", "d"):
        for key, array in informed.modules[name].state_dict().items():
            np.testing.assert_array_equal(array, plain.modules[name].state_dict()[key], err_msg=f"{name}.{key}")
    assert moved(reader, informed.q.state_dict())


@pytest.mark.parametrize("information", INFORMATION)
def test_without_fresh_noise_g_learns_from_the_fakes_that_d_saw(information):
    built, again = (system(information, fresh_noise=fresh) for fresh in (False, True))
    made = []
    make = type(built.g).__call__
    built.g.__class__ = type("Counted", (type(built.g),), {"__call__": lambda g, z: made.append(z) or make(g, z)})
    built.step(batches(), RNG(1))
    assert len(made) == (2 if information in ("joint", "none") else 1)  # once more for an update of the information's
    rng = RNG(1)
    rows, rows_q = again.latents.sample(rng, 32), again.latents.sample(rng, 32)
    given = iter([rows, rows, rows_q])
    again.latents.sample = lambda rng, n: next(given)
    again.step(batches(), RNG(1))
    for name in ("g", "d", "q"):
        for key, array in again.modules[name].state_dict().items():
            np.testing.assert_allclose(built.modules[name].state_dict()[key], array, rtol=1e-5, atol=1e-7)


def test_a_smaller_batch_of_fakes_for_d_needs_fresh_noise():
    config = presets.get("infogan").config
    assert config.fresh_noise
    assert config.d_batch < config.batch
    with pytest.raises(ValueError, match="d_batch: expected the batch, 64, got 32; give --fresh-noise"):
        dataclasses.replace(config, fresh_noise=False)
    with pytest.raises(ValueError, match="d_batch: expected the batch, 32, or fresh_noise with it, got 16 alone"):
        system("both", d_batch=16, fresh_noise=False)


@pytest.mark.parametrize("option", ["packing", "d_steps", "simultaneous"])
def test_what_infogan_has_no_use_for_is_refused(option):
    with pytest.raises(TypeError, match=option):
        system("both", **{option: 2})


@pytest.mark.parametrize("information", ["both", "generator", "separate", "joint"])
def test_the_code_is_learnt(information):
    built = system(information, batch=64)
    data = batches(64)
    for step in range(200):
        seen = built.step(data, RNG(step))
    assert 0.6 * np.log(3) < seen["information_nats_0"] <= np.log(3) + 1e-6
    assert seen["information_nats"] == pytest.approx(seen["information_nats_0"] + seen["information_nats_1"])


def test_a_generator_that_is_not_asked_hides_the_code():
    # On points of a Gaussian a plain GAN has no use for the code: beside it Q stays poor where InfoGAN's is rich.
    known = {}
    for information in ("none", "both"):
        built, data = system(information, batch=64), batches(64)
        for step in range(200):
            seen = built.step(data, RNG(step))
        known[information] = float(seen["information_nats_0"])
    assert known["none"] < 0.5 * known["both"]


@pytest.mark.parametrize("information", ["joint", "none"])
def test_the_third_update_has_its_own_optimiser_and_latent_rows(information):
    built = system(information)
    drawn = []
    sample = built.latents.sample
    built.latents.sample = lambda rng, n: drawn.append(sample(rng, n)) or drawn[-1]
    built.step(batches(), RNG(1))
    assert built.optimizers["q"].steps == 1
    assert len(drawn) == 3
    assert not np.array_equal(drawn[1], drawn[2])


def test_without_weight_both_is_a_plain_gan():
    latents = Latents(Noise(2), Categorical(3))
    built, plain = (system("both", weight=0.0) for _ in range(2))
    z, z_g = latents.sample(RNG(1), 32), latents.sample(RNG(2), 32)
    z, z_g = (np.pad(rows, ((0, 0), (0, 1))) for rows in (z, z_g))
    x_real = Tensor(next(batches()))
    o, p = built.optimizers, plain.optimizers
    infogan_step(built.g, built.d, built.q, o["g"], o["d"], x_real, z, z_g, built.latents, weight=0.0)
    gan_step(plain.g, plain.d, p["g"], p["d"], x_real, Tensor(z), Tensor(z_g))
    for name in ("g", "d"):
        for key, array in built.modules[name].state_dict().items():
            np.testing.assert_allclose(array, plain.modules[name].state_dict()[key], rtol=1e-5, atol=1e-7)


# --- reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("information", ["both", "separate"])
def test_reading_gives_probabilities_and_moments_and_changes_nothing(information):
    built = system(information)
    before = {name: module.state_dict() for name, module in parts(built).items()}
    x = RNG(3).standard_normal((300, 2), np.float32)
    category, value = built.read(x)
    assert category.shape == (300, 3)
    np.testing.assert_allclose(category.sum(axis=1), 1, rtol=1e-5)
    assert value.shape == (300, 2)
    assert (value[:, 1] > 0).all()
    np.testing.assert_allclose(built.read(x[7:9])[0], category[7:9], rtol=1e-5)
    assert not any(moved(before[name], module.state_dict()) for name, module in parts(built).items())
    assert built.q.training


@pytest.mark.parametrize("information", ["both", "separate"])
def test_reading_by_batch_is_reading_as_in_training_and_changes_nothing(information):
    built = system(information)
    built.q.layers.insert(int(information == "separate"), nn.BatchNorm(16))
    x = RNG(3).standard_normal((300, 2), np.float32)
    before = {name: module.state_dict() for name, module in parts(built).items()}
    category = built.read(x, by_batch=True)[0]
    assert not any(moved(before[name], module.state_dict()) for name, module in parts(built).items())
    assert abs(category - built.read(x)[0]).max() > 0.01
    read = built.q if information == "separate" else lambda images: built.q(built.d.trunk(images))
    np.testing.assert_array_equal(category, built.latents.read(read(Tensor(x)))[0])
    assert len(built.read(RNG(4).standard_normal((2001, 2), np.float32), by_batch=True)[0]) == 2001


# --- codes ------------------------------------------------------------------------------------------------------------


def test_words_declare_codes():
    assert codes(["10", "uniform", "gaussian"], weight=0.3) == [Categorical(10), Uniform(0.3), Gaussian(0.3)]
    assert codes(("4", "7")) == [Categorical(4), Categorical(7)]
    assert codes(["uniform"], std=1.0) == [Uniform(0.1, 1.0)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "codes: expected at least one, such as 10, uniform or gaussian"),
        (
            ["10", "unifrom"],
            "codes: expected a number of classes or a distribution, got 'unifrom'; did you mean uni",
        ),
        (["-3"], "codes: expected a number of classes or a distribution, got '-3'; there are uniform, gaussian$"),
        (["1"], "Categorical: a code needs at least 2 classes, got 1"),
    ],
)
def test_words_that_declare_nothing_are_refused(words, message):
    with pytest.raises(ValueError, match=message):
        codes(words)
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(presets.get("infogan").config, codes=tuple(words))


def test_a_fixed_deviation_is_half_the_squared_error():
    latents = Latents(Uniform(std=1.0))
    assert latents.q_size == 1
    q, z = RNG(0).standard_normal((5, 1)), RNG(1).uniform(-1, 1, (5, 1))
    (bound,) = latents.information(Tensor(q), z)
    half = 0.5 * ((q - z) ** 2).mean()
    assert bound.item() == pytest.approx(np.log(2) - 0.5 * np.log(2 * np.pi) - half, abs=1e-12)
    mean, std = latents.read(Tensor(q))[0].T
    np.testing.assert_array_equal(mean, q[:, 0])
    np.testing.assert_array_equal(std, 1)


def test_a_deviation_must_be_positive():
    with pytest.raises(ValueError, match="Gaussian: std must be positive or None, got 0"):
        Gaussian(std=0.0)


@pytest.mark.parametrize("std", [None, 0.5])
def test_the_bounds_gradient_is_right_for_every_kind_of_code(std):
    latents = Latents(Noise(2), Categorical(3), Uniform(std=std), Categorical(2), Gaussian(std=std))
    z = latents.sample(RNG(0), 4).astype(np.float64)
    q = RNG(1).standard_normal((4, latents.q_size))
    gradcheck(lambda q: latents.objective(latents.information(q, z)), q)


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_the_bound_is_finite_at_the_extremes(logit):
    latents = Latents(Categorical(3), Uniform(), Gaussian(std=1.0))
    z = latents.sample(RNG(0), 8)
    q = Tensor(np.full((8, latents.q_size), logit, np.float32), requires_grad=True)
    bounds = latents.information(q, z)
    latents.objective(bounds).backward()
    assert all(np.isfinite(bound.data) for bound in bounds)
    assert np.isfinite(q.grad).all()


# --- the presets ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("20",), ("10", "uniform", "uniform"), ("10", "gaussian", "gaussian"), ("3", "5")])
@pytest.mark.parametrize("continuous", ["nll", "mse"])
def test_any_list_of_codes_builds(words, continuous):
    config = dataclasses.replace(presets.get("infogan").config, codes=words, continuous=continuous)
    built = presets.get("infogan").build(config, (28, 28, 1), random_streams(0)["init"])
    assert [part.size for part, _ in built.latents.codes] == [int(w) if w.isdecimal() else 1 for w in words]
    features = ops.reshape(Tensor(np.zeros((2, 7 * 7 * 128), np.float32)), 2, -1)
    assert built.q(features).shape == (2, built.latents.q_size)


@pytest.mark.parametrize("information", INFORMATION)
def test_the_presets_optimisers_hold_what_the_table_says(information):
    config = dataclasses.replace(presets.get("infogan-paper").config, information=information)
    built = presets.get("infogan-paper").build(config, (28, 28, 1), random_streams(0)["init"])
    held = {name: {id(p) for _, p in o.named} for name, o in built.optimizers.items()}
    own = {name: {id(p) for p in module.parameters()} for name, module in parts(built).items()}
    expected = {
        "both": {"g": own["g"], "d": own["trunk"] | own["head"] | own["q"]},
        "generator": {"g": own["g"] | own["q"], "d": own["trunk"] | own["head"]},
        "separate": {"g": own["g"] | own["q"], "d": own["trunk"] | own["head"]},
        "joint": {"g": own["g"], "d": own["trunk"] | own["head"], "q": own["g"] | own["trunk"] | own["q"]},
        "none": {"g": own["g"], "d": own["trunk"] | own["head"], "q": own["q"]},
    }
    assert held == expected[information]
    assert (information == "separate") == (not own["q"] & own["trunk"] and len(own["q"]) > 6)


@pytest.mark.parametrize("information", INFORMATION)
def test_q_may_learn_at_a_rate_of_its_own(information):
    config = dataclasses.replace(presets.get("infogan-paper").config, information=information)
    trained = []
    for lr_q in (None, 1e-9):
        built = presets.get("infogan-paper").build(
            dataclasses.replace(config, lr_q=lr_q, batch=4), (28, 28, 1), random_streams(0)["init"]
        )
        before = {name: module.state_dict() for name, module in parts(built).items()}
        digits = RNG(0).uniform(-1, 1, (4, 28, 28, 1)).astype(np.float32)
        built.step(iter([digits]), RNG(1))
        weights = [name for name, _ in built.q.named_parameters() if name.endswith("w")]
        after = {name: module.state_dict() for name, module in parts(built).items()}
        trained.append(after)
        far = max(abs(after["q"][name] - before["q"][name]).max() for name in weights)
        assert far < 1e-7 if lr_q else far > 1e-5
        assert all(moved(before[name], after[name]) for name in ("g", "trunk", "head"))
    assert not moved(trained[0]["head"], trained[1]["head"])  # d's game is the same


def test_a_rate_of_q_must_be_positive():
    with pytest.raises(ValueError, match="lr_q: must be positive and finite, got 0"):
        dataclasses.replace(presets.get("infogan-paper").config, lr_q=0.0)


def test_a_run_with_two_rates_resumes_bit_for_bit(tmp_path):
    config = dataclasses.replace(presets.get("infogan-paper").config, lr_q=1e-3, batch=8, steps=4, samples=10)
    whole = runs.train(config, tmp_path / "whole", quiet=True, device="cpu")
    parted = runs.train(dataclasses.replace(config, steps=2), tmp_path / "parted", quiet=True, device="cpu")
    runs.train(dataclasses.replace(config, steps=4), resume=parted, quiet=True, device="cpu")
    states = [checkpoint.load(run / "checkpoint.npz")[0] for run in (whole, parted)]
    assert states[0].keys() == states[1].keys()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
