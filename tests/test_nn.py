"""Modules: their state, their printed summary, their modes; and the optimisers' errors."""

import numpy as np
import pytest

from minigan import Tensor, frozen, nn, ops, optim
from minigan.models import gan


def small(rng=0):
    rng = np.random.default_rng(rng)
    return nn.Sequential(
        nn.Conv2d(1, 4, 4, 2, 1, rng=rng),
        nn.LeakyReLU(0.2),
        nn.Conv2d(4, 6, 3, 1, "same", bias=False, rng=rng),
        nn.BatchNorm(6),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 4 * 6, 2, rng=rng),
        input_shape=(8, 8, 1),
    )


def images(n=5, seed=1):
    return Tensor(np.random.default_rng(seed).standard_normal((n, 8, 8, 1), np.float32))


# --- state ------------------------------------------------------------------------------------------------------------


def test_state_goes_over_to_another_module():
    one, other = small(0), small(1)
    one(images())  # moves the running averages
    other.load_state_dict(one.state_dict())
    np.testing.assert_array_equal(one.eval()(images()).data, other.eval()(images()).data)


def test_state_is_a_copy():
    module = small()
    state = module.state_dict()
    module.parameters()[0].data += 1
    assert not np.array_equal(state["0.w"], module.layers[0].w.data)


def test_one_error_lists_everything_that_does_not_fit_and_nothing_is_loaded():
    module = small()
    before = module.state_dict()
    state = dict(before, extra=np.zeros(3), **{"6.b": np.zeros(7)})
    del state["3.gamma"]
    message = r"missing 3.gamma \(6,\); unexpected extra \(3,\); 6.b has shape \(7,\), expected \(2,\)"
    with pytest.raises(ValueError, match=message):
        module.load_state_dict(state)
    for name, array in module.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_loading_spoils_a_graph_that_had_saved_the_weights():
    module = small()
    loss = module(images()).sum()
    module.load_state_dict(module.state_dict())
    with pytest.raises(RuntimeError, match="was written in place"):
        loss.backward()


def test_lists_of_modules_are_found():
    class Pair(nn.Module):
        def __init__(self):
            self.parts = [nn.Linear(2, 3), nn.Linear(3, 1)]

    assert [name for name, _ in Pair().named_parameters()] == ["parts.0.w", "parts.0.b", "parts.1.w", "parts.1.b"]


def test_lists_within_lists_and_arrays_in_lists_are_parts_too():
    module = nn.Module()
    module.pairs = [[nn.Linear(2, 3), nn.Linear(3, 1)], [nn.Linear(1, 1)]]
    module.tables = (np.zeros(3, np.float32), [np.ones(2, np.float32)])
    assert [name for name, _ in module.named_parameters()][:3] == ["pairs.0.0.w", "pairs.0.0.b", "pairs.0.1.w"]
    assert module.parameter_count() == 9 + 4 + 2
    assert [name for name, _ in module.named_buffers()] == ["tables.0", "tables.1.0"]
    module.astype(np.float64)
    assert {array.dtype for array in module.state_dict().values()} == {np.dtype(np.float64)}


def test_a_shared_layer_is_one_layer():
    layer = nn.Linear(2, 2, bias=False)
    layer.w.data[...] = np.eye(2)
    module = nn.Sequential(layer, layer, input_shape=(2,))
    assert [name for name, _ in module.named_parameters()] == ["0.w"]
    assert module.parameter_count() == 4
    opt = optim.SGD(module, lr=0.5)
    module(Tensor(np.float32([[1, 0]]))).sum().backward()
    np.testing.assert_array_equal(layer.w.grad, [[2, 2], [0, 0]])  # of e w w 1 at w = 1: e 1 twice
    opt.step()
    np.testing.assert_array_equal(layer.w.data, np.eye(2) - 0.5 * np.float32([[2, 2], [0, 0]]))


def test_what_two_modules_share_is_updated_once():
    trunk, head = nn.Linear(2, 2), nn.Linear(2, 1)
    whole = nn.Sequential(trunk, head)
    opt = optim.Adam(whole, trunk, lr=0.1)
    before = trunk.w.data.copy()
    whole(Tensor(np.ones((3, 2), np.float32))).sum().backward()
    opt.step()
    np.testing.assert_allclose(abs(trunk.w.data - before), 0.1, rtol=1e-5)
    assert len(opt.state_dict()) == 2 * 4 + 1


def test_astype_converts_parameters_and_buffers():
    module = small().astype(np.float64)
    assert {a.dtype for a in module.state_dict().values()} == {np.dtype(np.float64)}
    assert module(Tensor(images().data.astype(np.float64))).dtype == np.float64


@pytest.mark.parametrize(
    "call",
    [
        lambda: gan.generator(96)(np.zeros((2, 96), np.float32)),
        lambda: small()(images().data),
        lambda: nn.BatchNorm(1).eval()(images().data),
        lambda: ops.conv2d(images(), np.zeros((3, 3, 1, 2), np.float32)),
    ],
)
def test_an_array_that_is_no_tensor_is_refused_with_the_cure(call):
    with pytest.raises(TypeError, match=r": expected a Tensor, got a numpy\.ndarray; wrap it: Tensor\(x\)$"):
        call()


# --- what is printed --------------------------------------------------------------------------------------------------


def test_the_summary_shows_shapes_and_counts_that_are_true():
    module = small()
    rows = [line.split("  ") for line in repr(module).splitlines()]
    x = images(2)
    for layer, text in zip(module.layers, repr(module).splitlines()[2:], strict=False):
        x = layer(x)
        assert str(x.shape[1:]) in text
        assert text.split()[-1] == f"{layer.parameter_count():,}"
    assert rows[-1][-1].strip() == f"{module.parameter_count():,}"
    assert "Conv2d(4 -> 6, k3 s1 psame, no bias)" in repr(module)


def test_a_reshape_that_does_not_fit_says_so():
    with pytest.raises(ValueError, match=r"Reshape: \(10,\) has 10 values, \(2, 2, 3\) needs 12"):
        nn.Reshape(2, 2, 3).out_shape((10,))


# --- batch norm -------------------------------------------------------------------------------------------------------


def test_momentum_is_the_weight_of_the_new_batch_and_the_running_variance_is_unbiased():
    norm, x = nn.BatchNorm(3, momentum=0.1), np.random.default_rng(0).normal(5, 2, (50, 3)).astype(np.float32)
    norm(Tensor(x))
    np.testing.assert_allclose(norm.running_mean, 0.1 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(norm.running_var, 0.9 + 0.1 * x.var(0, ddof=1), rtol=1e-5)


def test_eps_is_not_momentum():
    norm = nn.BatchNorm(2, eps=1e-3, momentum=0.2)
    assert (norm.eps, norm.momentum) == (1e-3, 0.2)
    with pytest.raises(TypeError):
        nn.BatchNorm(2, 0.8)  # the misplaced argument that other code ships


def test_freezing_does_not_change_the_statistics_that_are_used():
    norm, x = nn.BatchNorm(3), images().reshape(-1, 4)[:, :3]
    with frozen(norm):
        y = norm(x)
    np.testing.assert_allclose(y.data.mean(0), 0, atol=1e-6)
    assert norm.training


def test_inference_uses_the_running_averages_and_leaves_them():
    norm = nn.BatchNorm(4)
    norm(images().reshape(-1, 4))
    norm.eval()
    before = norm.running_mean.copy()
    x = images(seed=2).reshape(-1, 4)
    expected = (x.data - before) / np.sqrt(norm.running_var + norm.eps)
    np.testing.assert_allclose(norm(x).data, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(norm.running_mean, before)


@pytest.mark.parametrize(("shape", "batches"), [((1, 6), 1), ((1, 1, 1, 6), 1), ((2, 6), 2)])
def test_a_batch_of_one_value_a_channel_has_no_variance(shape, batches):
    norm = nn.BatchNorm(6)
    norm.batches = batches
    with pytest.raises(ValueError, match="at least 2 values per channel to have a variance, got x of shape"):
        norm(Tensor(np.ones(shape, np.float32)))
    np.testing.assert_array_equal(norm.running_var, 1)
    norm.eval()
    norm(Tensor(np.ones(shape, np.float32)))


def test_fusing_changes_no_value():
    module = small()
    x = plain = images()
    fused = module(x)
    for layer in module.layers:
        plain = layer(plain)
    np.testing.assert_allclose(fused.data, plain.data, rtol=1e-5, atol=1e-6)


# --- initialisation ---------------------------------------------------------------------------------------------------


def test_one_generator_decides_the_weights():
    one, other = small(3).state_dict(), small(3).state_dict()
    assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("init", "std"), [(nn.normal(0.02), 0.02), (nn.glorot_uniform, (2 / 900) ** 0.5), (nn.he_uniform, (2 / 600) ** 0.5)]
)
def test_initialisations_have_their_spread(init, std):
    w = nn.Linear(600, 300, init=init, rng=np.random.default_rng(0)).w.data
    assert w.std() == pytest.approx(std, rel=0.02)
    assert abs(w.mean()) < std / 50


def test_a_transposed_convolution_has_the_weights_of_the_convolution_it_transposes():
    up = nn.ConvTranspose2d(6, 4, 4, 2, 1, bias=False)
    down = nn.Conv2d(4, 6, 4, 2, 1, bias=False)
    down.w = up.w
    x, y = (Tensor(np.random.default_rng(i).standard_normal(s)) for i, s in enumerate([(2, 8, 8, 4), (2, 4, 4, 6)]))
    up.astype(np.float64)
    assert float(ops.sum(down(x) * y).data) == pytest.approx(float(ops.sum(x * up(y)).data), rel=1e-10)


# --- optimisers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.RMSProp])
def test_optimisers_go_downhill(kind):
    module = nn.Linear(3, 1, rng=np.random.default_rng(0))
    optimizer = kind(module, lr=0.05)
    x = Tensor(np.random.default_rng(1).standard_normal((64, 3), np.float32))
    target = Tensor(x.data @ np.array([[1.0], [-2.0], [0.5]], np.float32))
    losses = []
    for _ in range(200):
        loss = ops.squared_error(module(x), target).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 1e-2 * losses[0]


def test_adams_first_step_has_the_size_of_the_learning_rate():
    # eps after bias correction: with eps before it the first step would be some 30 times too small at tiny gradients.
    module = nn.Linear(2, 1, bias=False)
    before = module.w.data.copy()
    module.w.grad = np.full_like(before, 1e-6)
    optim.Adam(module, lr=0.1).step()
    np.testing.assert_allclose(before - module.w.data, 0.1 / 1.01, rtol=1e-4)


def test_a_parameter_without_a_gradient_skips_adams_step_but_not_its_count():
    module = nn.Linear(2, 1)
    optimizer = optim.Adam(module, lr=0.1, beta1=0.5)
    before = module.w.data.copy()
    for _ in range(200):
        module.b.grad = np.ones(1, np.float32)
        optimizer.step()
    np.testing.assert_array_equal(module.w.data, before)
    module.w.grad = np.ones_like(before)
    optimizer.step()
    corrected = 0.5 / (1 - 0.5**201) / np.sqrt(0.001 / (1 - 0.999**201))
    np.testing.assert_allclose(before - module.w.data, 0.1 * corrected, rtol=1e-4)


def test_optimisers_refuse_what_cannot_be_trained():
    with pytest.raises(ValueError, match="Adam: the module has no parameters"):
        optim.Adam(nn.Tanh())
    with pytest.raises(ValueError, match="SGD: lr must be positive and finite, got nan"):
        optim.SGD(nn.Linear(1, 1), lr=float("nan"))
    with pytest.raises(ValueError, match="Adam: lr must be positive and finite, got None"):
        optim.Adam(nn.Linear(1, 1), lr=None)
    with pytest.raises(ValueError, match="RMSProp: clip must be positive and finite, got 0"):
        optim.RMSProp(nn.Linear(1, 1), clip=0.0)


@pytest.mark.parametrize(
    ("kind", "name", "values", "expected"),
    [
        (optim.SGD, "momentum", (1.5, -0.1), r"a number in \[0, 1\)"),
        (optim.Adam, "beta1", (1, -0.1, float("nan")), r"a number in \[0, 1\)"),
        (optim.Adam, "beta2", (1, -0.1), r"a number in \[0, 1\)"),
        (optim.Adam, "eps", (0.0, -1, float("inf")), "a positive, finite number"),
        (optim.RMSProp, "decay", (1.5, 1.0), r"a number in \[0, 1\)"),
        (optim.RMSProp, "eps", (0.0, -1), "a positive, finite number"),
    ],
)
def test_optimisers_refuse_numbers_that_make_no_sense(kind, name, values, expected):
    for value in values:
        with pytest.raises(ValueError, match=f"^{name}: expected {expected}, got {value}"):
            kind(nn.Linear(1, 1), lr=0.1, **{name: value})


def test_an_optimiser_of_another_module_is_refused():
    state = optim.Adam(nn.Linear(2, 3)).state_dict()
    with pytest.raises(ValueError, match=r"Adam does not fit: .*m.w has shape \(2, 3\), expected \(2, 4\)"):
        optim.Adam(nn.Linear(2, 4)).load_state_dict(state)


def test_optimisers_together_are_each_its_own():
    layers = [nn.Linear(2, 3, rng=np.random.default_rng(i)) for i in range(2)]
    both = optim.OptimizerGroup(optim.Adam(layers[0], lr=0.1), optim.SGD(layers[1], lr=0.5))
    before = [layer.w.data.copy() for layer in layers]
    for layer in layers:
        layer.w.grad = np.ones_like(layer.w.data)
    both.step()
    np.testing.assert_allclose(before[0] - layers[0].w.data, 0.1, rtol=1e-5)
    np.testing.assert_allclose(before[1] - layers[1].w.data, 0.5, rtol=1e-5)
    assert both.steps == 1
    assert [name for name, _ in both.named] == ["w", "b", "w", "b"]
    state = both.state_dict()
    other = optim.OptimizerGroup(optim.Adam(nn.Linear(2, 3), lr=0.1), optim.SGD(nn.Linear(2, 3), lr=0.5))
    other.load_state_dict(state)
    assert state.keys() == other.state_dict().keys()
    assert all(np.array_equal(array, other.state_dict()[name]) for name, array in state.items())
    with pytest.raises(ValueError, match="SGD does not fit"):
        optim.OptimizerGroup(optim.Adam(nn.Linear(2, 3)), optim.SGD(nn.Linear(9, 3), lr=0.5)).load_state_dict(state)
    both.zero_grad()
    assert all(layer.w.grad is None for layer in layers)
