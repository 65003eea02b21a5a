"""Systems of one network learn what they should: the discriminator that draws, the generator without an opponent."""

from dataclasses import replace

import numpy as np
import pytest

from minigan import Tensor, grad, gradcheck, nn, no_grad, optim, presets
from minigan.models import gan, mmd
from minigan.training.steps import ascend, discriminator_only_step, mmd_step
from minigan.training.steps.discriminator_only import blurred
from minigan.training.steps.mmd import mmd2, squared_distances
from minigan.training.systems.discriminator_only import Negatives
from minigan.training.trainer import Batches, random_streams

RNG = np.random.default_rng
TWO_POINTS = np.array([[1.0, 0.0], [-1.0, 0.5]])


def two_modes(n=400, seed=0):
    points = TWO_POINTS[RNG(seed).integers(2, size=n)] + 0.05 * RNG(seed + 1).standard_normal((n, 2))
    return points.astype(np.float32)


def rows(n, seed, f=2):
    return RNG(seed).standard_normal((n, f))


def build(name, **changes):
    preset = presets.get(name)
    return preset.build(replace(preset.config, **changes), preset.default_shape, random_streams(0)["init"])


def distance_to_modes(points):
    return np.linalg.norm(points[:, None] - TWO_POINTS, axis=2).min(axis=1)


# --- ascent -----------------------------------------------------------------------------------------------------------


def test_ascent_climbs_and_leaves_everything_else_alone():
    d, x = gan.mlp_discriminator(16, rng=RNG(0)), two_modes(30)
    weights, start = d.state_dict(), x.copy()
    found = ascend(d, x, steps=10, rate=0.05)
    with no_grad():
        assert (d(Tensor(found)).data > d(Tensor(x)).data).all()
    np.testing.assert_array_equal(x, start)
    assert found.dtype == np.float32
    assert all(parameter.grad is None and parameter.requires_grad for parameter in d.parameters())
    for name, array in d.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])


def test_an_ascent_follows_the_slope_by_its_rate():
    d = nn.Linear(2, 1)
    d.w.assign_([[3.0], [-1.0]])
    found = ascend(d, np.zeros((1, 2), np.float32), steps=4, rate=0.5)
    np.testing.assert_allclose(found, [[6, -2]], rtol=1e-6)
    np.testing.assert_allclose(ascend(d, np.zeros((1, 2), np.float32), steps=4, rate=0.5, bounds=(-1, 1)), [[1, -1]])


def test_each_image_climbs_alone():
    d, x = gan.mlp_discriminator(16, rng=RNG(0)), two_modes(8)
    together = ascend(d, x, steps=5, rate=0.1)
    np.testing.assert_allclose(together[:1], ascend(d, x[:1], steps=5, rate=0.1), rtol=1e-4, atol=1e-5)


# --- discriminator only -----------------------------------------------------------------------------------------------


def test_a_discriminator_that_knows_nothing_loses_two_ln_two():
    d = nn.Linear(2, 1)
    d.w.assign_(np.zeros((2, 1)))
    seen = discriminator_only_step(d, optim.SGD(d, lr=1e-3), two_modes(), rows(9, 0).astype(np.float32))
    assert seen["loss_d"] == pytest.approx(2 * np.log(2), rel=1e-6)
    assert (seen["d_real"], seen["d_fake"], seen["penalty"]) == (0.5, 0.5, 0)


def test_the_penalty_is_half_the_squared_slope_at_both_ends():
    d = nn.Linear(2, 1)
    d.w.assign_([[3.0], [-4.0]])
    found = rows(9, 0).astype(np.float32)
    seen = discriminator_only_step(d, optim.SGD(d, lr=1e-9), two_modes(), found, penalty=0.2)
    assert seen["penalty"] == pytest.approx(0.2 * 25)


def test_the_penalty_keeps_slopes_small():
    slopes = []
    for penalty in (1e-6, 1.0):
        d = gan.mlp_discriminator(16, rng=RNG(0))
        opt = optim.Adam(d, lr=1e-2)
        for i in range(60):
            seen = discriminator_only_step(d, opt, two_modes(64, i), rows(64, i).astype(np.float32), penalty=penalty)
        slopes.append(float(seen["penalty"]) / penalty)
    assert slopes[1] < 0.25 * slopes[0]


def test_new_negatives_take_the_place_of_others():
    negatives = Negatives(np.zeros((10, 2), np.float32))
    negatives.replace(np.ones((4, 2), np.float32), RNG(0))
    assert negatives.images.sum() == 8
    negatives.replace(np.full((25, 2), 2, np.float32), RNG(0))
    assert (negatives.images == 2).all(), "more than there is room for: the first ones"
    assert negatives.draw(6, RNG(0)).shape == (6, 2)
    assert negatives.state_dict().keys() == {"images"}


def test_each_update_has_its_own_real_images_and_the_found_ones_are_kept():
    system = build("discriminator-only-2d", width=8, batch=16, d_steps=3, replayed=50, ascent_steps=2)
    before, drawn = system.negatives.images.copy(), []

    class Points:
        def __next__(self):
            drawn.append(two_modes(16, len(drawn)))
            return drawn[-1]

    system.step(Points(), RNG(0))
    assert len(drawn) == 3
    assert system.optimizers["d"].steps == 3
    assert (system.negatives.images != before).any(axis=1).sum() == 16


def test_the_landscape_falls_onto_the_data():
    changes = {"width": 32, "batch": 64, "replayed": 500, "ascent_steps": 10, "rate": 0.2, "lr": 3e-3}
    system = build("discriminator-only-2d", **changes)
    batches, rng = Batches(two_modes(), 64, RNG(0)), RNG(1)
    z = system.latents.sample(RNG(2), 200)
    before = distance_to_modes(system.sample(z))
    for _ in range(150):
        system.step(batches, rng)
    after = distance_to_modes(system.sample(z))
    assert np.median(after) < 0.3 * np.median(before)
    assert system.landscape(two_modes()).mean() > system.landscape(z).mean()


def test_samples_depend_on_their_noise_alone():
    system = build("discriminator-only-2d", width=8)
    z = system.latents.sample(RNG(0), 300)
    np.testing.assert_array_equal(system.sample(z), system.sample(z))
    np.testing.assert_allclose(system.sample(z)[:5], system.sample(z[:5]), rtol=1e-4, atol=1e-5)


def test_digits_are_found_between_black_and_white():
    system = build("discriminator-only", width=4, ascent_steps=3, replayed=8, rate=100.0)
    found = system.sample(system.latents.sample(RNG(0), 2))
    assert found.shape == (2, 28, 28, 1)
    assert np.abs(found).max() == 1


def test_a_blurred_step_is_an_average_that_keeps_the_sum():
    x = np.zeros((1, 7, 7, 2), np.float32)
    x[0, 3, 3, 0] = 16
    once = blurred(x, 1)
    np.testing.assert_array_equal(once[0, 2:5, 2:5, 0], [[1, 2, 1], [2, 4, 2], [1, 2, 1]])
    assert not once[..., 1].any(), "channels stay apart"
    assert blurred(x, 2).sum() == pytest.approx(16)
    assert blurred(x, 0) is x


def test_an_image_begins_with_squares_whose_edges_are_blurred():
    system = build("discriminator-only", width=4, replayed=8, grain=14, z=4)
    start = system._start(np.array([[1, -1, -1, 1]], np.float32))[0, :, :, 0]
    np.testing.assert_array_equal(np.sign(start[3:25:7, 3:25:7]), np.kron([[1, -1], [-1, 1]], np.ones((2, 2)))[:4, :4])
    assert 0 < start[7, 13] < start[7, 7]


@pytest.mark.parametrize(
    ("name", "change", "shape", "values"),
    [
        ("discriminator-only", {}, (28, 28, 1), 49),
        ("discriminator-only", {"grain": 2}, (28, 28, 1), 196),
        ("discriminator-only", {"grain": 2, "z": 196}, (28, 28, 1), 196),
        ("discriminator-only-2d", {"width": 8}, (2,), 2),
    ],
)
def test_the_length_of_the_noise_follows_from_the_images_and_the_grain(name, change, shape, values):
    system = build(name, replayed=8, ascent_steps=1, **change)
    assert system.latents.size == values
    assert system.sample(system.latents.sample(RNG(0), 2)).shape == (2, *shape)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z": 0}, "z: must be at least 1, got 0"),
        ({"z": 100}, r"z: expected 49 for images of \(28, 28, 1\) with grain 4, got 100"),
        ({"grain": 5}, r"grain: expected a divisor of the sides of images of \(28, 28, 1\), got 5"),
    ],
)
def test_noise_that_fits_no_image_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        build("discriminator-only", **change)


# --- maximum mean discrepancy -----------------------------------------------------------------------------------------


def by_loops(x, y, variances):
    def k(a, b):
        return sum(np.exp(-((a - b) ** 2).sum() / (2 * v)) for v in variances)

    m, n = len(x), len(y)
    xx = sum(k(x[i], x[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    yy = sum(k(y[i], y[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    return xx + yy - 2 * sum(k(a, b) for a in x for b in y) / (m * n)


def test_mmd_is_its_definition():
    x, y = rows(6, 0, 3), rows(5, 1, 3) + 0.5
    assert mmd2(Tensor(x), Tensor(y), [0.5, 2.0]).item() == pytest.approx(by_loops(x, y, [0.5, 2.0]), abs=1e-12)
    assert mmd2(Tensor(y), Tensor(x), [2.0]).item() == pytest.approx(by_loops(x, y, [2.0]), abs=1e-12)


def test_mmd_of_two_points_is_known():
    x, y = np.zeros((4, 2)), np.tile([[3.0, 4.0]], (5, 1))
    assert mmd2(Tensor(x), Tensor(y), [10.0]).item() == pytest.approx(2 - 2 * np.exp(-25 / 20))


def test_the_estimate_is_unbiased():
    same = [mmd2(Tensor(rows(10, 2 * i)), Tensor(rows(10, 2 * i + 1)), [1.0]).item() for i in range(400)]
    assert abs(np.mean(same)) < 3 * np.std(same) / 20
    assert min(same) < 0, "an estimate that is right on average must sometimes be negative"


def test_mmds_slopes_are_right():
    gradcheck(lambda x, y: mmd2(x, y, [0.5, 2.0]), rows(5, 0), rows(4, 1))


def test_distances_are_never_negative_and_those_of_numpy():
    x, y = rows(6, 0, 3), rows(4, 1, 3)
    np.testing.assert_allclose(
        squared_distances(Tensor(x), Tensor(y)).data, ((x[:, None] - y) ** 2).sum(axis=2), rtol=1e-12
    )
    far = (1000 + 1e-3 * rows(50, 0)).astype(np.float32)
    assert squared_distances(Tensor(far), Tensor(far)).data.min() == 0


def test_mmd_and_its_slope_do_not_know_where_the_data_lie():
    """In float32 |x|^2 + |y|^2 - 2 x y of points around (100, 100) would be wrong in the third digit."""
    x, y = (rows(64, seed).astype(np.float32) * np.float32(0.25) for seed in (0, 1))
    found = []
    for offset in (0.0, 128.0):  # exact in float32, up to the last bits of the points
        a, b = Tensor(x + np.float32(offset)), Tensor(y + np.float32(offset), requires_grad=True)
        loss = mmd2(a, b, [0.02, 0.1])
        found.append((loss.item(), grad(loss, b).data))
    assert found[0][0] == pytest.approx(found[1][0], rel=2e-3, abs=1e-5)
    np.testing.assert_allclose(found[1][1], found[0][1], atol=5e-3 * abs(found[0][1]).max())


@pytest.mark.parametrize(("x", "y"), [((1, 2), (5, 2)), ((5, 2), (5, 3)), ((5, 2, 1), (5, 2, 1))])
def test_mmd_of_what_cannot_be_compared_is_refused(x, y):
    with pytest.raises(ValueError, match=r"mmd2: expected \(M, F\) and \(N, F\) with M, N >= 2, got \(5?1?, "):
        mmd2(Tensor(np.zeros(x)), Tensor(np.zeros(y)), [1.0])


def test_the_discrepancy_does_not_know_the_datas_scale():
    losses = []
    for scale in (1.0, 1000.0):
        g = nn.Linear(2, 2)
        g.w.assign_(scale * np.eye(2))
        x = (scale * two_modes(40)).astype(np.float32)
        z = Tensor(rows(40, 3).astype(np.float32))
        losses.append(float(mmd_step(g, optim.SGD(g, lr=1e-6), x, z, (0.5, 1.0))["mmd2"]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_bandwidths_are_in_units_of_the_distance_between_different_rows():
    x, y = (rows(n, seed, 3).astype(np.float32) + shift for n, seed, shift in ((6, 0, 0), (5, 1, 1)))
    g = nn.Linear(3, 3, bias=False)
    g.w.assign_(np.eye(3))
    seen = mmd_step(g, optim.SGD(g, lr=1e-9), x, Tensor(y), (0.5, 2.0))
    square = np.mean([((x[i] - x[j]) ** 2).sum() for i in range(6) for j in range(6) if i != j])
    assert seen["mmd2"] == pytest.approx(by_loops(x, y, [0.25 * square, 4 * square]), rel=1e-5)


def test_real_rows_that_are_all_the_same_leave_weights_that_are_numbers():
    g = nn.Linear(2, 2, rng=RNG(0))
    x = np.full((9, 2), 0.3, np.float32)
    seen = mmd_step(g, optim.SGD(g, lr=0.1), x, Tensor(np.concatenate([x, rows(9, 1).astype(np.float32)])), (0.05, 1.0))
    assert np.isfinite(seen["mmd2"])
    assert all(np.isfinite(parameter.data).all() for parameter in g.parameters())


def test_a_generator_finds_both_modes_without_an_opponent():
    g = mmd.generator(2, 2, 32, rng=RNG(0))
    opt, rng = optim.Adam(g, lr=3e-3), RNG(1)
    for i in range(200):
        z = Tensor(rng.standard_normal((100, 2), np.float32))
        mmd_step(g, opt, two_modes(100, i), z, (0.1, 0.3, 1.0))
    with no_grad():
        points = g(Tensor(RNG(9).standard_normal((500, 2), np.float32))).data
    assert np.median(distance_to_modes(points)) < 0.15
    assert 0.3 < (points[:, 0] > 0).mean() < 0.7


def test_codes_are_matched_and_decoded():
    system = build("mmd", batch=20, width=8, codes=3)
    x = np.repeat(np.sign(RNG(0).uniform(-1, 1, (2, 28, 28, 1))), 20, axis=0).astype(np.float32)
    batches, rng = Batches(x, 20, RNG(0)), RNG(1)
    before = {name: module.state_dict() for name, module in system.modules.items()}
    seen = system.step(batches, rng)
    assert set(seen) == {"reconstruction_nats", "mmd2"}
    for name in ("g", "encoder", "decoder", "codes"):
        assert any(not np.array_equal(a, before[name][part]) for part, a in system.modules[name].state_dict().items())
    assert system.sample(system.latents.sample(rng, 3)).shape == (3, 28, 28, 1)
    assert system.reconstruct(x[:2]).shape == (2, 28, 28, 1)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("mmd", {"bandwidths": ()}, r"bandwidths: expected one or more, positive and finite, got \(\)"),
        (
            "mmd",
            {"bandwidths": [1.0, 0.0]},
            r"bandwidths: expected one or more, positive and finite, got \(1\.0, 0\.0\)",
        ),
        ("mmd-2d", {"batch": 1}, "batch: expected at least 2, as the discrepancy compares pairs, got 1"),
        ("discriminator-only", {"penalty": 0.0}, r"penalty: must be positive and finite, got 0\.0"),
        ("discriminator-only", {"blur": -1}, "blur: must be at least 0, got -1"),
        ("discriminator-only", {"replayed": 0}, "replayed: must be at least 1, got 0"),
    ],
)
def test_impossible_numbers_are_refused(name, change, message):
    with pytest.raises(ValueError, match=message):
        replace(presets.get(name).config, **change)
