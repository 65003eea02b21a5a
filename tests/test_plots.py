"""So that a picture shows what the arrays hold: right pixels, right places, and errors that say what is wrong."""

import errno
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from minigan import plots
from minigan.plots import BLUE, Curve, Line, Panel
from minigan.plots.flow import lanes
from minigan.training.systems import GAN

PANELS = GAN(None, None, None, None, None, batch=1).panels


def line(iteration, **more):
    return {"iteration": iteration, "loss_d": 1.2, "loss_g": 0.8, "d_real": 0.6, "d_fake": 0.4} | more


def full(descriptor):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("suffix", "save"),
    [
        (".png", lambda path: plots.save_grid(path, np.zeros((1, 4, 4, 1)))),
        (".jpg", lambda path: plots.save_captioned(path, np.zeros((1, 4, 4, 1)), 1)),
        (".webp", lambda path: plots.save_animation(path, [path.with_name("frame.png")])),
        (".png", lambda path: plots.save_points(path, np.zeros((1, 2)), np.zeros((1, 2)))),
        (".SVG", lambda path: plots.save_flow(path, [Line("a")], "a step")),
    ],
)
def test_a_picture_is_written_whole_or_the_old_one_stays(tmp_path, monkeypatch, suffix, save):
    path = tmp_path / f"picture{suffix}"
    plots.save_grid(tmp_path / "frame.png", np.zeros((1, 4, 4, 1)))
    path.write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left") as told:
            save(path)
    assert told.value.filename == str(path)
    assert path.read_text() == "old"
    assert save(path) == path
    assert path.stat().st_size > 100
    assert {file.name for file in tmp_path.iterdir()} == {path.name, "frame.png"}


def test_a_picture_that_its_format_has_no_room_for_is_refused(tmp_path):
    shape = (300, 28, 28, 1)
    assert plots.grid_size(shape, 2) == (62, 4502)
    plots.check_picture(tmp_path / "x.WEBP", plots.captioned_size(shape, 2))
    message = (
        r"out: expected a sheet of at most 16,383 pixels a side, as WEBP allows, got 92 x 26,404; a \.png has room"
    )
    with pytest.raises(ValueError, match=message):
        plots.check_picture(tmp_path / "x.WEBP", plots.captioned_size(shape, 1))
    plots.check_picture(tmp_path / "x.png", plots.captioned_size(shape, 1))
    with pytest.raises(ValueError, match="as WEBP allows, got 16,386 x 3"):
        plots.save_grid(tmp_path / "x.webp", np.zeros((1, 1, 16_384, 1)), pad=1)
    with pytest.raises(ValueError, match=r"out: expected a name that ends in \.png, \.webp or another that Pillow"):
        plots.save_grid(tmp_path / "x.foo", np.zeros((1, 4, 4, 1)))


def test_charts_have_the_formats_of_matplotlib(tmp_path):
    plots.check_chart(tmp_path / "x.SVG")
    for name in ("x.bmp", "x.pgf", "x"):
        with pytest.raises(
            ValueError, match=r"out: expected a name that ends in \.png, \.svg or another that matplotlib"
        ):
            plots.check_chart(tmp_path / name)


def test_grid_puts_each_image_in_its_place_row_by_row():
    images = np.stack([np.full((2, 3, 1), value, np.float32) for value in (-1, 0, 1)])
    sheet = plots.grid(images, columns=2, pad=1)
    assert sheet.dtype == np.uint8
    gap, low, middle, high = plots.GAP_GREY, 0, 128, 255
    rows = [
        [gap] * 9,
        *[[gap, low, low, low, gap, middle, middle, middle, gap]] * 2,
        [gap] * 9,
        *[[gap, high, high, high, gap, gap, gap, gap, gap]] * 2,
        [gap] * 9,
    ]
    np.testing.assert_array_equal(sheet[..., 0], rows)


def test_grid_keeps_colours_and_clips_what_is_outside():
    image = np.array([-3, 0.5, 7], np.float32).reshape(1, 1, 1, 3)
    np.testing.assert_array_equal(plots.grid(image, pad=0), [[[0, 191, 255]]])


def test_grid_is_square_by_default():
    assert plots.grid(np.zeros((5, 4, 4, 3)), pad=0).shape == (8, 12, 3)


@pytest.mark.parametrize("shape", [(0, 4, 4, 1), (3, 4, 4), (3, 4, 4, 2)])
def test_grid_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"images: expected shape \(N, H, W, C\) with N >= 1 and C = 1 or 3, got \("):
        plots.grid(np.zeros(shape))


def test_rows_of_a_group_lie_closer_than_groups():
    images = np.ones((5, 1, 1, 1), np.float32)
    column = plots.grid(images, columns=1, pad=1, group=2)[:, 1, 0]
    gap, white = plots.GAP_GREY, 255
    np.testing.assert_array_equal(
        column, [gap, white, gap, white, *[gap] * 3, white, gap, white, *[gap] * 3, white, gap]
    )


def test_images_and_others_like_them_come_in_pairs_of_rows(tmp_path):
    images = np.array([-1, 0, 1], np.float32).reshape(3, 1, 1, 1)
    with Image.open(plots.save_beside(tmp_path / "pairs.png", images, -images, columns=2)) as picture:
        seen = np.asarray(picture.resize((8, 18), Image.Resampling.NEAREST))  # as it was before it was enlarged
    none = plots.GAP_GREY
    np.testing.assert_array_equal(seen[[2, 5, 12, 15]][:, [2, 5]], [[0, 128], [255, 128], [255, none], [0, none]])


def test_grid_refuses_no_columns():
    with pytest.raises(ValueError, match="columns: expected at least 1, got 0"):
        plots.grid(np.zeros((1, 4, 4, 1)), columns=0)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_a_small_sheet_is_enlarged_pixel_by_pixel(tmp_path, channels, mode):
    images = np.random.default_rng(0).uniform(-1, 1, (4, 8, 8, channels))
    path = plots.save_grid(tmp_path / "sheet.png", images)
    sheet = plots.grid(images)
    with Image.open(path) as picture:
        factor = picture.width // sheet.shape[1]
        assert picture.mode == mode
        assert picture.width >= plots.COMFORTABLE_PIXELS > picture.width - sheet.shape[1]
        np.testing.assert_array_equal(np.asarray(picture)[::factor, ::factor].reshape(sheet.shape), sheet)


def test_a_large_sheet_keeps_its_size(tmp_path):
    with Image.open(plots.save_grid(tmp_path / "sheet.png", np.zeros((64, 100, 100, 1)))) as picture:
        assert picture.size == (8 * 102 + 2, 8 * 102 + 2)


def test_points_are_drawn_over_the_data_in_one_frame(tmp_path):
    data = np.array([[0, 0], [1, 1]], np.float32)
    sizes = set()
    for i, points in enumerate([data, 100 * data]):
        with Image.open(plots.save_points(tmp_path / f"{i}.png", points, data, "iteration 1")) as picture:
            sizes.add(picture.size)
    assert len(sizes) == 1
    assert (tmp_path / "0.png").read_bytes() != (tmp_path / "1.png").read_bytes()


def test_loss_chart_has_a_panel_more_for_codes(tmp_path):
    rows = [line(i, information_nats_0=0.1 * i, information_nats_1=0.0) for i in range(1, 20)]
    with Image.open(plots.save_losses(tmp_path / "two.png", rows, PANELS)) as picture:
        two = picture.height
    codes = [Curve("information_nats_0", "code 0", 2.3, "its ceiling"), Curve("information_nats_1", "code 1")]
    panels = [*PANELS, Panel("information (nats)", codes)]
    with Image.open(plots.save_losses(tmp_path / "three.png", rows, panels)) as picture:
        assert picture.height > 1.3 * two


def test_a_settled_panel_frames_what_comes_after_the_first_tenth(tmp_path, monkeypatch):
    figures = []
    make = plots.charts._figure
    monkeypatch.setattr(plots.charts, "_figure", lambda *size: figures.append(make(*size)) or figures[-1])
    rows = [{"iteration": i, "loss": 500 if i < 4 else 100 + i % 2} for i in range(1, 41)]
    for settled in (False, True):
        plots.save_losses(tmp_path / "losses.png", rows, [Panel("nats", [Curve("loss", "loss")], settled=settled)])
    tops = [figure.axes[0].get_ylim()[1] for figure in figures]
    assert tops[0] > 500
    assert 101 < tops[1] < 102


def test_loss_chart_of_one_line(tmp_path):
    assert plots.save_losses(tmp_path / "one.png", [line(1)], PANELS).stat().st_size > 0


def test_loss_chart_refuses_an_empty_log(tmp_path):
    with pytest.raises(ValueError, match="rows: expected at least one line of the log, got none"):
        plots.save_losses(tmp_path / "none.png", [], PANELS)


def test_smoothing_keeps_a_constant_and_averages_neighbours():
    np.testing.assert_allclose(plots.charts._smoothed(np.full(9, 3.0), 2), 3)
    np.testing.assert_allclose(plots.charts._smoothed(np.array([0.0, 3.0, 6.0, 0.0]), 1), [1.5, 3, 3, 3])
    np.testing.assert_array_equal(plots.charts._smoothed(np.array([1.0, 5.0]), 0), [1, 5])


@pytest.mark.parametrize("suffix", [".webp", ".gif"])
def test_an_animation_shows_every_frame_in_order(tmp_path, suffix):
    frames = []
    for i, value in enumerate((-1, 0, 1)):
        frames.append(plots.save_grid(tmp_path / f"{i}.png", np.full((1, 8, 8, 1), value)))
    with Image.open(plots.save_animation(tmp_path / f"moving{suffix}", frames)) as picture:
        assert picture.n_frames == 3
        seen = []
        for i in range(3):
            picture.seek(i)
            seen.append(picture.convert("L").getpixel((picture.width // 2, picture.height // 2)))
    np.testing.assert_allclose(seen, [0, 128, 255], atol=3)


def test_an_animation_refuses_no_frame_and_another_suffix(tmp_path):
    with pytest.raises(ValueError, match="frames: expected at least one picture, got none"):
        plots.save_animation(tmp_path / "moving.webp", [])
    with pytest.raises(ValueError, match=r"path: expected \.webp or \.gif for an animation, got moving\.mp4"):
        plots.save_animation(tmp_path / "moving.mp4", ["a.png"])


def test_an_animation_fits_its_format(tmp_path):
    for i in range(2):
        Image.new("L", (8, 16_400 + i)).save(tmp_path / f"{i}.png")
    path = plots.save_animation(tmp_path / "tall.webp", [tmp_path / "0.png", tmp_path / "0.png"])
    with Image.open(path) as picture:
        assert picture.size == (8, 16_383)


def test_a_confusion_matrix_is_drawn(tmp_path):
    counts = np.diag(np.arange(1, 4)) + np.eye(3, dtype=int)[::-1]
    path = plots.save_confusion(tmp_path / "c.png", counts, np.array([2, -1, 0]))
    assert path.read_bytes().startswith(b"\x89PNG")


# --- flow -------------------------------------------------------------------------------------------------------------


@st.composite
def computations(draw):
    """Lines that each take some of the lines before, and headings among them."""
    lines = []
    for i in range(draw(st.integers(1, 15))):
        before = [j for j in range(i) if not lines[j].heading]
        inputs = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        heading = draw(st.integers(0, 5)) == 0
        lines.append(Line(str(i), inputs=[(j, None) for j in inputs] * (not heading), heading=heading))
    return lines


@given(computations())
def test_a_lane_is_one_result_until_it_is_taken_for_the_last_time(lines):
    placed = lanes(lines)
    last = {j: i for i, line in enumerate(lines) for j, _ in line.inputs}
    for i, line in enumerate(lines):
        assert (placed[i] is None) == line.heading
        for j in range(i + 1, last.get(i, i) + 1):
            if placed[j] is not None and placed[j] == placed[i]:
                assert j == last[i]  # who takes it last may go on in its lane
    taken = [lane for lane in placed if lane is not None]
    assert set(taken) == set(range(max(taken, default=-1) + 1))


def test_a_chain_stays_in_one_lane_and_what_ends_makes_room():
    chain = [Line("a"), Line("b", inputs=[(0, None)]), Line("c", inputs=[(1, None)])]
    assert lanes(chain) == [0, 0, 0]
    assert lanes([Line("a"), Line("b"), Line("c", inputs=[(0, None)])]) == [0, 1, 0]
    assert lanes([Line("a"), Line("h", heading=True), Line("b")]) == [0, None, 0]


def colours_of(path):
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB")).reshape(-1, 3)
    return {"#" + bytes(pixel).hex() for pixel in np.unique(pixels, axis=0)}


def test_flow_draws_ways_values_and_tags_in_their_colours(tmp_path):
    lines = [Line("until", heading=True), Line("1 data", "2x2"), Line("2 linear", inputs=[(1, None)])]
    assert BLUE not in colours_of(plots.save_flow(tmp_path / "plain.png", lines, "a step"))
    coloured = {
        "way": {"inputs": [(1, BLUE)]},
        "values": {"inputs": [(1, None)], "values": [(0.1, BLUE), (0.0, BLUE), (np.inf, BLUE)]},
        "dot": {"inputs": [(1, None)], "colour": BLUE},
    }
    for name, options in coloured.items():
        path = plots.save_flow(tmp_path / f"{name}.png", [*lines[:2], Line("2 linear", **options)], "a step")
        assert BLUE in colours_of(path), name


def test_flow_too_long_for_pixels_is_told(tmp_path):
    lines = [Line("data")] * 3000
    with pytest.raises(ValueError, match="picture: 3,000 lines are too many for a"):
        plots.save_flow(tmp_path / "flow.png", lines, "")
    assert plots.save_flow(tmp_path / "flow.pdf", lines[:50], "").exists()


@pytest.mark.parametrize(("values", "powers"), [([1.0], 1), ([1e-12, 1e12], 25), ([0.0], 0), ([np.nan], 0)])
def test_flow_takes_any_values(tmp_path, values, powers):
    path = plots.save_flow(tmp_path / "flow.svg", [Line("1 data", values=[(v, BLUE) for v in values])], "")
    assert path.stat().st_size > 0
    assert (BLUE in path.read_text()) == (powers > 0)
