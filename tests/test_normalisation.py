"""Spectral and layer normalisation, maxout and averages do what their papers say, and are part of every checkpoint."""

import copy

import numpy as np
import pytest

from minigan import Tensor, gradcheck, nn, no_grad, ops, optim
from minigan.models import dcgan, gan
from minigan.training.average import Average

RNG = np.random.default_rng


def largest_singular_value(w):
    return np.linalg.svd(w.reshape(-1, w.shape[-1]), compute_uv=False)[0]


# --- spectral normalisation -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(20, 7), (7, 20), (4, 4, 3, 10)])
def test_the_normalised_weights_have_largest_singular_value_one(shape):
    w = Tensor(RNG(0).standard_normal(shape))
    norm = nn.SpectralNorm(shape[-1], rng=RNG(1)).astype(np.float64)
    for _ in range(200):
        normalised = norm(w)
    assert largest_singular_value(normalised.data) == pytest.approx(1, rel=1e-9)
    np.testing.assert_allclose(normalised.data, w.data / largest_singular_value(w.data), rtol=1e-9)
    assert np.linalg.norm(norm.u) == pytest.approx(1)


def test_a_round_of_power_iteration_is_the_papers():
    w, norm = RNG(0).standard_normal((5, 3)), nn.SpectralNorm(3, rng=RNG(1)).astype(np.float64)
    v = w @ norm.u / np.linalg.norm(w @ norm.u)
    u = w.T @ v / np.linalg.norm(w.T @ v)
    np.testing.assert_allclose(norm(Tensor(w)).data, w / (v @ w @ u), rtol=1e-9)
    np.testing.assert_allclose(norm.u, u, rtol=1e-9)


def test_sigmas_gradient_is_the_papers():
    """d sigma / d w = v u^T, v and u taken as constants; the normalised weights' follows (arXiv:1802.05957, eq. 12)."""
    norm = nn.SpectralNorm(4, rng=RNG(1)).astype(np.float64).eval()
    w = Tensor(RNG(0).standard_normal((6, 4)), requires_grad=True)
    v = w.data @ norm.u / np.linalg.norm(w.data @ norm.u)
    u = w.data.T @ v / np.linalg.norm(w.data.T @ v)
    sigma, dy = v @ w.data @ u, RNG(2).standard_normal((6, 4))
    norm(w).backward(dy)
    np.testing.assert_allclose(w.grad, (dy - (dy * w.data / sigma).sum() * np.outer(v, u)) / sigma, rtol=1e-9)


def test_at_the_singular_vectors_the_gradient_is_the_true_one():
    """There sigma is stationary in u and v, so that taking them as constants changes nothing to first order."""
    w = RNG(0).standard_normal((6, 4))
    norm = nn.SpectralNorm(4, rng=RNG(1)).astype(np.float64)
    for _ in range(500):
        norm(Tensor(w))
    assert gradcheck(norm.eval(), w) < 1e-6


def test_inference_leaves_the_vector_and_training_goes_on_from_a_new_one():
    d = nn.spectral_norm_(nn.Sequential(nn.Linear(3, 4, rng=RNG(0))), rng=RNG(1))
    before = d.state_dict()["0.spectral.u"]
    d.eval()(Tensor(np.ones((2, 3), np.float32)))
    np.testing.assert_array_equal(d.state_dict()["0.spectral.u"], before)
    first = d.train()(Tensor(np.ones((2, 3), np.float32)))
    d(Tensor(np.ones((2, 3), np.float32)))
    assert not np.array_equal(d.state_dict()["0.spectral.u"], before)
    first.sum().backward()  # though the vector has moved since


def test_every_dense_layer_and_convolution_is_normalised():
    d = nn.spectral_norm_(dcgan.keras_discriminator(1, 2, rng=RNG(0)), rng=RNG(1))
    assert len([name for name, _ in d.named_buffers() if name.endswith("spectral.u")]) == 9
    assert repr(d).count("spectral norm") == 9
    x = Tensor(RNG(0).standard_normal((2, 64, 64, 1), np.float32))
    for _ in range(30):
        d(x)
    for layer in d.eval().modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            assert largest_singular_value(layer.weight().data) == pytest.approx(1, abs=0.1)


def test_a_normalised_layer_does_not_care_how_long_its_weights_are():
    one = nn.spectral_norm_(gan.mlp_discriminator(8, rng=RNG(0)), rng=RNG(1))
    other = copy.deepcopy(one)
    for parameter in other.parameters():
        if parameter.ndim == 2:
            parameter.data *= 100
    x = Tensor(RNG(2).standard_normal((5, 2), np.float32))
    np.testing.assert_allclose(one(x).data, other(x).data, rtol=1e-4)


# --- layer normalisation, maxout --------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(4, 6), (3, 4, 5, 2)])
def test_layer_norm_normalises_each_image_by_itself(shape):
    norm, x = nn.LayerNorm(shape[-1]), RNG(0).normal(3, 2, shape).astype(np.float32)
    y = norm(Tensor(x)).data.reshape(len(x), -1)
    np.testing.assert_allclose(y.mean(1), 0, atol=1e-5)
    np.testing.assert_allclose(y.std(1), 1, rtol=1e-4)
    alone = norm(Tensor(x[:1])).data
    np.testing.assert_array_equal(alone[0], norm(Tensor(x)).data[0])


def test_layer_norm_has_the_gradients_that_differences_give():
    norm = nn.LayerNorm(3)

    def f(x, gamma, beta):
        norm.gamma, norm.beta = gamma, beta
        return norm(x)

    x, gamma, beta = RNG(0).standard_normal((2, 2, 2, 3)), RNG(1).standard_normal(3), RNG(2).standard_normal(3)
    assert gradcheck(f, x, gamma, beta, order=2) < 1e-6


def test_batches_apart_end_with_the_block_even_by_an_error():
    norm = nn.BatchNorm(3)
    odd = Tensor(np.ones((5, 3), np.float32))
    with pytest.raises(ValueError, match=r"x \(5, 3\) cannot be 2 batches"), nn.batches_apart(nn.Sequential(norm), 2):
        norm(odd)
    assert norm.batches == 1


@pytest.mark.parametrize(("kind", "layer"), [("layer", nn.LayerNorm), ("none", nn.Bias)])
def test_batch_norm_is_replaced_layer_by_layer(kind, layer):
    d = dcgan.discriminator(1, 4, rng=RNG(0))
    kinds = [type(part) for part in d.layers]
    assert nn.has_batch_norm(d)
    assert nn.replace_batch_norm_(d, kind) is d
    assert [layer if part is nn.BatchNorm else part for part in kinds] == [type(part) for part in d.layers]
    assert not nn.has_batch_norm(d)
    x = Tensor(RNG(0).standard_normal((3, 64, 64, 1), np.float32))
    np.testing.assert_allclose(d(x).data[:1], d(Tensor(x.data[:1])).data, rtol=1e-3, atol=1e-5)
    with pytest.raises(ValueError, match="module: expected batch normalisation in a chain of layers, got none"):
        nn.replace_batch_norm_(d, kind)


def test_batch_norm_is_replaced_by_known_kinds_only():
    d = dcgan.discriminator(1, 4, rng=RNG(0))
    with pytest.raises(ValueError, match="kind: expected layer or none, got 'batch'"):
        nn.replace_batch_norm_(d, "batch")
    assert nn.has_batch_norm(d)


def test_bias_adds_and_fuses_with_a_leaky_relu():
    bias = nn.Bias(3)
    bias.b.assign_(np.array([1.0, -2.0, 0.0]))
    x = Tensor(RNG(0).standard_normal((4, 3), np.float32))
    np.testing.assert_array_equal(bias(x).data, x.data + bias.b.data)
    chain = nn.Sequential(bias, nn.LeakyReLU(0.2))
    np.testing.assert_allclose(chain(x).data, nn.LeakyReLU(0.2)(bias(x)).data, rtol=1e-6)


def test_maxout_is_the_largest_of_its_pieces():
    layer = nn.Maxout(3, 4, 5, rng=RNG(0))
    x = RNG(1).standard_normal((6, 3)).astype(np.float32)
    pieces = (x @ layer.linear.w.data + layer.linear.b.data).reshape(6, 5, 4)
    y = layer(Tensor(x))
    np.testing.assert_allclose(y.data, pieces.max(1), rtol=1e-5, atol=1e-6)
    assert layer.out_shape((3,)) == (4,) == y.shape[1:]
    assert repr(layer) == "Maxout(3 -> 4, 5 pieces)"


def test_maxout_has_the_gradients_that_differences_give():
    layer = nn.Maxout(3, 2, 3)

    def f(x, w, b):
        layer.linear.w, layer.linear.b = w, b
        return ops.square(layer(x))

    rng = RNG(3)
    assert gradcheck(f, rng.normal(0, 1, (4, 3)), rng.normal(0, 1, (3, 6)), rng.normal(0, 1, 6), order=2) < 1e-6


# --- clipping ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSProp])
def test_clipping_comes_after_the_update(kind):
    clipped, free = (nn.Linear(3, 2, rng=RNG(0)) for _ in range(2))
    for module, clip in ((clipped, 0.05), (free, None)):
        optimizer = kind(module, lr=0.1, clip=clip)
        module.w.grad, module.b.grad = np.ones((3, 2), np.float32), np.full(2, -1, np.float32)
        optimizer.step()
    np.testing.assert_array_equal(clipped.w.data, free.w.data.clip(-0.05, 0.05))
    assert clipped.b.data.max() == np.float32(0.05)


def test_a_clip_that_is_no_bound_is_refused():
    with pytest.raises(ValueError, match="Adam: clip must be positive and finite, got 0"):
        optim.Adam(nn.Linear(2, 1), clip=0.0)


# --- averages ---------------------------------------------------------------------------------------------------------


def small_generator():
    return nn.Sequential(nn.Linear(2, 4, rng=RNG(0)), nn.BatchNorm(4), nn.ReLU(), nn.Linear(4, 2, rng=RNG(1)))


def test_weights_and_batch_norms_moments_are_averaged():
    g = small_generator()
    average, expected = Average(g, 0.9), {name: a.astype(np.float64) for name, a in g.state_dict().items()}
    for step in range(1, 200):
        for parameter in g.parameters():
            parameter.assign_(parameter.data + RNG(step).normal(0, 0.1, parameter.shape))
        with no_grad():
            g(Tensor(RNG(step).normal(step, 1, (8, 2)).astype(np.float32)))
        average.update(step)
        share = max(1 - 0.9, 9 / (10 + step))
        expected = {name: a + share * (g.state_dict()[name] - a) for name, a in expected.items()}
    found = average.module.state_dict()
    assert {"1.running_mean", "1.running_var"} < set(found)
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-4, atol=1e-6, err_msg=name)
        assert not np.allclose(g.state_dict()[name], array, rtol=1e-3), name


def test_an_average_of_what_stays_is_what_stays():
    g = small_generator()
    average = Average(g, 0.999)
    for parameter in g.parameters():
        parameter.assign_(np.full(parameter.shape, 3.0))
    for step in range(1, 101):
        average.update(step)
    for parameter in average.module.parameters():
        np.testing.assert_allclose(parameter.data, 3, rtol=1e-4)  # the initial weights are long forgotten


def test_an_average_that_looks_back_on_nothing_or_for_ever_is_refused():
    for decay in (0.0, 1.0):
        with pytest.raises(ValueError, match=rf"average: must be in \(0, 1\), got {decay}"):
            Average(small_generator(), decay)
