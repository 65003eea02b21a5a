"""So that the engine computes the same wherever its arrays live, and a run can go from one device to another."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_ops import CASES

from minigan import Tensor, cli, device, grad, gradcheck, nn, ops, optim, presets
from minigan.autograd import record
from minigan.device import Generator
from minigan.latents import Categorical, Gaussian, Label, Latents, Noise, Uniform
from minigan.models import cgan, gan
from minigan.training import checkpoint
from minigan.training.graph import DeviceStep, NotAGraph
from minigan.training.steps import discriminator_only
from minigan.training.systems import ACGAN, GAN, ConditionalGAN, InfoGAN
from minigan.training.trainer import Trainer, random_streams

RNG = np.random.default_rng


# --- arrays -----------------------------------------------------------------------------------------------------------


NO_GPU = device.unavailable("gpu")
ON_A_GPU = [pytest.mark.gpu, pytest.mark.skipif(NO_GPU is not None, reason=str(NO_GPU))]


@pytest.fixture(scope="module", params=["emulated", pytest.param("gpu", marks=ON_A_GPU)])
def gpu(request):
    """A GPU: the emulated one, and where there is one a real one."""
    return device.get(request.param)


def test_arrays_go_there_and_back(gpu):
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    y = gpu.upload(x)
    assert device.of(y) is gpu
    assert gpu.upload(y) is y
    assert device.CPU.upload(x) is x
    np.testing.assert_array_equal(device.CPU.upload(y), x)
    assert device.of(device.download(y)) is device.CPU
    assert gpu.upload([1, 2], np.float32).dtype == np.float32
    back = device.download(x)
    back[0, 0] = 9
    assert x[0, 0] == 0, "a download is a copy, from the CPU too"


@pytest.mark.parametrize("name", [name for name in CASES if name != "batch_norm_inference"])  # its case has moments
@settings(max_examples=2, deadline=None, derandomize=True)
@given(data=st.data())
def test_every_operation_and_its_gradients_are_the_cpus(name, data, gpu):
    function, inputs = CASES[name](data.draw, getattr(ops, name))
    inputs = [np.asarray(x, np.float32) for x in inputs]
    found = []
    for place in (device.CPU, gpu):
        leaves = [Tensor(place.upload(x), requires_grad=True) for x in inputs]
        y = function(*leaves)
        assert device.of(y.data) is place
        dy = RNG(0).standard_normal(y.shape).astype(y.dtype)
        first = grad((y * Tensor(place.upload(dy))).sum(), leaves, create_graph=True)
        total = sum((ops.square(g).sum() for g in first), Tensor(place.upload(np.zeros((), np.float32))))
        second = grad(total, leaves) if total.requires_grad else []
        assert all(device.of(g.data) is place for g in (*first, *second))
        assert all(g.data.flags.c_contiguous for g in first if place is gpu)
        found.append([t.numpy() for t in (y, *first, *second)])
    for mine, cpus in zip(*found, strict=True):
        np.testing.assert_allclose(cpus, mine, rtol=1e-5, atol=1e-5 * max(1.0, np.abs(mine).max(initial=0)))


def test_gradients_are_checked_where_they_are_computed(gpu):
    x, w = (gpu.upload(RNG(i).standard_normal(shape), np.float32) for i, shape in enumerate([(3, 4), (4, 2)]))
    assert gradcheck(lambda x, w: ops.tanh(x @ w), x, w, tolerance=1e-2) > 0
    assert gradcheck(lambda x, w: ops.tanh(x @ w), x, w, order=2, tolerance=1e-2) > 0
    with pytest.raises(AssertionError, match="first derivative in input 0"):
        gradcheck(lambda x: record("wrong", x.data * 2, (x, lambda dy: dy)), x, tolerance=1e-2)


def test_constants_and_targets_of_the_host_are_uploaded(gpu):
    logits = RNG(0).standard_normal((3, 4)).astype(np.float32)
    for loss, targets in (
        (ops.sigmoid_cross_entropy, RNG(1).random((3, 4))),
        (ops.softmax_cross_entropy, [0, 3, 1]),
        (ops.softmax_cross_entropy, np.eye(4)[:3]),
        (ops.squared_error, 0.5),
    ):
        expected, found = (loss(Tensor(p.upload(logits)), targets).numpy() for p in (device.CPU, gpu))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        on_device = gpu.upload(np.asarray(targets))
        np.testing.assert_array_equal(loss(Tensor(gpu.upload(logits)), on_device).numpy(), found)
    with pytest.raises(ValueError, match=r"targets must be in \[0, 1\], got 0 to 2"):
        ops.sigmoid_cross_entropy(Tensor(gpu.upload(logits)), np.full((3, 4), 2.0))
    x = Tensor(gpu.upload(logits), requires_grad=True)
    x.assign_(2 * logits)
    np.testing.assert_array_equal(x.numpy(), 2 * logits)
    (x * x).backward(np.ones((3, 4)))
    np.testing.assert_array_equal(device.download(x.grad), 4 * logits)


def test_arrays_of_two_devices_do_not_meet(gpu):
    x, y = np.ones((2, 2), np.float32), gpu.upload(np.ones((2, 2), np.float32))
    with pytest.raises(TypeError, match=r"linear: x is a .* of float32 but w is a numpy\.ndarray"):
        ops.linear(Tensor(y), Tensor(x))
    with pytest.raises(TypeError, match=r"NumPy array of shape|Unsupported type"):
        Tensor(y) + Tensor(x)
    with pytest.raises(TypeError, match="tanh: x is float64; the GPU's kernels take float32"):
        ops.tanh(Tensor(gpu.upload(np.ones(2))))
    with pytest.raises(ValueError, match=r"tanh: x of shape \(2, 2\) is not C-contiguous.* pass its copy\(\)"):
        ops.tanh(Tensor(y.T))


# --- modules, optimisers, chance --------------------------------------------------------------------------------------


def network():
    return nn.Sequential(nn.Linear(3, 4, rng=RNG(0)), nn.BatchNorm(4), nn.ReLU(), nn.Linear(4, 2, rng=RNG(1)))


def test_a_module_moves_with_its_buffers_and_its_state_is_of_the_host(gpu):
    module, other = network().to(gpu), network()
    assert (module.device, other.device) == (gpu, device.CPU)
    x = RNG(2).standard_normal((5, 3)).astype(np.float32)
    for m in (module, other):
        m(Tensor(m.device.upload(x)))
    assert device.of(module.layers[1].running_mean) is gpu
    state = module.state_dict()
    assert {type(array) for array in state.values()} == {np.ndarray}
    assert state.keys() == other.state_dict().keys()
    for name, array in other.state_dict().items():
        np.testing.assert_allclose(state[name], array, rtol=1e-5, atol=1e-7, err_msg=name)
    expected = module.eval()(Tensor(gpu.upload(x))).numpy()
    other.load_state_dict(state)
    np.testing.assert_allclose(other.eval()(Tensor(x)).numpy(), expected, rtol=1e-5, atol=1e-6)
    module.load_state_dict(network().state_dict())
    assert device.of(module.layers[1].running_mean) is gpu
    np.testing.assert_array_equal(module.to(device.CPU).layers[1].running_mean, 0)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSProp])
def test_an_optimiser_steps_there_as_on_the_cpu(kind, gpu):
    states = []
    for place in (device.CPU, gpu):
        module = nn.Linear(3, 2, rng=RNG(0)).to(place)
        optimizer = kind(module, lr=0.1).to(place)
        for step in range(3):
            module.w.grad = place.upload(RNG(step).standard_normal((3, 2)), np.float32)
            module.b.grad = place.upload(RNG(step).standard_normal(2), np.float32)
            optimizer.lr = 0.1 / (step + 1)
            optimizer.step()
        assert optimizer.lr == pytest.approx(0.1 / 3)
        states.append(module.state_dict() | optimizer.state_dict())
    for name, array in states[0].items():
        np.testing.assert_allclose(states[1][name], array, rtol=1e-5, atol=1e-7, err_msg=name)
    assert states[1]["steps"] == 3
    optimizer.load_state_dict(kind(module, lr=0.1).state_dict())
    assert optimizer.state_dict()["steps"] == 0
    assert optimizer.to(device.CPU).steps == 0


def test_chance_on_a_device_goes_on_from_its_state_and_is_the_same_everywhere(gpu):
    drawn = {}
    for place in (device.CPU, gpu):
        rng = Generator(2**64 - 3, place)
        latents = Latents(Noise(3), Categorical(4), Uniform(), Gaussian())
        first, state, second = latents.sample(rng, 5), rng.state, latents.sample(rng, 5)
        assert state[0] == 2**64 - 3
        rng.state = state
        np.testing.assert_array_equal(device.download(latents.sample(rng, 5)), device.download(second))
        assert device.of(first) is place
        drawn[place] = device.download(first)
    assert not np.array_equal(device.download(second), drawn[gpu])
    np.testing.assert_allclose(drawn[gpu], drawn[device.CPU], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(drawn[gpu][:, 3:7].sum(axis=1), 1)
    numpy_rng = RNG(3)
    before = numpy_rng.bit_generator.state
    assert gpu.generator(numpy_rng).state == gpu.generator(RNG(3)).state != gpu.generator(RNG(4)).state
    assert numpy_rng.bit_generator.state == before
    assert device.CPU.generator(numpy_rng) is numpy_rng


# --- training ---------------------------------------------------------------------------------------------------------

IMAGES = RNG(7).uniform(-1, 1, (24, 8, 8, 3)).astype(np.float32)


def tiny_gan(**options):
    """Both networks with convolution, batch normalisation and activations, for 8x8 images."""
    rng = RNG(0)
    g = nn.Sequential(
        nn.Reshape(1, 1, 6),
        nn.ConvTranspose2d(6, 8, 4, bias=False, rng=rng),
        nn.BatchNorm(8),
        nn.ReLU(),
        nn.ConvTranspose2d(8, 3, 4, 2, 1, rng=rng),
        nn.Tanh(),
    )
    d = nn.Sequential(
        nn.Conv2d(3, 8, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 8, 3, padding="same", bias=False, rng=rng),
        nn.BatchNorm(8),
        nn.LeakyReLU(0.2),
        nn.Flatten(),
        nn.Linear(4 * 4 * 8, 1, rng=rng),
    )
    latents = Latents(Noise(4), Categorical(2))
    return GAN(g, d, latents, optim.Adam(g, lr=2e-3), optim.Adam(d, lr=1e-3), batch=5, **options)


def trainer(place, **options):
    made = Trainer(tiny_gan(), IMAGES, random_streams(1), batch=5, device=place, **options)
    if place is device.CPU:  # the device's noise instead of NumPy's
        made.noise = Generator(device.seed(made.streams["noise"]), place)
    return made


def assert_same_arrays(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, err_msg=name, **tolerance or {"rtol": 0})


@pytest.fixture
def after_two_steps():
    """State of a trainer on the CPU after two steps, with the device's noise, and the scalars of its last step."""
    cpu = trainer(device.CPU)
    scalars = [cpu.step() for _ in range(2)][-1]
    return cpu.state_dict()[0], scalars


def test_two_steps_of_a_gan_are_the_cpus(gpu, after_two_steps):
    made = trainer(gpu)
    scalars = [made.step() for _ in range(2)][-1]
    found, (expected, cpus) = made.state_dict()[0], after_two_steps
    assert_same_arrays(found, expected, rtol=1e-4, atol=2e-5)
    start = trainer(device.CPU).state_dict()[0]
    assert max(np.abs(array - start[name]).max() for name, array in expected.items()) > 1e-3
    for name, value in cpus.items():
        assert float(scalars[name]) == pytest.approx(float(value), rel=1e-4), name


@pytest.mark.parametrize("options", [{}, {"d_steps": 2, "fresh_noise": True}])
def test_a_graph_takes_the_steps_that_are_taken_op_by_op(options, gpu):
    states, scalars = [], []
    for graph in (False, True):
        made = Trainer(tiny_gan(**options), IMAGES, random_streams(1), batch=5, device=gpu, graph=graph)
        scalars.append([{k: float(v) for k, v in made.step().items()} for _ in range(6)])
        assert made.system_step.is_graph is graph
        states.append(made.state_dict())
    assert_same_arrays(states[1][0], states[0][0])
    assert states[1][1] == states[0][1], "as many images and random numbers were drawn"
    assert scalars[1] == scalars[0]
    assert states[0][0]["optimizer.g.steps"] == 6
    assert states[0][0]["optimizer.d.steps"] == 6 * options.get("d_steps", 1)


def points_gan(**changes):
    preset = presets.get("gan-2d")
    config = replace(preset.config, batch=4, width=8, **changes)
    return preset.build(config, (2,), RNG(0))


def points_infogan():
    latents = Latents(Noise(2), Categorical(3), Uniform(), Gaussian())
    g = gan.mlp_generator(latents.size, 8, rng=RNG(0))
    trunk = nn.Sequential(nn.Linear(2, 8, rng=RNG(1)), nn.BatchNorm(8), nn.LeakyReLU(0.1))
    d = nn.TrunkAndHead(trunk, nn.Sequential(nn.Linear(8, 1, rng=RNG(2))))
    q = nn.Sequential(nn.Linear(8, latents.q_size, rng=RNG(3)))
    return InfoGAN(g, d, q, latents, optim.Adam(g), optim.Adam(d, q), batch=4, average=0.9)


def tiny_cgan():
    latents = Latents(Noise(2), Label(3))
    g = nn.Sequential(nn.Linear(latents.size, 16, rng=RNG(0)), nn.Tanh(), nn.Reshape(4, 4, 1))
    d = cgan.Discriminator(nn.Sequential(nn.Conv2d(1 + 3, 1, 4, rng=RNG(1)), nn.Flatten()), 3)
    return ConditionalGAN(g, d, latents, optim.Adam(g), optim.Adam(d), batch=4)


def points_acgan():
    latents = Latents(Noise(2), Categorical(3))
    g = gan.mlp_generator(latents.size, 8, rng=RNG(0))
    d = nn.TrunkAndHead(nn.Sequential(nn.Linear(2, 8, rng=RNG(1))), nn.Sequential(nn.Linear(8, 1, rng=RNG(2))))
    q = nn.Sequential(nn.Linear(8, latents.q_size, rng=RNG(3)))
    return ACGAN(g, d, q, latents, optim.Adam(g), optim.Adam(d, q), batch=4)


def small(name, shape=(2,), **changes):
    preset = presets.get(name)
    return preset.build(replace(preset.config, batch=4, **changes), shape, RNG(0))


PIXELS = (4, 4, 1)
GAMES = [
    (partial(small, "vae", PIXELS, k=2), PIXELS),
    (partial(small, "autoencoder", PIXELS), PIXELS),
    (partial(small, "mmd-2d"), (2,)),
    (partial(small, "discriminator-only-2d", ascent_steps=2), (2,)),
    (partial(points_gan, loss="minimax", penalty="r1", packing=2), (2,)),
    (partial(points_gan, loss="least-squares", average=0.9, fresh_noise=True), (2,)),
    (partial(points_gan, loss="hinge", spectral_norm=True, penalty="dragan", simultaneous=True), (2,)),
    (partial(points_gan, loss="wasserstein", penalty="wgan-gp", d_steps=2), (2,)),
    (partial(points_gan, loss="wasserstein", clip=0.1, d_steps=2), (2,)),
    (points_infogan, (2,)),
    (points_acgan, (2,)),
    (tiny_cgan, PIXELS),
]


def four_steps(game, shape, gpu, graph):
    system, images = game(), RNG(1).uniform(-1, 1, (16, *shape)).astype(np.float32)
    labels = np.arange(16) % 3 if getattr(system, "needs_labels", False) else None
    made = Trainer(system, images, random_streams(0), batch=4, labels=labels, device=gpu, graph=graph)
    for _ in range(4):
        scalars = made.step()
    assert made.system_step.is_graph is graph
    assert all(np.isfinite(float(value)) for value in scalars.values())
    return made.state_dict()


@pytest.mark.parametrize(("game", "shape"), GAMES)
def test_every_game_runs_as_a_graph(game, shape, gpu):
    (eager, counters), (graph, same_counters) = (four_steps(game, shape, gpu, graph) for graph in (False, True))
    assert_same_arrays(graph, eager)
    assert same_counters == counters


@pytest.mark.parametrize("game", [points_gan, tiny_cgan])
def test_data_that_do_not_fit_the_device_travel_batch_by_batch(game, gpu, monkeypatch):
    shape = PIXELS if game is tiny_cgan else (2,)
    resident = four_steps(game, shape, gpu, graph=True)
    monkeypatch.setattr(type(gpu.runtime), "free_bytes", lambda self: 16)
    for graph in (False, True):
        streamed = four_steps(game, shape, gpu, graph)
        assert_same_arrays(streamed[0], resident[0])
        assert streamed[1] == resident[1]


@pytest.mark.parametrize("name", presets.PRESETS)
def test_the_step_of_every_preset_can_be_recorded(name):
    # Only recorded: kernels are remembered, not run, so that full widths cost no more than their arrays.
    preset, streams, emulated = presets.get(name), random_streams(0), device.get("emulated")
    small = {"batch": 4, "d_batch": None}
    config = replace(preset.config, **{k: v for k, v in small.items() if hasattr(preset.config, k)})
    system = preset.build(config, preset.default_shape, streams["init"])
    images = np.zeros((8, *preset.default_shape), np.float32)
    labels = np.arange(8) if getattr(system, "needs_labels", False) else None
    made = Trainer(system, images, streams, batch=4, labels=labels, device=emulated, graph=True)
    for channels in (1, 3):
        discriminator_only._blur(channels, emulated)  # what a first step uploads, once
    made.system_step.staging.begin()
    for _ in range(8):  # as many batches as any step asks for
        next(made.system_step.staging)
    made.system_step._record()
    assert made.system_step.is_graph


def test_a_graph_that_wrote_weights_spoils_older_tapes(gpu):
    made = trainer(gpu, graph=True)
    for _ in range(3):
        made.step()
    d = made.system.d
    loss = d(Tensor(gpu.upload(IMAGES[:2]))).mean()
    made.step()
    with pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


def test_a_learning_rate_that_changes_reaches_the_graph(gpu):
    weights = []
    for graph in (False, True):
        made = trainer(gpu, graph=graph)
        for step in range(5):
            made.system.optimizers["g"].lr = 1e-3 / (1 + step)
            made.step()
        weights.append(made.state_dict()[0])
    assert_same_arrays(*weights)


def test_what_is_asked_of_a_system_on_a_device_comes_back_to_the_host(gpu):
    images, points = (RNG(5).uniform(-1, 1, (6, *shape)).astype(np.float32) for shape in (PIXELS, (2,)))
    asked = {
        "vae": lambda system: [
            system.reconstruct(images),
            system.sample(RNG(1).standard_normal((3, 20), np.float32)),
            *system.elbo_nats(images, RNG(2)),
            system.log_likelihood_nats(images, RNG(3), k=4, at_a_time=2),
        ],
        "autoencoder": lambda system: [system.reconstruct(images), system.sample(np.ones((3, 20), np.float32))],
        "discriminator-only-2d": lambda system: [system.sample(points), system.landscape(points)],
        "mmd-2d": lambda system: [system.sample(points)],
        "gan-2d": lambda system: [system.sample(points)],
    }
    systems = {name: partial(small, name, PIXELS if "auto" in name or name == "vae" else (2,)) for name in asked}
    systems |= {"infogan": points_infogan}
    asked["infogan"] = lambda system: [system.sample(np.ones((3, 7), np.float32)), *system.read(points)]
    for name, make in systems.items():
        here, away = make(), make()
        for module in away.modules.values():
            module.to(gpu)
        for expected, found in zip(asked[name](here), asked[name](away), strict=True):
            assert type(found) is np.ndarray, name
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4, err_msg=name)


# --- what no graph can do ---------------------------------------------------------------------------------------------


class Looking(GAN):
    """Reads a loss in every step."""

    def step(self, batches, rng):
        scalars = super().step(batches, rng)
        return scalars | {"seen": float(scalars["loss_g"])}


class Replacing(GAN):
    """Replaces a buffer in every step."""

    def step(self, batches, rng):
        scalars = super().step(batches, rng)
        norm = self.g.layers[2]
        norm.running_mean = norm.running_mean * 1.0
        return scalars


class Restless(GAN):
    """Does not do the same in every step."""

    steps_alike = False


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Looking, "op by op, not as a graph: "),  # each device has its own words
        (Replacing, r"op by op, not as a graph: g.2.running_mean is replaced by a new array in each step"),
        (Restless, "op by op, not as a graph: the steps of Restless are not all alike"),
    ],
)
def test_steps_that_no_graph_can_take_are_taken_op_by_op_with_a_notice(kind, reason, gpu):
    system = tiny_gan()
    system.__class__ = kind

    def four_steps():
        made = Trainer(system, IMAGES, random_streams(1), batch=5, device=gpu, graph=True)
        for _ in range(4):
            made.step()
        return made

    with pytest.warns(NotAGraph, match=reason):
        made = four_steps()
    assert not made.system_step.wants_graph
    plain = trainer(gpu)
    for _ in range(4):
        plain.step()
    assert_same_arrays(made.state_dict()[0], plain.state_dict()[0])


def test_a_graph_for_which_memory_does_not_suffice_is_given_up_with_a_notice(monkeypatch):
    emulated = device.get("emulated")

    def capture(self, step):
        raise device.DeviceError("out of device memory: 3 of 144,384 MiB are free")

    monkeypatch.setattr(type(emulated.runtime), "capture", capture)
    made, plain = trainer(emulated, graph=True), trainer(emulated)
    with pytest.warns(NotAGraph, match="op by op, not as a graph: out of device memory: 3 of 144,384 MiB"):
        made.run(4)
    plain.run(4)
    assert_same_arrays(made.state_dict()[0], plain.state_dict()[0])


def test_a_batch_of_another_shape_ends_the_graph_with_a_notice(gpu, monkeypatch):
    monkeypatch.setattr(type(gpu.runtime), "free_bytes", lambda self: 0)

    class Batches:
        images, labels, sizes = IMAGES, None, iter([5, 5, 5, 4, 5])

        def __next__(self):
            return IMAGES[: next(self.sizes)]

    system = tiny_gan()
    for part in (*system.modules.values(), *system.optimizers.values()):
        part.to(gpu)
    step = DeviceStep(system, Batches(), gpu.generator(RNG(0)), gpu, graph=True)
    for _ in range(3):
        step()
    assert step.is_graph
    with pytest.warns(NotAGraph, match=r"a batch has shape \(4, 8, 8, 3\), the graph was recorded with \(5, 8, 8, 3\)"):
        step()
    step()
    assert not step.is_graph
    assert system.optimizers["g"].state_dict()["steps"] == 5


def test_looking_for_what_is_not_finite_takes_steps_op_by_op(gpu):
    with pytest.warns(NotAGraph, match="op by op, not as a graph: --find-nonfinite checks every result"):
        made = trainer(gpu, graph=True, find_nonfinite=True)
    made.system.g.layers[1].w.data[...] = np.nan
    with pytest.raises(FloatingPointError, match=r"conv2d_grad_input is not finite: shape .* NaN"):
        made.run(1)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def saved(made, tmp_path):
    checkpoint.save(tmp_path / "checkpoint.npz", made, {})
    return tmp_path / "checkpoint.npz"


@pytest.mark.parametrize("graph", [False, True])
def test_a_run_on_a_device_resumes_bit_by_bit(graph, gpu, tmp_path):
    whole, first, second = (trainer(gpu, graph=graph) for _ in range(3))
    whole.run(7)
    first.run(4)
    checkpoint.resume(saved(first, tmp_path), second, {})
    second.run(7)
    assert_same_arrays(second.state_dict()[0], whole.state_dict()[0])
    assert second.state_dict()[1] == whole.state_dict()[1]


def test_a_run_goes_from_device_to_device(gpu, tmp_path):
    first = trainer(gpu, graph=True)
    first.run(4)
    path = saved(first, tmp_path)
    second = Trainer(tiny_gan(), IMAGES, random_streams(1), batch=5)
    checkpoint.resume(path, second, {})
    assert_same_arrays(second.state_dict()[0], first.state_dict()[0])
    second.run(5)
    third = trainer(gpu)
    checkpoint.resume(saved(second, tmp_path), third, {})
    assert_same_arrays(third.state_dict()[0], second.state_dict()[0])
    assert third.noise.state == (first.noise.state[0], 5 << 40), "noise that no step has drawn before"
    third.run(6)
    assert third.batches.state_dict() == first.batches.state_dict() or third.iteration == 6


# --- the command line -------------------------------------------------------------------------------------------------


def test_a_run_on_the_emulator_from_the_command_line(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = ["--steps=4", "--batch=8", "--width=8", "--samples=4", "--out=run", "--device=emulated"]
    assert cli.main(["train", "gan-2d", *arguments]) == 0
    text = capsys.readouterr().out
    assert "device      the emulated GPU" in text
    assert "float32, each step as one graph" in text
    assert cli.main(["train", "--resume=run", "--steps=6", "--device=emulated", "--no-graph"]) == 0
    assert "float32, op by op" in capsys.readouterr().out
    assert cli.main(["train", "--resume=run", "--steps=7", "--device=cpu"]) == 0
    assert "device      the CPU\n" in capsys.readouterr().out
    assert cli.main(["sample", "run", "--out=points.npy"]) == 0
    assert np.isfinite(np.load("points.npy")).all()


@pytest.mark.filterwarnings("default")
def test_a_notice_is_one_line(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    arguments = ["--steps=1", "--batch=8", "--width=8", "--samples=4", "--device=emulated", "--quiet"]
    assert cli.main(["train", "gan-2d", "--find-nonfinite", *arguments]) == 0
    notice = "minigan: steps run op by op, not as a graph: --find-nonfinite checks every result\n"
    assert capsys.readouterr() == ("", notice)


def test_auto_is_the_cpu_where_no_gpu_works_and_says_why(monkeypatch):
    monkeypatch.setattr(device.runtime, "unavailable", lambda name: "no GPU: none was bought")
    assert device.choose("auto") == (device.CPU, "no GPU: none was bought")
    assert device.choose("cpu") == (device.CPU, "")
