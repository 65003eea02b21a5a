"""The algorithms update whom they should, with what they should; each test is a mistake that other code ships."""

import itertools

import numpy as np
import pytest

from minigan import Tensor, grad, kernels, nn, no_grad, ops, optim
from minigan.latents import Latents, Noise
from minigan.models import dcgan, gan
from minigan.training.losses import LOSSES, NON_SATURATING
from minigan.training.steps import discriminator_step, gan_step, generator_step, passes, simultaneous_step
from minigan.training.steps.passes import outputs_of_both
from minigan.training.systems import GAN
from minigan.training.systems.gan import pack

RNG = np.random.default_rng


def pair():
    g, d = gan.mlp_generator(2, 16, rng=RNG(0)), gan.mlp_discriminator(16, rng=RNG(1))
    return g, d, optim.Adam(g, lr=1e-2, beta1=0.5), optim.Adam(d, lr=1e-2, beta1=0.5)


def rows(seed, n=32):
    return Tensor(RNG(seed).standard_normal((n, 2), np.float32))


class Watched(nn.Module):
    """A network that notes the shapes of what it gets."""

    def __init__(self, network, seen):
        self.network, self.seen = network, seen

    def __call__(self, x):
        self.seen.append(x.shape)
        return self.network(x)


def changed(module, before):
    return {name for name, array in module.state_dict().items() if not np.array_equal(array, before[name])}


def test_ds_step_leaves_g_and_gs_step_leaves_d():
    g, d, opt_g, opt_d = pair()
    before_g, before_d = g.state_dict(), d.state_dict()
    with no_grad():
        fake = g(rows(2))
    discriminator_step(d, opt_d, rows(1), fake)
    assert not changed(g, before_g)
    assert changed(d, before_d) == set(before_d)
    before_d = d.state_dict()
    generator_step(d, opt_g, g(rows(2)))
    assert changed(g, before_g) == set(before_g)
    assert not changed(d, before_d)


def test_gs_step_computes_no_gradient_of_d():
    g, d, opt_g, opt_d = pair()
    opt_d.zero_grad()
    generator_step(d, opt_g, g(rows(2)))
    assert all(parameter.grad is None for parameter in d.parameters())
    assert all(parameter.requires_grad for parameter in d.parameters())


def test_a_generator_cannot_learn_through_a_discriminator_that_was_updated_since():
    # Chainer's DCGAN example did: g's loss was computed before d's update and differentiated after it.
    g, d, _, opt_d = pair()
    loss_g = NON_SATURATING.g(d(g(rows(2))))
    with no_grad():
        fake = g(rows(2))
    discriminator_step(d, opt_d, rows(1), fake)
    with pytest.raises(RuntimeError, match=r"w of shape .* was written in place"):
        loss_g.backward()


def test_losses_are_the_papers():
    g, d, opt_g, opt_d = pair()
    x, z = rows(1), rows(2)
    with no_grad():
        real, fake = d(x).data.astype(np.float64), d(g(z)).data.astype(np.float64)
    p_real, p_fake = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    seen = gan_step(g, d, opt_g, opt_d, x, z)
    assert seen["loss_d"] == pytest.approx(-np.log(p_real).mean() - np.log(1 - p_fake).mean(), rel=1e-5)
    assert seen["d_real"] == pytest.approx(p_real.mean(), rel=1e-5)
    assert seen["d_fake"] == pytest.approx(p_fake.mean(), rel=1e-5)


def test_a_discriminator_that_cannot_tell_loses_two_ln_two():
    d = nn.Linear(2, 1)
    d.w.assign_(np.zeros((2, 1)))
    seen = discriminator_step(d, optim.SGD(d, lr=1e-3), rows(1), rows(2))
    assert seen["loss_d"] == pytest.approx(2 * np.log(2), rel=1e-6)


def test_fresh_noise_is_what_g_learns_from():
    g, d, opt_g, opt_d = pair()
    expected, same, *_ = pair()
    x, z, fresh = rows(1), rows(2), rows(3)
    gan_step(g, d, opt_g, opt_d, x, z, fresh)
    with no_grad():
        fake = expected(z)
    discriminator_step(same, optim.Adam(same, lr=1e-2, beta1=0.5), x, fake)
    generator_step(same, optim.Adam(expected, lr=1e-2, beta1=0.5), expected(fresh))
    assert not changed(expected, g.state_dict())


@pytest.mark.parametrize("z_g", [None, rows(3)], ids=["the same noise", "fresh noise"])
def test_in_a_simultaneous_step_neither_network_sees_the_other_learn(z_g):
    (g, d, *_), (other_g, other_d, *_) = pair(), pair()
    x, z, lr = rows(1), rows(2), 0.1
    seen = simultaneous_step(g, d, optim.SGD(g, lr=lr), optim.SGD(d, lr=lr), x, z, z_g)
    loss_g = NON_SATURATING.g(other_d(other_g(z if z_g is None else z_g)))
    loss_d = NON_SATURATING.d(other_d(x), other_d(other_g(z).detach()))
    assert seen["loss_g"] == pytest.approx(loss_g.item(), rel=1e-6)
    assert seen["loss_d"] == pytest.approx(loss_d.item(), rel=1e-6)
    for network, before, loss in ((g, other_g, loss_g), (d, other_d, loss_d)):
        learnt, old = list(network.parameters()), list(before.parameters())
        for new, was, gradient in zip(learnt, old, grad(loss, old, keep_graph=True), strict=True):
            np.testing.assert_allclose(new.data, was.data - lr * gradient.data, rtol=1e-5, atol=1e-7)


def test_in_turns_g_learns_from_the_d_that_has_just_learnt():
    (g, d, *opts), (other_g, other_d, *other_opts) = pair(), pair()
    gan_step(g, d, *opts, rows(1), rows(2))
    simultaneous_step(other_g, other_d, *other_opts, rows(1), rows(2))
    assert not changed(other_d, d.state_dict())
    assert changed(other_g, g.state_dict())


@pytest.mark.parametrize("fresh", [False, True])
def test_each_discriminator_step_has_its_own_batch_and_noise(fresh):
    g, d, opt_g, opt_d = pair()
    system = GAN(g, d, Latents(Noise(2)), opt_g, opt_d, batch=8, d_steps=3, fresh_noise=fresh)
    drawn = []

    class Batches:
        def __next__(self):
            drawn.append(len(drawn))
            return RNG(len(drawn)).standard_normal((8, 2), np.float32)

    system.step(Batches(), RNG(0))
    assert len(drawn) == 3
    assert (opt_d.steps, opt_g.steps) == (3, 1)


def with_batch_norm():
    rng = RNG(3)
    return nn.Sequential(nn.Linear(2, 8, rng=rng), nn.BatchNorm(8), nn.LeakyReLU(0.2), nn.Linear(8, 1, rng=rng))


def judged(judge, d, n_fake=32):
    """What d thinks of real and of generated points, its gradients, and its state afterwards."""
    x_real, x_fake = rows(1), Tensor(3 + rows(2, n_fake).data)
    real, fake = judge(d, x_real, x_fake)
    NON_SATURATING.d(real, fake).backward()
    return [real.data, fake.data, *(p.grad for p in d.parameters()), *d.state_dict().values()]


def test_real_and_generated_images_in_one_pass_are_two_batches_to_batch_norm():
    # Where both are one batch to it, the moments tell d which is which: the mistake is known for hiding collapse.
    together, apart = with_batch_norm(), with_batch_norm()
    once, twice = judged(outputs_of_both, together), judged(lambda d, *x: [d(images) for images in x], apart)
    for a, b in zip(once, twice, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    x = rows(1)
    np.testing.assert_array_equal(together(x).data, apart(x).data)  # the context has ended
    with no_grad():
        mixed = together(Tensor(np.concatenate([x.data, 3 + rows(2).data]))).data
    assert np.abs(mixed[:32] - once[0]).max() > 0.1


@pytest.mark.parametrize(("n_fake", "limit"), [(20, passes.ONE_PASS_BYTES), (32, 32 * 2 * 4 - 1)])
def test_batches_of_unequal_length_and_large_ones_take_two_passes(n_fake, limit, monkeypatch):
    monkeypatch.setattr(passes, "ONE_PASS_BYTES", limit)
    seen = []
    d = with_batch_norm()
    real, fake = outputs_of_both(Watched(d, seen), rows(1), rows(2, n_fake))
    assert seen == [(32, 2), (n_fake, 2)]
    np.testing.assert_array_equal(real.data, d(rows(1)).data)
    np.testing.assert_array_equal(fake.data, d(rows(2, n_fake)).data)


def test_packs_are_images_laid_on_top_of_one_another():
    x = Tensor(np.arange(12.0).reshape(4, 1, 1, 3), requires_grad=True)
    packed = pack(x, 2)
    assert packed.shape == (2, 1, 1, 6)
    np.testing.assert_array_equal(packed.data.reshape(2, 6), [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11]])
    packed.backward(np.arange(12.0).reshape(2, 1, 1, 6))
    np.testing.assert_array_equal(x.grad, x.data)
    assert pack(x, 1) is x


def test_a_packed_discriminator_judges_real_and_generated_packs():
    g, _, opt_g, _ = pair()
    d = gan.mlp_discriminator(16, 6, rng=RNG(1))
    seen = []
    opt_d = optim.Adam(d, lr=1e-2)
    system = GAN(g, Watched(d, seen), Latents(Noise(2)), opt_g, opt_d, batch=12, packing=3, d_steps=2, fresh_noise=True)
    before_g, before_d = g.state_dict(), d.state_dict()
    system.step(itertools.repeat(rows(1, 12).data), RNG(0))
    assert seen == [(8, 6), (8, 6), (4, 6)]  # real and generated packs at once, twice; then g's
    assert changed(g, before_g) == set(before_g)
    assert changed(d, before_d) == set(before_d)
    assert system.sample(rows(1, 7).data).shape == (7, 2)
    with pytest.raises(ValueError, match="packing: the discriminator judges 3 images together, and none alone"):
        system.judge(rows(1, 6), None)
    with pytest.raises(ValueError, match="packing: expected a divisor of the batch, 8, got 3"):
        GAN(g, d, Latents(Noise(2)), opt_g, opt_d, batch=8, packing=3)


def test_a_penalty_is_added_to_what_d_descends_but_not_to_its_loss():
    (_, d, _, opt_d), (_, plain, _, opt_plain) = pair(), pair()
    x, fake = rows(1), rows(2)
    without = discriminator_step(plain, opt_plain, x, fake)
    seen = discriminator_step(d, opt_d, x, fake, penalty=lambda d, x_real, x_fake: 3.0 * ops.square(d(x_fake)).mean())
    assert seen["loss_d"] == without["loss_d"]
    assert seen["penalty"] > 0
    assert changed(d, plain.state_dict())


@pytest.mark.parametrize("name", LOSSES)
def test_both_players_go_downhill_in_their_own_loss(name):
    loss = LOSSES[name]
    g, d, _, _ = pair()
    opt_g, opt_d = optim.SGD(g, lr=1e-3), optim.SGD(d, lr=1e-3)
    x, z = rows(1), rows(2)

    def values():
        with no_grad():
            real, fake = d(x), d(g(z))
            return loss.d(real, fake).item(), loss.g(fake).item()

    first_d, _ = values()
    discriminator_step(d, opt_d, x, g(z).detach(), loss=loss)
    second_d, first_g = values()
    generator_step(d, opt_g, g(z), loss=loss)
    _, second_g = values()
    assert second_d < first_d
    assert second_g < first_g


def test_sampling_leaves_running_averages_and_mode():
    g = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm(4), nn.ReLU(), nn.Linear(4, 2))
    _, d, _, opt_d = pair()
    system = GAN(g, d, Latents(Noise(2)), optim.Adam(g), opt_d, batch=8)
    before = g.state_dict()
    together = system.sample(rows(1, 300).data)
    assert not changed(g, before)
    assert g.layers[1].training
    np.testing.assert_allclose(together[:3], system.sample(rows(1, 300).data[:3]), rtol=1e-5, atol=1e-6)


def curves(steps=20):
    """The losses of a narrow DCGAN for digits, and its weights after, in float64."""
    g, d = dcgan.generator_28(8, 1, 12, rng=RNG(0)), dcgan.discriminator_28(1, 12, rng=RNG(1))
    opt_g, opt_d = (optim.Adam(m.astype(np.float64), lr=1e-3, beta1=0.5) for m in (g, d))
    noise, rows = RNG(2), []
    for _ in range(steps):
        x_real, z = (Tensor(noise.normal(size=(14, *shape))) for shape in ((28, 28, 1), (8,)))
        rows.append([float(value) for value in gan_step(g, d, opt_g, opt_d, x_real, z).values()])
    return np.array(rows), np.concatenate([p.data.ravel() for m in (g, d) for p in m.parameters()])


def test_training_with_fast_and_with_reference_kernels_goes_the_same_way(monkeypatch):
    from minigan.kernels.cpu import conv

    called = []
    for name in ("conv2d_v3_winograd", "conv2d_grad_input_v3_winograd", "conv2d_grad_weight_v3_winograd"):
        fast = getattr(conv, name)
        monkeypatch.setattr(conv, name, lambda *a, fast=fast, name=name, **k: (called.append(name), fast(*a, **k))[1])
    losses, weights = curves()
    assert len(set(called)) == 3  # the shapes are large enough for the fastest variants
    with kernels.use("reference"):
        reference_losses, reference_weights = curves()
    np.testing.assert_allclose(losses, reference_losses, rtol=0, atol=1e-9)
    np.testing.assert_allclose(weights, reference_weights, rtol=0, atol=1e-9)
    assert np.ptp(losses[:, 0]) > 0.1  # a game that moves: 20 equal steps would prove nothing
