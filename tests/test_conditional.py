"""The label reaches both networks of cgan and acgan, comes from the data, and is missed where it is missing."""

import dataclasses

import numpy as np
import pytest

from minigan import Tensor, data, gradcheck, nn, no_grad, optim, plots, presets, runs
from minigan.data import Dataset
from minigan.latents import Categorical, Label, Latents, Noise
from minigan.models import cgan, gan
from minigan.ops.loss import one_hot
from minigan.training import checkpoint
from minigan.training.checkpoint import CheckpointError
from minigan.training.steps import acgan_step, gan_step, infogan_step
from minigan.training.systems import ACGAN, ConditionalGAN
from minigan.training.trainer import Batches, Trainer, random_streams

RNG = np.random.default_rng
SMALL = {
    "cgan": {"width": 4, "batch": 8, "samples": 20, "steps": 2, "z": 6},
    "acgan": {"batch": 4, "samples": 20, "steps": 2},
}


def config(preset, **changes):
    return dataclasses.replace(presets.get(preset).config, **SMALL[preset] | changes)


def build(preset, **changes):
    return presets.get(preset).build(config(preset, **changes), (28, 28, 1), random_streams(0)["init"])


def images(n, seed=0):
    return RNG(seed).uniform(-1, 1, (n, 28, 28, 1)).astype(np.float32)


# --- cgan: who is told ------------------------------------------------------------------------------------------------


def test_the_label_reaches_both_networks():
    system = build("cgan")
    z, x = system.latents.sample(RNG(0), 5), images(5)
    as_3, as_7 = (system.latents.with_class(z, k) for k in (3, 7))
    with no_grad():
        assert not np.allclose(system.g(Tensor(as_3)).data, system.g(Tensor(as_7)).data)
        assert not np.allclose(system.judge(Tensor(x), as_3).data, system.judge(Tensor(x), as_7).data)
    assert not np.allclose(system.sample(as_3), system.sample(as_7))


def test_the_discriminator_sees_a_map_of_ones_for_the_class_and_zeros_for_others():
    seen = []

    class Look(nn.Module):
        def __call__(self, x):
            seen.append(x.data)
            return x

    x = images(2)
    cgan.Discriminator(Look(), 3)(Tensor(x), one_hot([2, 0], 3))
    np.testing.assert_array_equal(seen[0][..., :1], x)
    np.testing.assert_array_equal(seen[0][0, ..., 1:], np.broadcast_to([0, 0, 1], (28, 28, 3)))
    np.testing.assert_array_equal(seen[0][1, ..., 1:], np.broadcast_to([1, 0, 0], (28, 28, 3)))


@pytest.mark.parametrize("y", [np.eye(2, 9), np.eye(3, 10), np.ones(2), np.array([3, 4])])
def test_one_hot_rows_of_another_size_are_refused(y):
    d = cgan.discriminator_28(10, width=2)
    with pytest.raises(ValueError, match=r"y: expected one-hot rows \(2, 10\) for images \(2, 28, 28, 1\), got \("):
        d(Tensor(images(2)), y.astype(np.float32))


def test_gradients_flow_through_the_image_that_was_told_its_class():
    d = cgan.discriminator_28(3, width=2, rng=RNG(0)).astype(np.float64)
    y = one_hot([0, 2, 1, 1, 0, 2], 3)
    gradcheck(lambda x: d(x, y).sum(), images(6).astype(np.float64), tolerance=1e-5)
    given = d.given(y)
    assert given.parameters() == d.parameters()


class Batch:
    """The same images and labels every time."""

    def __init__(self, n, labels):
        self.value = images(n), np.asarray(labels)

    def __next__(self):
        return self.value


def test_real_and_generated_images_of_an_update_share_their_classes():
    system, told = build("cgan", batch=4), []
    g, given = system.g, system.d.given
    drawn = []
    system.g = lambda z: drawn.append(z.data[:, 6:].argmax(axis=1)) or g(z)
    system.d.given = lambda y: told.append(y.argmax(axis=1)) or given(y)
    system.step(Batch(4, [7, 1, 1, 3]), RNG(0))
    for classes in (*told, *drawn):
        np.testing.assert_array_equal(classes, [7, 1, 1, 3])
    assert told
    assert drawn


def test_it_is_the_plain_game_with_the_class_given():
    system, plain = build("cgan", batch=4), build("cgan", batch=4)
    labels = np.array([2, 0, 9, 9])
    seen = system.step(Batch(4, labels), RNG(5))
    z = Tensor(plain.latents.with_class(plain.latents.sample(RNG(5), 4), labels))
    d = plain.d.given(one_hot(labels, 10))
    expected = gan_step(plain.g, d, plain.optimizers["g"], plain.optimizers["d"], Tensor(images(4)), z)
    assert {k: float(v) for k, v in seen.items()} == {k: float(v) for k, v in expected.items()}
    for name, array in system.d.state_dict().items():
        np.testing.assert_array_equal(array, plain.d.state_dict()[name])


@pytest.mark.parametrize("fresh", [False, True])
def test_each_discriminator_step_has_its_own_labels(fresh):
    system = build("cgan", batch=4, d_steps=3, fresh_noise=fresh)
    system.step(iter([(images(4, i), np.full(4, i)) for i in range(3)]), RNG(0))
    assert (system.optimizers["d"].steps, system.optimizers["g"].steps) == (3, 1)


def test_a_conditional_gan_of_points_learns_which_side_is_asked_for():
    # Two classes, left and right: after a few hundred steps g draws each on its side.
    class OnPoints(nn.Module):
        def __init__(self):
            self.layers = gan.mlp_discriminator(16, rng=RNG(1))
            self.layers.layers[0] = nn.Linear(4, 16, rng=RNG(2))

        def __call__(self, x, y):
            from minigan import ops

            return self.layers(ops.concatenate([x, Tensor(y)], axis=1))

        def given(self, y):
            return cgan.Given(self, y)

    latents, d = Latents(Noise(2), Label(2)), OnPoints()
    g = gan.mlp_generator(latents.size, 16, rng=RNG(0))
    options = {"lr": 5e-3, "beta1": 0.5}
    system = ConditionalGAN(g, d, latents, optim.Adam(g, **options), optim.Adam(d, **options), batch=64)
    rng = RNG(3)

    def batches():
        while True:
            labels = rng.integers(2, size=64)
            x = rng.normal(0, 0.1, (64, 2)) + np.stack([4.0 * labels - 2, 0 * labels], axis=1)
            yield x.astype(np.float32), labels

    stream = batches()
    for _ in range(400):
        system.step(stream, rng)
    z = latents.sample(rng, 200)
    left, right = (system.sample(latents.with_class(z, k))[:, 0] for k in (0, 1))
    assert (left < 0).mean() > 0.9
    assert (right > 0).mean() > 0.9


# --- acgan ------------------------------------------------------------------------------------------------------------


def small_acgan():
    latents = Latents(Noise(2), Categorical(3))
    g = gan.mlp_generator(latents.size, 16, rng=RNG(0))
    d = nn.TrunkAndHead(
        nn.Sequential(nn.Linear(2, 16, rng=RNG(1)), nn.LeakyReLU(0.1)), nn.Sequential(nn.Linear(16, 1, rng=RNG(2)))
    )
    q = nn.Sequential(nn.Linear(16, 3, rng=RNG(3)))
    return g, d, q, optim.Adam(g, lr=1e-2, beta1=0.5), optim.Adam(d, q, lr=1e-2, beta1=0.5), latents


def rows(seed, n=32):
    return RNG(seed).standard_normal((n, 2), np.float32)


def test_the_classifiers_loss_is_the_cross_entropy_of_the_labels():
    g, d, q, opt_g, opt_d, latents = small_acgan()
    x, labels = Tensor(rows(1)), RNG(2).integers(3, size=32)
    with no_grad():
        logits = q(d.trunk(x)).data.astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    z, z_g = latents.sample(RNG(3), 32), latents.sample(RNG(4), 32)
    seen = acgan_step(g, d, q, opt_g, opt_d, x, labels, z, z_g, latents)
    assert seen["class_loss_real"] == pytest.approx(-log_p[np.arange(32), labels].mean(), rel=1e-5)
    assert seen["information_nats"] <= np.log(3)


def test_labels_are_all_that_acgan_adds_to_infogan():
    labels = RNG(2).integers(3, size=32)
    states = []
    for step in (acgan_step, infogan_step, infogan_step):
        g, d, q, opt_g, opt_d, latents = small_acgan()
        z, z_g = latents.sample(RNG(3), 32), latents.sample(RNG(4), 32)
        told = (labels,) if step is acgan_step else ()
        step(g, d, q, opt_g, opt_d, Tensor(rows(1)), *told, z, z_g, latents)
        states.append({"d": d.state_dict(), "q": q.state_dict()})
    labelled, without, again = states
    assert not np.array_equal(labelled["q"]["0.w"], without["q"]["0.w"])
    assert not np.array_equal(labelled["d"]["trunk.0.w"], without["d"]["trunk.0.w"])
    np.testing.assert_array_equal(labelled["d"]["head.0.w"], without["d"]["head.0.w"])
    np.testing.assert_array_equal(without["q"]["0.w"], again["q"]["0.w"])


def test_all_that_q_learns_from_is_weighed():
    slopes = []
    for weight in (0.5, 2.0):
        g, d, q, opt_g, opt_d, latents = small_acgan()
        z, z_g, labels = latents.sample(RNG(3), 32), latents.sample(RNG(4), 32), RNG(2).integers(3, size=32)
        acgan_step(g, d, q, opt_g, opt_d, Tensor(rows(1)), labels, z, z_g, latents, weight=weight)
        slopes.append(q.layers[0].w.grad)  # of d's update: q is frozen in g's
    np.testing.assert_allclose(slopes[1], 4 * slopes[0], rtol=1e-4, atol=1e-7)


def test_acgan_learns_to_name_the_class_of_real_points_and_to_draw_it():
    g, d, q, opt_g, opt_d, latents = small_acgan()
    centres = np.array([[2, 0], [-1, 1.7], [-1, -1.7]])
    rng = RNG(0)
    for _ in range(400):
        labels = rng.integers(3, size=64)
        x = Tensor((centres[labels] + rng.normal(0, 0.2, (64, 2))).astype(np.float32))
        z, z_g = latents.sample(rng, 64), latents.sample(rng, 64)
        seen = acgan_step(g, d, q, opt_g, opt_d, x, labels, z, z_g, latents)
    assert seen["class_loss_real"] < 0.1
    z = latents.sample(rng, 300)
    asked = z[:, 2:].argmax(axis=1)
    with no_grad():
        drawn = g(Tensor(z)).data
    nearest = ((drawn[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == asked).mean() > 0.9


# --- labels from data to step -----------------------------------------------------------------------------------------


def test_batches_keep_images_and_labels_together():
    batches = Batches(np.arange(10), 3, RNG(0), labels=np.arange(10) % 4)
    for _ in range(7):
        chosen, labels = next(batches)
        np.testing.assert_array_equal(labels, chosen % 4)


def test_labels_do_not_change_the_order_of_images():
    plain, labelled = Batches(np.arange(10), 3, RNG(0)), Batches(np.arange(10), 3, RNG(0), labels=np.arange(10))
    for _ in range(7):
        np.testing.assert_array_equal(next(plain), next(labelled)[0])


def test_labels_of_another_number_are_refused():
    with pytest.raises(ValueError, match="labels: expected 10, one for each image, got 9"):
        Batches(np.arange(10), 3, RNG(0), labels=np.arange(9))


def test_n_steps_and_m_more_are_n_plus_m_bit_for_bit(tmp_path):
    whole = runs.train(config("cgan", steps=4), tmp_path / "whole", quiet=True)
    halves = runs.train(config("cgan", steps=2), tmp_path / "halves", quiet=True)
    runs.train(config("cgan", steps=4), resume=halves, quiet=True)
    (arrays, meta), (others, other_meta) = (checkpoint.load(run / "checkpoint.npz") for run in (whole, halves))
    assert arrays.keys() == others.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    assert meta["counters"] == other_meta["counters"]
    assert "labels" in meta["data"]
    drawn = runs.load(halves).system
    assert drawn.sample(drawn.latents.with_class(drawn.latents.sample(RNG(0), 2), 3)).shape == (2, 28, 28, 1)


def test_acgan_resumes_bit_for_bit(tmp_path):
    def trainer():
        g, d, q, opt_g, opt_d, latents = small_acgan()
        system = ACGAN(g, d, q, latents, opt_g, opt_d, batch=8)
        return Trainer(system, rows(1, 50), random_streams(0), batch=8, labels=RNG(2).integers(3, size=50))

    whole, first, second = trainer(), trainer(), trainer()
    whole.run(9)
    first.run(5)  # the other four steps go over the end of an epoch
    checkpoint.save(tmp_path / "c.npz", first, {})
    checkpoint.resume(tmp_path / "c.npz", second, {})
    second.run(9)
    (arrays, counters), (others, other_counters) = whole.state_dict(), second.state_dict()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, others[name], err_msg=name)
    assert counters == other_counters


def test_a_run_is_not_resumed_with_other_labels(tmp_path, monkeypatch):
    run = runs.train(config("cgan"), tmp_path / "run", quiet=True)
    load = data.load

    def relabelled(*arguments, **options):
        found = load(*arguments, **options)
        return dataclasses.replace(found, labels=(found.labels + 1) % 10)

    monkeypatch.setattr(data, "load", relabelled)
    with pytest.raises(CheckpointError, match=r"it was trained on data .* labels \w{8}, these are .* labels \w{8}"):
        runs.train(config("cgan", steps=4), resume=run, quiet=True)


def test_data_without_labels_are_refused_before_any_work(tmp_path):
    with pytest.raises(
        ValueError, match=r"data: cgan learns from labels, toyfaces has none; mnist-10k, mnist and fash"
    ):
        presets.check_labels(config("cgan"), Dataset(images(4), None, "toyfaces", "drawn"))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for i in range(8):
        plots.save_grid(pictures / f"{i}.png", images(1, i), pad=0)
    with pytest.raises(ValueError, match="data: cgan learns from labels, pictures has none"):
        runs.train(config("cgan", data=str(pictures)), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


def test_labels_beyond_the_classes_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"classes: expected .* got 5; mnist-10k has 0 to 9"):
        runs.train(config("cgan", classes=5), tmp_path / "run", quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("preset", SMALL)
def test_one_class_is_no_class(preset):
    with pytest.raises(ValueError, match="a code needs at least 2 classes, got 1"):
        build(preset, classes=1)


def test_a_label_is_nothing_to_read():
    latents = Latents(Noise(2), Label(3), Categorical(4))
    assert latents.q_size == 4
    assert [part for part, _ in latents.codes] == [Categorical(4)]
    assert latents.classes == 3
    np.testing.assert_array_equal(
        latents.class_rows(latents.with_class(latents.sample(RNG(0), 3), [2, 0, 1])).argmax(1), [2, 0, 1]
    )
