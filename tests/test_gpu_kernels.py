"""Holds every CUDA kernel of the contract to the float64 reference, on the emulator always, on a GPU where one is.

The emulator checks each access: bounds, races, reads of what nobody wrote, writes to what is const. A new kernel and a
new variant are tested by being written.
"""

import inspect

import numpy as np
import pytest
from test_kernels import (
    ELEMENTWISE,
    KNOWN_ANSWERS,
    ONLY_CHOOSES_A_SIDE,
    RANDOM,
    WRITTEN,
    Sizes,
    bound,
    call,
    copied,
    hexadecimal,
    results,
)

from minigan import kernels
from minigan.kernels.gpu import batchnorm, emulated_runtime, emulator, packs, pool, runtime
from minigan.kernels.gpu import compile as nvrtc

spec = kernels.spec
NO_GPU = runtime.unavailable("gpu")
ON_A_GPU = [pytest.mark.gpu, pytest.mark.skipif(NO_GPU is not None, reason=str(NO_GPU))]
DEVICES = ("emulated", pytest.param("gpu", marks=ON_A_GPU))

# H and W differ, batches are odd, channels whole packs and not, more than a block of threads and less than a warp.
AWKWARD = (
    Sizes(),
    Sizes(n=5, h=9, w=7, c=1, k=1, slope=0.0),
    Sizes(n=3, h=16, w=12, c=3, k=10, window=(3, 2)),
    Sizes(n=1, h=6, w=5, c=50, k=33, window=(2, 3), stride=1),
    Sizes(n=3, h=8, w=10, c=64, k=32, slope=1.0),
)
DCGAN_SCALED_DOWN = Sizes(n=4, h=16, w=16, c=64, k=64)
BIAS = ("bias_leaky_relu", "bias_leaky_relu_grad", "bias_grad")


@pytest.fixture(params=DEVICES)
def device(request):
    return runtime.get(request.param)


def on(device, args):
    return tuple(device.upload(a) if isinstance(a, np.ndarray) else a for a in args)


def wide(args):
    """Copies of the arguments, float32 arrays as float64."""
    return tuple(
        a.astype(np.float64 if a.dtype == np.float32 else a.dtype) if isinstance(a, np.ndarray) else a for a in args
    )


def reference(name, args, kwargs):
    with kernels.use("reference"):
        return results(name, wide(args), kwargs)


def choices(name):
    """Name the table's own choice, then every variant, as arguments of `use`."""
    return [{}, *({name: variant} for variant in kernels.variants(name, "gpu"))]


def run(name, args, kwargs, choice):
    """Call a kernel; None where a variant refuses geometry or precision, which the table's own choice may not."""
    with kernels.use("gpu", **choice):
        try:
            return results(name, args, kwargs)
        except ValueError:
            if choice:
                return None
            raise


def compare(name, out, args, kwargs, what):
    """Compare results on a device with the reference in float64."""
    expected = reference(name, args, kwargs)
    for o, e in zip(out, expected, strict=True):
        assert o.shape == e.shape
        assert o.flags.c_contiguous
        o = o.get()
        if o.dtype.kind != "f":
            np.testing.assert_array_equal(o, e, err_msg=what)
            continue
        assert o.dtype == np.float32
        error = np.abs(o - e).max() if o.size else 0
        assert error <= bound(name, wide(args), expected, np.float32), f"{what}: {error:.1e}"


# --- every kernel -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", spec.ENTRIES)
def test_agrees_with_the_reference_and_writes_no_input(name, device):
    for sizes in AWKWARD:
        args, kwargs = call(name, sizes, np.float32, seed=3)
        for choice in choices(name):
            given = on(device, args)
            out = run(name, given, kwargs, choice)
            if out is None:
                continue
            compare(name, out, args, kwargs, f"{name} {choice} {sizes}")
            for position, (before, after) in enumerate(zip(args, given, strict=True)):
                if isinstance(before, np.ndarray) and position not in WRITTEN.get(name, ()):
                    np.testing.assert_array_equal(after.get(), before, err_msg=f"argument {position}")


@pytest.mark.parametrize("name", spec.ENTRIES)
def test_every_launch_is_of_a_listed_instance_and_no_order_of_threads_changes_a_bit(name):
    args, kwargs = call(name, DCGAN_SCALED_DOWN._replace(n=1), np.float32)
    family = spec.ENTRIES[name].family
    listed = kernels._family("gpu", family).INSTANCES
    if family == "linear":  # whose activation is another family's kernel
        listed = listed | kernels._family("gpu", "pointwise").INSTANCES
    for choice in choices(name):
        found = []
        for order in (0, 1, 7):
            with emulated_runtime.observe(order=order) as launches:
                out = run(name, on(runtime.get("emulated"), args), kwargs, choice)
            if out is None:
                continue
            found.append([o.get() for o in out])
            assert launches
            assert [entry for entry in launches if entry.instance not in listed[entry.source]] == []
        for other in found[1:]:
            for a, b in zip(found[0], other, strict=True):
                np.testing.assert_array_equal(a, b, err_msg=f"{name} {choice}")


@pytest.mark.parametrize("name", spec.ENTRIES)
def test_dcgans_shapes_move_whole_sectors_and_meet_no_bank_conflict(name):
    args, kwargs = call(name, DCGAN_SCALED_DOWN, np.float32)
    with kernels.use("gpu"), emulated_runtime.observe(lint=True) as launches:
        results(name, on(runtime.get("emulated"), args), kwargs)
    for launch in launches:
        rows = [row for row in launch.lint if row.excess > 1]
        assert not rows, f"{launch.instance}\n{emulator.format_lint(rows)}"


@pytest.mark.parametrize("name", [name for name in spec.ENTRIES if name not in RANDOM])
def test_arrays_that_do_not_start_at_16_bytes_go_the_general_way(name, device):
    args, kwargs = call(name, Sizes(n=3, c=8, k=8), np.float32)
    views = []
    for a in args:
        if isinstance(a, np.ndarray):
            view = device.upload(np.concatenate([a.ravel()[:1], a.ravel()]))[1:].reshape(a.shape)
            views.append(view)
        else:
            views.append(a)
    with kernels.use("gpu"):
        compare(name, results(name, tuple(views), kwargs), args, kwargs, name)


@pytest.mark.parametrize("name", [name for name in spec.ENTRIES if name not in RANDOM])
def test_nan_never_vanishes(name, device):
    example, kwargs = call(name, Sizes(), np.float32)
    for position, a in enumerate(example):
        if not isinstance(a, np.ndarray) or a.dtype != np.float32 or ONLY_CHOOSES_A_SIDE.get(name) == position:
            continue
        args, _ = call(name, Sizes(), np.float32)
        args[position].flat[-1] = np.nan
        with kernels.use("gpu"):
            out = results(name, on(device, args), kwargs)
        assert any(np.isnan(o.get()).any() for o in out), f"argument {position}"


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
def test_elementwise_kernels_take_any_shape(name, shape, device):
    arrays = [p for p in inspect.signature(spec.ENTRIES[name].rule).parameters if p != "slope"]
    out = getattr(kernels, name)(*on(device, (np.ones(shape, np.float32) for _ in arrays)))
    assert type(out) is device.array_type
    assert (out.shape, out.dtype) == (shape, np.float32)


# --- batch norm -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 2052), (9, 257), (1000, 2), (1, 4), (33, 1030)])
@pytest.mark.parametrize("name", ["batch_norm", "batch_norm_grad", *BIAS])
def test_channels_beyond_a_block_of_threads_and_columns_longer_than_a_block(name, shape, device):
    rows, channels = shape
    args, kwargs = call(name, Sizes(n=rows, h=1, w=1, c=channels, window=(1, 1)), np.float32)
    for choice in choices(name):
        with kernels.use("gpu", **choice):
            compare(name, results(name, on(device, args), kwargs), args, kwargs, f"{choice}")


@pytest.mark.parametrize("channels", [5, 8])  # 5: a second batch that begins between packs of 16 bytes
@pytest.mark.parametrize("name", ["batch_norm", "batch_norm_grad"])
def test_batches_in_one_array_keep_moments_of_their_own(name, channels, device):
    args, kwargs = call(name, Sizes(n=7, h=3, w=1, c=channels, window=(1, 1), batches=3), np.float32)
    for choice in choices(name):
        with kernels.use("gpu", **choice):
            compare(name, results(name, on(device, args), kwargs), args, kwargs, f"{choice}")


@pytest.mark.parametrize("shape", [(1000, 5), (300, 64), (40, 1028)])
@pytest.mark.parametrize("name", ["batch_norm", "batch_norm_inference", "batch_norm_grad", *BIAS])
def test_arrays_larger_than_the_device_are_gone_through_in_turns(name, shape, device, monkeypatch):
    for family in (packs, batchnorm):  # a device that is full with two blocks
        monkeypatch.setattr(family, "FULL_DEVICE", 2)
    args, kwargs = call(name, Sizes(n=shape[0], h=1, w=1, c=shape[1], window=(1, 1)), np.float32)
    for choice in choices(name):
        with kernels.use("gpu", **choice):
            compare(name, results(name, on(device, args), kwargs), args, kwargs, f"{choice}")


@pytest.mark.parametrize("sizes", [Sizes(n=0), Sizes(c=0), Sizes(k=0), Sizes(n=0, c=0, k=0)])
@pytest.mark.parametrize("name", spec.ENTRIES)
def test_sizes_of_0_are_refused_by_the_rule_or_give_what_the_reference_gives(name, sizes, device):
    args, kwargs = call(name, sizes, np.float32)
    try:
        spec.ENTRIES[name].rule(*args, **kwargs)
    except ValueError:
        return
    expected = reference(name, args, kwargs)
    found = [[o.get() for o in out] for choice in choices(name) if (out := run(name, on(device, args), kwargs, choice))]
    for variant in kernels.variants(name, "cpu"):
        with kernels.use("cpu", **{name: variant}):
            found.append(results(name, copied(args), kwargs))
    for out in found:
        for o, e in zip(out, expected, strict=True):
            assert o.shape == e.shape
            np.testing.assert_allclose(o, e, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("columns", [512, 513])
def test_tiles_of_any_array_fit_a_grid(columns):
    grid, partial = batchnorm._tiles(unallocated((128, 512, columns, 1)), parts=3)
    assert grid == (1, 65535)
    assert partial.shape == (3, 65535, 1)


def moments(device, x, variant):
    one, zero = np.ones(x.shape[-1], np.float32), np.zeros(x.shape[-1], np.float32)
    with kernels.use("gpu", batch_norm=variant):
        _, mean, var = kernels.batch_norm(*on(device, (x, one, zero)), eps=1e-5)
    return mean.get(), var.get()


@pytest.mark.parametrize("variant", kernels.variants("batch_norm", "gpu"))
def test_moments_survive_a_large_mean_and_an_outlier_in_the_first_row(variant, device):
    x = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    x[:, 0] = 10000 + x[:, 0]
    x[:, 1] = 0.1
    x[:, 2] = 100 + 0.01 * x[:, 2]
    x[0, 3] = 1e6
    mean, var = moments(device, x, variant)
    exact = x.astype(np.float64)
    rounding = 2e-7 * np.abs(exact.mean(axis=0)) + 1e-6 * exact.std(axis=0)
    assert (np.abs(mean - exact.mean(axis=0)) <= rounding).all()
    np.testing.assert_allclose(var, exact.var(axis=0), rtol=1e-5, atol=0)
    assert var[1] == 0
    assert mean[1] == np.float32(0.1)


def test_a_large_mean_is_subtracted_before_anything_is_multiplied(device):
    x = (10000 + np.random.default_rng(0).normal(size=(50, 6))).astype(np.float32)
    one, mean = np.ones(6, np.float32), np.full(6, 10000, np.float32)
    args, kwargs = (x, one, one, mean, one), {"eps": 1e-5, "slope": 0.2}
    compare("batch_norm_inference", results("batch_norm_inference", on(device, args), kwargs), args, kwargs, "")


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("variant", kernels.variants("batch_norm_grad", "gpu"))
def test_batch_norm_backward_uses_the_forward_mask_bit_for_bit(variant, slope, device):
    rng = np.random.default_rng(1)
    x = (rng.integers(-3, 4, size=(99, 12)) + 1e-6 * rng.normal(size=(99, 12))).astype(np.float32)
    dy = rng.normal(size=x.shape).astype(np.float32)
    x, dy, gamma, zero = on(device, (x, dy, np.ones(12, np.float32), np.zeros(12, np.float32)))
    y, mean, var = kernels.batch_norm(x, gamma, zero, eps=1e-5)
    beta = device.upload(-y.get()[0])  # now each value of row 0, and all near it, are at the kink
    y = kernels.batch_norm_inference(x, gamma, beta, mean, var, eps=1e-5, slope=slope).get()
    with kernels.use("gpu", batch_norm_grad=variant):
        _, _, dbeta = kernels.batch_norm_grad(dy, x, gamma, beta, mean, var, eps=1e-5, slope=slope)
    masked = np.where(y > 0, dy.get(), dy.get() * np.float32(slope))
    np.testing.assert_allclose(dbeta.get(), masked.sum(axis=0, dtype=np.float64), rtol=1e-5, atol=1e-5)


# --- pointwise, pool, loss, optim -------------------------------------------------------------------------------------


def test_losses_are_exact_at_extreme_logits(device):
    def a(*values):
        return device.upload(np.array(values, np.float32))

    x, t = a(1e4, 1e4, -1e4, -1e4, 0), a(0, 1, 0, 1, 0.5)
    loss = kernels.sigmoid_cross_entropy(x, t).get()
    np.testing.assert_array_equal(loss[:4], [1e4, 0, 0, 1e4])
    assert loss[4] == pytest.approx(np.log(2))
    gradient = kernels.sigmoid_cross_entropy_grad(a(1, 1, 1, 1, 1), x, t).get()
    np.testing.assert_array_equal(gradient, [1, 0, 0, -1, 0])
    np.testing.assert_array_equal(kernels.sigmoid(a(1e4, -1e4, 0)).get(), [1, 0, 0.5])
    rows = a([1e4, -1e4, 0], [-1e4, -1e4, -1e4])
    np.testing.assert_allclose(kernels.softmax(rows).get(), [[1, 0, 0], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_array_equal(kernels.softmax_cross_entropy(rows, a([0, 1, 0], [1, 0, 0])).get()[0], 2e4)


def test_small_probabilities_keep_their_digits(device):
    x, t, one = (device.upload(np.array([v], np.float32)) for v in (50, 1, 1))
    np.testing.assert_allclose(kernels.sigmoid(-x).get(), [np.exp(-50.0)], rtol=1e-6)
    np.testing.assert_allclose(kernels.sigmoid_cross_entropy(x, t).get(), [np.exp(-50.0)], rtol=1e-6)
    np.testing.assert_allclose(kernels.sigmoid_cross_entropy_grad(one, x, t).get(), [-np.exp(-50.0)], rtol=1e-6)


@pytest.mark.parametrize("classes", [1, 31, 33, 1000])
def test_rows_of_a_softmax_may_have_any_length(classes, device):
    args, kwargs = call("softmax_cross_entropy", Sizes(n=3, h=3, k=classes), np.float32)
    compare("softmax_cross_entropy", results("softmax_cross_entropy", on(device, args), kwargs), args, kwargs, "")
    y = kernels.softmax(on(device, args)[0]).get()
    np.testing.assert_allclose(y.sum(axis=1, dtype=np.float64), 1, rtol=1e-6)


def test_a_softmax_of_the_least_logits_and_of_minus_infinity_is_the_references(device):
    least = np.finfo(np.float32).min
    logits = np.array([[least] * 3, [least, -3.401e38, least], [-np.inf, 0, -np.inf], [-np.inf] * 3], np.float32)
    targets = np.array([[0.2, 0.3, 0.5]] * 2 + [[0, 1, 1e-9]] * 2, np.float32)
    for name, args in (("softmax", (logits,)), ("softmax_cross_entropy", (logits, targets))):
        with np.errstate(invalid="ignore"):
            expected = reference(name, args, {})[0]
        np.testing.assert_allclose(getattr(kernels, name)(*on(device, args)).get(), expected, rtol=1e-6, err_msg=name)


HUGE, SMALL = (2, 2**15, 2**15, 2), (2, 2**14, 2**14, 2)  # 2**31 values in an image; what pools of 2x2 leave of it


def unallocated(shape, dtype=np.float32):
    """An array of the emulated device that is seen to have a shape, and takes no memory."""
    return np.broadcast_to(np.zeros((), dtype).view(emulated_runtime.EmulatedArray), shape, subok=True)


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("max_pool2d", [HUGE, 2], {}),
        ("max_pool2d_grad", [SMALL, SMALL], {"input_hw": HUGE[1:3]}),
        ("max_pool2d_gather", [HUGE, SMALL], {}),
        ("max_pool2d_gather", [SMALL, HUGE], {}),
        ("avg_pool2d", [HUGE, 2], {}),
        ("avg_pool2d_grad", [SMALL, 2], {"input_hw": HUGE[1:3]}),
        ("global_avg_pool2d", [HUGE], {}),
        ("global_avg_pool2d_grad", [(2, 2)], {"input_hw": HUGE[1:3]}),
    ],
)
def test_images_that_pooling_cannot_count_in_32_bits_are_refused(name, args, kwargs):
    args = [unallocated(a) if isinstance(a, tuple) else a for a in args]
    with pytest.raises(ValueError, match=rf"{name}: images of 32768x32768x2: .* 32 bits, so it may have 2,147,482,623"):
        getattr(pool, name)(*args, **kwargs)


def test_max_pool_takes_the_first_of_equals_and_never_loses_a_nan(device):
    x = np.array([[1, 3, 3, 0], [3, 2, np.nan, 9]], np.float32).reshape(1, 2, 4, 1)
    y, index = kernels.max_pool2d(device.upload(x), 2)
    np.testing.assert_array_equal(y.get().ravel(), [3, np.nan])
    np.testing.assert_array_equal(index.get().ravel(), [1, 6])


@pytest.mark.parametrize("pixel", [-1, 6])
def test_a_pixel_outside_the_image_shows_as_nan(pixel, device):
    index = device.upload(np.array([0, pixel], np.int32).reshape(1, 1, 1, 2))
    y = kernels.max_pool2d_gather(device.upload(np.ones((1, 2, 3, 2), np.float32)), index).get()
    np.testing.assert_array_equal(y.ravel(), [1, np.nan])
    dx = kernels.max_pool2d_grad(device.upload(np.ones((1, 1, 1, 2), np.float32)), index, input_hw=(2, 3)).get()
    assert np.isnan(dx[..., 1]).any()
    assert np.isfinite(dx[..., 0]).all()


@pytest.mark.parametrize("step", [1, 2, 1000, 10**6])
@pytest.mark.parametrize("betas", [(0.5, 0.999), (0.0, 0.99999)])
def test_adams_bias_correction_keeps_its_digits_at_every_step(step, betas, device):
    args, _ = call("adam_", Sizes(n=1, c=1), np.float32)
    kwargs = {"step": step, "lr": 0.5, "beta1": betas[0], "beta2": betas[1], "eps": 1e-8}
    compare("adam_", results("adam_", on(device, args), kwargs), args, kwargs, "")


@pytest.mark.parametrize(("name", "numbers"), [("sgd_", {"lr"}), ("adam_", {"lr", "step"}), ("rmsprop_", {"lr"})])
def test_optimisers_take_what_changes_from_step_to_step_from_memory(name, numbers, device):
    args, kwargs = call(name, Sizes(), np.float32)
    memory = {n: device.upload(np.array([kwargs[n]], np.int32 if n == "step" else np.float32)) for n in numbers}
    expected = results(name, on(device, args), kwargs)
    for out, e in zip(results(name, on(device, args), kwargs | memory), expected, strict=True):
        np.testing.assert_array_equal(out.get(), e.get())


@pytest.mark.parametrize(("name", "state"), [("sgd_", 1), ("adam_", 2), ("rmsprop_", 1)])
def test_a_network_of_more_tensors_than_a_launch_takes_is_updated_as_one_by_one(name, state, device):
    _, kwargs = call(name, Sizes(), np.float32)
    rng = np.random.default_rng(0)
    sizes = [1, 5000, 0, 2048, 2049, *range(1, 33)]  # more blocks than one, none, whole ones; three launches
    tensors = [[rng.random(n, np.float32) for _ in range(2 + state)] for n in sizes]
    lists = [[device.upload(a) for a in arrays] for arrays in zip(*tensors, strict=True)]
    getattr(kernels, name)(*lists, **kwargs)
    for k, arrays in enumerate(tensors):
        given = on(device, arrays)
        if sizes[k]:
            getattr(kernels, name)(*given, **kwargs)
        for found, expected in zip((arrays[k] for arrays in lists), given, strict=True):
            np.testing.assert_array_equal(found.get(), expected.get())


def test_more_partial_results_than_threads_read_at_once_are_merged(device):
    """Of 257 channels each block leaves four partial results; a merging thread reads eight of every 64."""
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(3, 1, (1100, 257)).astype(np.float32) for _ in range(2))
    gamma, beta = rng.random((2, 257), np.float32)
    for name, args in (
        ("batch_norm", (x, gamma, beta)),
        ("batch_norm_grad", (dy, x, gamma, beta, x.mean(0), x.var(0))),
    ):
        compare(name, results(name, on(device, args), {"eps": 1e-5}), args, {"eps": 1e-5}, "")


# --- random -----------------------------------------------------------------------------------------------------------

ANSWER = """
#include "philox.cuh"
__global__ void answer(const unsigned* counter, const unsigned* key, unsigned* words) {
    const uint4 w = philox4x32({counter[0], counter[1], counter[2], counter[3]}, {key[0], key[1]});
    words[0] = w.x, words[1] = w.y, words[2] = w.z, words[3] = w.w;
}
"""


PAIRS = """
#include "random.cu"
__global__ void pairs(const unsigned* words, float* z) {
    const float2 pair = normal_pair(words[2 * threadIdx.x], words[2 * threadIdx.x + 1]);
    z[2 * threadIdx.x] = pair.x, z[2 * threadIdx.x + 1] = pair.y;
}
"""


def emulated(code, name):
    """A kernel written here."""
    compiled = nvrtc.compile(code, f"{name}.cu", (name,), arch="compute_80", include=(runtime.SOURCES,))
    return emulator.Module(compiled.code, f"{name}.cu").function(compiled.names[name])


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter, key, expected):
    words = np.zeros(4, np.uint32)
    emulated(ANSWER, "answer")(1, 1, (*(hexadecimal(text).astype(np.uint32) for text in (counter, key)), words))
    np.testing.assert_array_equal(words, hexadecimal(expected))


def test_normal_values_are_finite_and_right_at_the_ends_of_the_words():
    v = np.array([0, 0, 1, 2**31, 2**32 - 129, 2**32 - 1], np.uint32)
    w = np.array([0, 2**30, 2**31, 3 << 30, 2**29, 2**32 - 1], np.uint32)
    z = np.zeros((6, 2), np.float32)
    emulated(PAIRS, "pairs")(1, 6, (np.stack([v, w], axis=1), z))
    u = v.astype(np.float32) * np.float32(2**-32) + np.float32(2**-33)
    radius, angle = np.sqrt(-2 * np.log(u.astype(np.float64))), 2 * np.pi * (w >> 8) / 2**24
    np.testing.assert_allclose(z, np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), atol=1e-6)


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("random_uniform_", ((3, 701), -0.7, 1.3)),
        ("random_uniform_", ((), 0.0, 1.0)),
        ("random_categorical_", (301, 10)),
        ("random_categorical_", (5, 300)),
    ],
)
def test_draws_are_those_of_the_reference_bit_for_bit(name, args, device):
    for key, counter in ((0, 0), (2**64 - 1, 2**32 - 50), (5 << 40, 2**63 + 1)):
        state = np.array([key, counter], np.uint64)
        on_device = device.upload(state)
        with kernels.use("reference"):
            expected = getattr(kernels, name)(state, *args)
        np.testing.assert_array_equal(getattr(kernels, name)(on_device, *args).get(), expected)
        np.testing.assert_array_equal(on_device.get(), state)


@pytest.mark.parametrize(("name", "shape"), [("random_normal_", ((0, 3),)), ("random_categorical_", (0, 3))])
def test_an_empty_draw_takes_nothing(name, shape, device):
    state = device.upload(np.array([1, 2], np.uint64))
    assert getattr(kernels, name)(state, *shape).shape == (0, 3)
    np.testing.assert_array_equal(state.get(), [1, 2])
