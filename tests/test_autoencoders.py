"""The bounds are those of the papers, to the last nat; each test is a mistake that other code ships."""

from dataclasses import replace

import numpy as np
import pytest

from minigan import Tensor, device, grad, gradcheck, nn, ops, optim, presets
from minigan.data import Dataset
from minigan.latents import Latents, Noise
from minigan.models.autoencoder import CodeGaussian, GaussianEncoder, dense_decoder, dense_layers
from minigan.models.likelihood import LOG_STD_FLOOR, Bernoulli, Gaussian
from minigan.scores import fitting
from minigan.scores.bounds import BoundScores
from minigan.training.steps import autoencoder_step, importance_step, vae_step
from minigan.training.steps.autoencoder import gaussian_kl, log_likelihood, log_ratio, reparameterise
from minigan.training.systems import VAE
from minigan.training.trainer import Batches, random_streams

RNG = np.random.default_rng
SHAPE = (4, 5, 1)


def images(n=12, seed=0):
    return RNG(seed).uniform(-1, 1, (n, *SHAPE)).astype(np.float32)


def networks(z=2, seed=0, hidden=8):
    rng = RNG(seed)
    encoder = GaussianEncoder(dense_layers(SHAPE, hidden, rng=rng), SHAPE, hidden, z, rng=rng)
    return encoder, dense_decoder(z, SHAPE, hidden, rng=rng)


def vae(z=2, *, likelihood=None, **options):
    encoder, decoder = networks(z)
    likelihood = likelihood or Bernoulli()
    opt = optim.Adam(encoder, decoder, likelihood, lr=1e-2)
    return VAE(encoder, decoder, likelihood, Latents(Noise(z)), opt, batch=12, **options)


def silence(*modules):
    """Set all weights to zero: logits 0, mean 0, log-variance 0."""
    for module in modules:
        for parameter in module.parameters():
            parameter.assign_(np.zeros(parameter.shape))


# --- the parts of the bound -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mean", "logvar"), [(0.0, 0.0), (0.7, -1.2), (-2.0, 1.5), (0.1, -6.0)])
def test_kl_is_the_integral_of_its_definition(mean, logvar):
    std = np.exp(logvar / 2)
    z = np.linspace(mean - 12 * std, mean + 12 * std, 20001)
    log_q = -0.5 * ((z - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    log_p = -0.5 * z**2 - 0.5 * np.log(2 * np.pi)
    expected = np.trapezoid(np.exp(log_q) * (log_q - log_p), z)
    got = gaussian_kl(Tensor(np.array([[mean]])), Tensor(np.array([[logvar]])))
    assert got.shape == (1,)
    assert got.item() == pytest.approx(expected, abs=1e-8)


def test_kl_adds_up_codes_and_has_the_right_slopes():
    mean, logvar = RNG(0).standard_normal((2, 3, 4))
    rows = [gaussian_kl(Tensor(mean[:, [i]]), Tensor(logvar[:, [i]])).data for i in range(4)]
    np.testing.assert_allclose(gaussian_kl(Tensor(mean), Tensor(logvar)).data, np.sum(rows, axis=0))
    gradcheck(gaussian_kl, mean, logvar, order=2)


def test_noise_is_scaled_by_the_deviation_not_by_the_variance():
    z = reparameterise(Tensor(np.full((1, 1), 3.0)), Tensor(np.full((1, 1), np.log(4.0))), Tensor(np.ones((1, 1, 1))))
    assert z.item() == pytest.approx(3 + 2)


def test_reconstruction_sums_over_pixels():
    """A decoder that knows nothing pays ln 2 for each of the pixels, not for one; silent codes cost nothing."""
    encoder, decoder = networks()
    silence(encoder, decoder)
    x = Bernoulli().pixels(images())
    seen = vae_step(
        encoder, decoder, Bernoulli(), optim.SGD(decoder, lr=1e-9), x, Tensor(np.zeros((3, 12, 2), np.float32))
    )
    assert seen["reconstruction_nats"] == pytest.approx(20 * np.log(2), rel=1e-6)
    assert seen["kl_nats"] == 0
    assert seen["elbo_nats"] == pytest.approx(-20 * np.log(2), rel=1e-6)


@pytest.mark.parametrize("logvar", [-50.0, 50.0])
@pytest.mark.parametrize("logit", [-1e4, 1e4])
@pytest.mark.parametrize("likelihood", [Bernoulli(), Gaussian(), Gaussian(0.01)])
def test_extremes_are_finite_forward_and_backward(logvar, logit, likelihood):
    mean = Tensor(np.full((2, 3), 30, np.float32), requires_grad=True)
    spread = Tensor(np.full((2, 3), logvar, np.float32), requires_grad=True)
    noise = Tensor(RNG(0).standard_normal((4, 2, 3), np.float32))
    z = reparameterise(mean, spread, noise)
    logits = Tensor(np.full((8, *SHAPE), logit, np.float32), requires_grad=True)
    pixels = likelihood.pixels(images(8))
    bound = ops.logsumexp(likelihood.log_prob(logits, pixels).reshape(4, 2) - log_ratio(z, noise, spread), 0).mean()
    (bound - gaussian_kl(mean, spread).mean()).backward()
    assert np.isfinite(bound.data)
    assert all(np.isfinite(t.grad).all() for t in (mean, spread, logits))


def test_beta_weighs_the_kl_in_the_loss_alone():
    system, x = vae(), Bernoulli().pixels(images())
    noise = Tensor(RNG(1).standard_normal((1, 12, 2), np.float32))
    seen = vae_step(
        system.encoder, system.decoder, system.likelihood, system.optimizers["autoencoder"], x, noise, beta=4.0
    )
    assert seen["loss_nats"] == pytest.approx(seen["reconstruction_nats"] + 4 * seen["kl_nats"], rel=1e-6)
    assert seen["elbo_nats"] == pytest.approx(-seen["reconstruction_nats"] - seen["kl_nats"], rel=1e-6)


# --- likelihoods ------------------------------------------------------------------------------------------------------


def test_pixels_are_the_unit_interval_and_images_come_back():
    x = np.array([-1, -0.5, 0, 1], np.float32).reshape(4, 1, 1, 1)
    pixels = Bernoulli().pixels(x)
    np.testing.assert_allclose(pixels.ravel(), [0, 0.25, 0.5, 1])
    middle = pixels[1:3].astype(np.float64)
    logits = Tensor(np.log(middle / (1 - middle)))
    np.testing.assert_allclose(Bernoulli().images(logits).data, x[1:3], atol=1e-12)


def test_binarised_pixels_are_coins_thrown_afresh_in_training_only():
    likelihood, grey = Bernoulli(binarise=True), np.full((20_000, 1, 1, 1), -0.5, np.float32)
    one, two = (likelihood.pixels(grey, RNG(seed)) for seed in (0, 1))
    assert set(np.unique(one)) == {0, 1}
    assert one.mean() == pytest.approx(0.25, abs=0.01)
    assert (one != two).any()
    np.testing.assert_array_equal(likelihood.pixels(grey), np.full_like(grey, 0.25))
    black_and_white = np.array([-1, 1], np.float32).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(likelihood.pixels(black_and_white, RNG(0)).ravel(), [0, 1])


def test_bernoulli_is_a_probability_of_binary_images():
    logits = Tensor(RNG(0).standard_normal((8, 1, 3, 1)))
    all_images = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, 8).T.reshape(8, 1, 3, 1).astype(float)
    same = Tensor(np.repeat(logits.data[:1], 8, axis=0))
    assert np.exp(Bernoulli().log_prob(same, all_images).data).sum() == pytest.approx(1)


@pytest.mark.parametrize("likelihood", [Gaussian(0.3), Gaussian()])
def test_gaussian_is_a_density_of_pixels(likelihood):
    t = np.linspace(-20, 21, 40_001)
    density = np.exp(likelihood.log_prob(Tensor(np.full((len(t), 1, 1, 1), 0.4)), t.reshape(-1, 1, 1, 1)).data)
    assert np.trapezoid(density, t) == pytest.approx(1, abs=1e-6)
    assert t[density.argmax()] == pytest.approx(1 / (1 + np.exp(-0.4)), abs=1e-3)


def test_the_deviation_is_learnt_and_kept_above_its_floor():
    logits, pixels = RNG(0).standard_normal((5, *SHAPE)), RNG(1).uniform(0, 1, (5, *SHAPE))

    def of(x, raw):
        likelihood = Gaussian()
        likelihood.raw = raw
        return likelihood.log_prob(x, pixels)

    gradcheck(of, logits, [0.3])
    collapsed = Gaussian()
    collapsed.raw.assign_([-1e4])
    assert collapsed.log_std.item() == pytest.approx(LOG_STD_FLOOR)
    assert Gaussian(0.1).parameters() == []
    assert repr(Gaussian(0.1)) == "Gaussian, standard deviation 0.1"


def test_a_learnt_deviation_ends_at_the_root_of_the_mean_squared_error():
    likelihood, logits = Gaussian(), Tensor(RNG(0).standard_normal((50, *SHAPE)))
    pixels = 1 / (1 + np.exp(-logits.data)) + 0.2 * RNG(1).standard_normal((50, *SHAPE))
    opt = optim.Adam(likelihood.astype(np.float64), lr=0.05)
    for _ in range(300):
        opt.zero_grad()
        (-likelihood.log_prob(logits, pixels).mean()).backward()
        opt.step()
    error = np.sqrt(np.mean((pixels - 1 / (1 + np.exp(-logits.data))) ** 2))
    assert np.exp(likelihood.log_std.item()) == pytest.approx(error, rel=1e-3)


# --- the importance-weighted bound ------------------------------------------------------------------------------------


def test_with_one_code_the_importance_weighted_bound_is_the_elbo():
    system, x = vae(), Bernoulli().pixels(images())
    noise = Tensor(RNG(1).standard_normal((1, 12, 2), np.float32))
    seen = importance_step(
        system.encoder, system.decoder, system.likelihood, system.optimizers["autoencoder"], x, noise
    )
    assert seen["loss_nats"] == pytest.approx(-seen["elbo_nats"], rel=1e-6)
    assert seen["elbo_nats"] == pytest.approx(-seen["reconstruction_nats"] - seen["kl_nats"], rel=1e-6)


def test_the_importance_weighted_loss_is_that_of_the_mean_weight():
    encoder, decoder = networks()
    x, noise = Bernoulli().pixels(images()), Tensor(RNG(1).standard_normal((3, 12, 2), np.float32))
    mean, logvar = encoder(Tensor(x))
    z = reparameterise(mean, logvar, noise)
    log_weights = log_likelihood(decoder, Bernoulli(), x, z) - log_ratio(z, noise, logvar)
    a = log_weights.data.astype(np.float64)
    share = np.exp(a - np.logaddexp.reduce(a, axis=0))
    parameters = encoder.parameters() + decoder.parameters()
    expected = grad(-(log_weights * share.astype(np.float32)).sum(0).mean(), parameters)  # arXiv:1509.00519, section 3
    seen = importance_step(encoder, decoder, Bernoulli(), optim.SGD(encoder, decoder, lr=1e-9), x, noise)
    assert seen["loss_nats"] == pytest.approx(-np.log(np.exp(a).mean(axis=0)).mean(), rel=1e-6)
    assert -seen["elbo_nats"] == pytest.approx(-a.mean(), rel=1e-6)
    for parameter, gradient in zip(parameters, expected, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient.data, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("step", ["vae_step", "importance_step"])
def test_a_step_draws_k_codes_for_each_image(step, monkeypatch):
    drawn = []
    monkeypatch.setattr(f"minigan.training.systems.autoencoder.{step}", lambda *given, **_: drawn.append(given[-1]))
    vae(k=3, importance=step == "importance_step").step(iter([images()]), RNG(0))
    assert drawn[0].shape == (3, 12, 2)
    assert len(np.unique(drawn[0].data)) == drawn[0].size


def test_log_ratio_is_that_of_the_densities():
    rng = RNG(0)
    mean, logvar, noise = rng.standard_normal((3, 2)), rng.standard_normal((3, 2)), rng.standard_normal((5, 3, 2))
    z = mean + np.exp(logvar / 2) * noise
    log_q = -0.5 * (z - mean) ** 2 / np.exp(logvar) - 0.5 * logvar
    expected = (log_q + 0.5 * z**2).sum(axis=2)
    np.testing.assert_allclose(log_ratio(Tensor(z), Tensor(noise), Tensor(logvar)).data, expected)


def test_the_bounds_slopes_are_right():
    _, decoder = networks()
    decoder.astype(np.float64)
    x, noise = Bernoulli().pixels(images(3)).astype(np.float64), Tensor(RNG(1).standard_normal((4, 3, 2)))

    def bound(mean, logvar):
        z = reparameterise(mean, logvar, noise)
        weights = log_likelihood(decoder, Bernoulli(), x, z) - log_ratio(z, noise, logvar)
        return ops.logsumexp(weights, 0)

    gradcheck(bound, RNG(2).standard_normal((3, 2)), RNG(3).standard_normal((3, 2)), tolerance=1e-5)


def test_log_likelihood_estimates_the_integral_over_codes():
    system = vae(1)
    for parameter in system.decoder.parameters():
        parameter.assign_(3 * parameter.data)  # so that the code matters
    x = images(4)
    z = np.linspace(-8, 8, 4001)
    codes = Tensor(np.tile(z.astype(np.float32)[:, None, None], (1, 4, 1)))
    joint = log_likelihood(system.decoder, system.likelihood, system.likelihood.pixels(x), codes).data.astype(float)
    joint += (-0.5 * z**2 - 0.5 * np.log(2 * np.pi))[:, None]
    exact = np.log(np.trapezoid(np.exp(joint), z, axis=0))
    estimate = system.log_likelihood_nats(x, RNG(0), k=20_000, at_a_time=3000)
    np.testing.assert_allclose(estimate, exact, atol=0.02)
    assert (np.mean([system.elbo_nats(x, RNG(seed))[0] for seed in range(200)], axis=0) < exact).all()


def test_binarised_pixels_are_drawn_for_measurements_as_well():
    x, rng = images(), RNG(0)
    coins = (rng.uniform(0, 1, x.shape) < (x + 1) / 2) * np.float32(2) - 1
    state = rng.bit_generator.state
    system, given = vae(likelihood=Bernoulli(binarise=True)), vae()
    np.testing.assert_allclose(system.elbo_nats(x, RNG(0)), given.elbo_nats(coins, rng), rtol=1e-6)
    rng.bit_generator.state = state
    expected = given.log_likelihood_nats(coins, rng, 3)
    np.testing.assert_allclose(system.log_likelihood_nats(x, RNG(0), 3), expected, rtol=1e-6)


def test_the_bound_grows_with_its_codes():
    system, x = vae(), images(200)
    bounds = [np.mean([system.log_likelihood_nats(x, RNG(s), k).mean() for s in range(3)]) for k in (1, 8, 64)]
    assert bounds[0] < bounds[1] < bounds[2]


def test_measuring_in_parts_is_measuring(monkeypatch):
    system, x = vae(), images(40)
    elbo, reconstruction, kl = system.elbo_nats(x, RNG(0))
    assert elbo.dtype == np.float64
    np.testing.assert_allclose(elbo, -reconstruction - kl)
    assert (kl > 0).all()
    monkeypatch.setattr("minigan.training.systems.modes.ROWS", 7)
    np.testing.assert_allclose(system.elbo_nats(x, RNG(0))[2], kl, rtol=1e-5)
    assert system.log_likelihood_nats(x, RNG(0), 3).shape == (40,)
    with pytest.raises(ValueError, match="k: expected at least 1 code per image, got 0"):
        system.log_likelihood_nats(x, RNG(0), 0)


def test_a_vae_is_scored_by_its_bounds_on_unseen_images():
    system, test = vae(), Dataset(images(50), None, "test", "drawn here")
    found = BoundScores(test)(system, RNG(0))
    elbo, reconstruction, kl = system.elbo_nats(test.images, RNG(0))
    assert found["minus_elbo_nats"].value == pytest.approx(-elbo.mean())
    assert found["minus_elbo_nats"].error == pytest.approx(elbo.std(ddof=1) / np.sqrt(50))
    assert found["reconstruction_nats"].value == pytest.approx(reconstruction.mean())
    assert found["kl_nats"].value == pytest.approx(kl.mean())
    assert found["minus_log_likelihood_100_nats"].value < found["minus_elbo_nats"].value
    train = Dataset(-test.images, None, "train", "drawn here")
    yardsticks = fitting(system, train, test, RNG(0), n=10)
    assert any(isinstance(yardstick, BoundScores) for yardstick in yardsticks)


# --- systems ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"k": 3}, {"k": 3, "importance": True}, {"beta": 0.5}])
@pytest.mark.parametrize("likelihood", [Bernoulli, lambda: Bernoulli(binarise=True), Gaussian])
def test_every_parameter_learns_and_the_bound_rises(options, likelihood):
    system = vae(likelihood=likelihood(), **options)
    x = np.repeat(np.sign(images(2)), 12, axis=0)
    batches, rng = Batches(x, 12, RNG(0)), RNG(1)
    before = {name: module.state_dict() for name, module in system.modules.items()}
    first = float(system.step(batches, rng)["loss_nats"])
    for _ in range(80):
        last = float(system.step(batches, rng)["loss_nats"])
    assert last < first - 3
    for name, module in system.modules.items():
        for part, array in module.state_dict().items():
            assert not np.array_equal(array, before[name][part]), f"{name}.{part}"


def test_codes_are_means_and_reconstructions_are_images():
    system, x = vae(), images(5)
    codes = system.encode(x)
    assert codes.shape == (5, 2)
    np.testing.assert_array_equal(codes, system.encode(x))
    np.testing.assert_array_equal(system.reconstruct(x), system.decode(codes))
    np.testing.assert_array_equal(system.sample(codes), system.decode(codes))
    assert np.abs(system.decode(1e3 * codes)).max() <= 1


def test_an_autoencoder_repeats_what_it_has_seen():
    preset = presets.get("autoencoder")
    config = replace(preset.config, z=3, hidden=16, batch=8)
    system = preset.build(config, SHAPE, random_streams(0)["init"])
    x = np.repeat(np.sign(images(2)), 8, axis=0)
    batches, rng = Batches(x, 8, RNG(0)), RNG(1)
    for _ in range(300):
        system.step(batches, rng)
    assert np.abs(system.reconstruct(x) - x).mean() < 0.2
    assert system.sample(np.zeros((2, 3), np.float32)).shape == (2, *SHAPE)


def test_the_plain_step_updates_all_it_should():
    rng = RNG(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(20, 2, rng=rng))
    decoder, codes = dense_decoder(2, SHAPE, 8, rng=rng), CodeGaussian(2)
    opt = optim.Adam(encoder, decoder, lr=1e-2)
    before = encoder.state_dict() | {f"d{k}": v for k, v in decoder.state_dict().items()}
    x = Bernoulli().pixels(images())
    seen = autoencoder_step(encoder, decoder, Bernoulli(), opt, x, codes)
    after = encoder.state_dict() | {f"d{k}": v for k, v in decoder.state_dict().items()}
    assert set(seen) == {"reconstruction_nats"}
    assert not any(np.array_equal(after[name], before[name]) for name in before)
    assert codes.mean.any()


# --- the Gaussian of an autoencoder's codes ---------------------------------------------------------------------------


def test_moments_are_those_of_what_came_before_and_what_comes_now():
    old, new = RNG(0).normal(5, 1, (40, 3)), RNG(1).normal(-2, [1, 2, 3], (40, 3))
    codes = CodeGaussian(3, momentum=0.5).astype(np.float64)
    codes.mean[...], codes.covariance[...] = old.mean(axis=0), np.cov(old.T, bias=True)
    codes.observe(new)
    both = np.concatenate([old, new])
    np.testing.assert_allclose(codes.mean, both.mean(axis=0))
    np.testing.assert_allclose(codes.covariance, np.cov(both.T, bias=True))


def test_a_spread_that_is_tiny_beside_the_mean_survives():
    """E[x^2] - E[x]^2 of 100 +- 0.01 is negative in float32."""
    codes, rng = CodeGaussian(2, momentum=0.05), RNG(0)
    for _ in range(1500):
        codes.observe(rng.normal(100, 0.01, (64, 2)).astype(np.float32))
    np.testing.assert_allclose(np.sqrt(np.diag(codes.covariance)), 0.01, rtol=0.2)


def test_samples_have_the_moments_also_of_codes_that_never_vary():
    codes = CodeGaussian(3)
    root = np.array([[1, 0, 0], [2, 1, 0], [0, 0, 0]], np.float32)
    codes.mean[...], codes.covariance[...] = [1, 2, 3], root @ root.T
    drawn = codes(RNG(0).standard_normal((50_000, 3), np.float32))
    np.testing.assert_allclose(drawn.mean(axis=0), codes.mean, atol=0.03)
    np.testing.assert_allclose(np.cov(drawn.T), codes.covariance, atol=0.1)
    np.testing.assert_allclose(drawn[:, 2], 3, atol=1e-3)


# --- presets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["autoencoder", "vae"])
@pytest.mark.parametrize("network", ["dense", "conv"])
@pytest.mark.parametrize("channels", [1, 3])
def test_networks_take_and_make_images(name, network, channels):
    preset = presets.get(name)
    system = preset.build(replace(preset.config, network=network), (28, 28, channels), RNG(0))
    x = np.zeros((2, 28, 28, channels), np.float32)
    assert system.reconstruct(x).shape == x.shape
    assert system.encode(x).shape == (2, 20)


def test_the_default_is_784_400_20():
    preset = presets.get("vae")
    system = preset.build(preset.config, (28, 28, 1), RNG(0))
    counts = {name: module.parameter_count() for name, module in system.modules.items()}
    assert counts == {"encoder": 785 * 400 + 401 * 40, "decoder": 21 * 400 + 401 * 784, "likelihood": 0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": 0.1}, "std: a bernoulli likelihood has none, got 0.1; give --likelihood gaussian"),
        ({"std": 0.0, "likelihood": "gaussian"}, "std: must be positive and finite, got 0.0"),
        ({"binarise": True, "likelihood": "gaussian"}, "binarise: pixels that are 0 or 1 are not Gaussian"),
        ({"importance": True, "beta": 2.0}, "beta: expected 1 with --importance .*, got 2"),
        ({"network": "dens"}, "network: unknown 'dens'; did you mean dense"),
        ({"likelihood": "x"}, "likelihood: unknown 'x'; there are bernoulli, gaussian"),
        ({"k": 0}, "k: must be at least 1, got 0"),
        ({"beta": 0.0}, "beta: must be positive and finite, got 0.0"),
        ({"hidden": 0}, "hidden: must be at least 1, got 0"),
    ],
)
def test_impossible_numbers_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(presets.get("vae").config, **change)


def test_a_bound_without_a_beta_is_given_none():
    with pytest.raises(ValueError, match="beta: expected 1 with importance, got 0"):
        vae(k=2, importance=True, beta=0.0)


# --- on a device ------------------------------------------------------------------------------------------------------


def test_a_systems_pictures_come_from_where_it_lives():
    system, x = vae(), images(3)
    here = system.reconstruct(x)
    for module in system.modules.values():
        module.to(device.get("emulated"))
    there = system.reconstruct(x)
    assert isinstance(there, np.ndarray)
    np.testing.assert_allclose(there, here, atol=1e-5)
    assert system.elbo_nats(x, RNG(0))[0].shape == (3,)
    assert system.log_likelihood_nats(x, RNG(0), 3).shape == (3,)
