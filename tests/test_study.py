"""So that what is done with trained networks is right where the answer is known: a linear g, a Q that is told."""

import json
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minigan import Tensor, cli, nn, ops, plots, runs
from minigan.data import load
from minigan.latents import Categorical, Gaussian, Label, Latents, Noise, Uniform
from minigan.plots import captions
from minigan.study import inversion, reading, traversals
from minigan.training.systems import GAN, frozen_inference
from minigan.training.systems.modes import batch_statistics, inference

RNG = np.random.default_rng


class Linear(nn.Module):
    """g(z) = z w as images of 4 x 4, which can be inverted exactly; with batch norm, to see that it is left alone."""

    def __init__(self, z):
        self.w = Tensor(RNG(5).normal(0, 0.3, (z, 16)).astype(np.float32), requires_grad=True)
        self.norm = nn.BatchNorm(1)

    def __call__(self, z):
        return self.norm(ops.reshape(z @ self.w, -1, 4, 4, 1))


class Indifferent(nn.Module):
    """A discriminator to which all images are equal."""

    def __init__(self):
        self.w = Tensor(np.zeros((16, 1), np.float32), requires_grad=True)

    def __call__(self, x):
        return ops.reshape(x, x.shape[0], -1) @ self.w


def linear_system(*parts):
    latents = Latents(*parts)
    return GAN(Linear(latents.size), Indifferent(), latents, None, None, batch=1)


# --- modes ------------------------------------------------------------------------------------------------------------


def test_whoever_looks_leaves_every_layer_in_its_own_mode():
    norm, other = nn.BatchNorm(1), nn.BatchNorm(1)
    module = nn.Sequential(norm, other)
    x = Tensor(3 + RNG(0).standard_normal((8, 1)).astype(np.float32))
    other.eval()
    for context, training in ((frozen_inference, False), (inference, False), (batch_statistics, True)):
        with context(module):
            assert [norm.training, other.training] == [training, training]
            with frozen_inference(module):
                module(x)
            assert [norm.training, other.training] == [training, training]
            module(x)
        assert [norm.training, other.training] == [True, False]
    np.testing.assert_array_equal([norm.running_mean, other.running_mean], 0)


# --- in-painting ------------------------------------------------------------------------------------------------------


def test_what_is_hidden_is_found_where_the_rest_decides_it():
    system = linear_system(Noise(3))
    z = RNG(0).standard_normal((5, 3), np.float32)
    images, known = system.sample(z), inversion.mask("right", (4, 4), None)
    hidden = np.where(known > 0, images, np.nan)  # must not be looked at
    found = inversion.inpaint(system, hidden, known, RNG(1), steps=400, prior_weight=0)
    np.testing.assert_allclose(found.filled, images, atol=0.05)
    np.testing.assert_allclose(found.z, z, atol=0.15)
    np.testing.assert_array_equal(found.filled[:, :, :2], images[:, :, :2])
    np.testing.assert_allclose(found.prior, np.log(2), rtol=1e-6)
    assert (found.context < 0.02).all()


def test_networks_are_left_as_they_were():
    system = linear_system(Noise(3))
    before = system.g.state_dict() | system.d.state_dict()
    inversion.inpaint(system, np.zeros((2, 4, 4, 1), np.float32), inversion.mask("top", (4, 4), None), RNG(0), steps=3)
    after = system.g.state_dict() | system.d.state_dict()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert system.g.norm.training
    assert all(p.requires_grad for p in system.g.parameters())


@pytest.mark.parametrize("part", [Label(4), Categorical(4)])
def test_every_class_is_tried_and_the_right_one_found(part):
    system = linear_system(Noise(1), part)
    z = system.latents.with_class(system.latents.sample(RNG(0), 4), np.arange(4))
    images = system.sample(z)
    found = inversion.inpaint(system, images, inversion.mask("left", (4, 4), None), RNG(1), steps=200, starts=1)
    np.testing.assert_array_equal(found.z[:, 1:], np.eye(4))
    np.testing.assert_allclose(found.filled, images, atol=0.1)


def test_uniform_latents_stay_where_g_was_trained():
    system = linear_system(Noise(2, "uniform"), Uniform(), Gaussian())
    bright = np.full((3, 4, 4, 1), 9, np.float32)
    found = inversion.inpaint(system, bright, inversion.mask("center", (4, 4), None), RNG(0), steps=60, lr=0.5)
    assert np.abs(found.z[:, :3]).max() <= 1
    assert np.abs(found.z[:, 3]).max() > 1


def test_normal_noise_keeps_its_usual_length():
    system = linear_system(Noise(9), Gaussian())
    bright = np.full((3, 4, 4, 1), 90, np.float32)
    found = inversion.inpaint(system, bright, inversion.mask("center", (4, 4), None), RNG(0), steps=60, lr=0.5)
    assert np.linalg.norm(found.z[:, :9], axis=1).max() == pytest.approx(3 + 1, rel=1e-5)


def test_the_prior_draws_to_what_the_discriminator_likes():
    system = linear_system(Noise(3))
    system.d.w.assign_(np.full((16, 1), 1.0))
    images, known = np.zeros((2, 4, 4, 1), np.float32), inversion.mask("center", (4, 4), None)
    free, liked = (inversion.inpaint(system, images, known, RNG(0), steps=100, prior_weight=w) for w in (0.0, 1.0))
    assert (liked.prior < free.prior - 0.1).all()
    assert (liked.context > free.context).all()


def test_the_context_loss_is_the_weighted_mean_over_known_pixels(monkeypatch):
    monkeypatch.setattr(inversion, "context_weights", partial(inversion.context_weights, reach=1))
    system = linear_system(Noise(3))
    images = RNG(0).uniform(-1, 1, (2, 4, 4, 1)).astype(np.float32)
    found = inversion.inpaint(system, images, inversion.mask("right", (4, 4), None), RNG(1), steps=0, starts=1)
    weights = 0.1 + np.array([[0, 2], [0, 3], [0, 3], [0, 2]]) / 9
    apart = np.abs(found.generated - images)[:, :, :2, 0]
    np.testing.assert_allclose(found.context, (apart * weights).sum(axis=(1, 2)) / weights.sum(), rtol=1e-5)


def test_of_all_starts_the_best_by_both_losses_is_kept():
    system = linear_system(Noise(3))
    system.d.w.assign_(np.full((16, 1), 1.0))
    image, known = np.zeros((1, 4, 4, 1), np.float32), inversion.mask("left", (4, 4), None)
    each = inversion.inpaint(system, image.repeat(10, axis=0), known, RNG(0), steps=0, starts=1)
    both = each.context + each.prior
    assert len({each.context.argmin(), each.prior.argmin(), both.argmin()}) == 3
    found = inversion.inpaint(system, image, known, RNG(0), steps=0, starts=10, prior_weight=1.0)
    np.testing.assert_array_equal(found.z[0], each.z[both.argmin()])


def test_weights_are_highest_beside_the_hole_and_zero_in_it():
    known = inversion.mask("center", (12, 12), None)[None]
    weights = inversion.context_weights(known, reach=1)[0, ..., 0]
    assert weights[5, 5] == 0
    assert weights[2, 5] == pytest.approx(0.1 + 3 / 9)
    assert weights[2, 2] == pytest.approx(0.1 + 1 / 9)
    assert weights[0, 0] == pytest.approx(0.1)


def test_gradients_reach_z_and_nothing_else():
    system = linear_system(Noise(3))
    z = Tensor(RNG(0).standard_normal((2, 3), np.float32), requires_grad=True)
    with frozen_inference(system.g, system.d):
        ops.square(system.g(z)).sum().backward()
    assert np.abs(z.grad).min() > 0
    assert all(p.grad is None for p in system.g.parameters())


@pytest.mark.parametrize("name", inversion.MASKS)
def test_masks_hide_what_they_say(name):
    known = inversion.mask(name, (28, 20), RNG(0))[..., 0]
    assert known.shape == (28, 20)
    share = {"center": 0.25, "random": 0.8}.get(name, 0.5)
    assert 1 - known.mean() == pytest.approx(share, abs=0.05)
    hidden = {"center": (14, 10), "left": (0, 0), "right": (0, 19), "top": (0, 0), "bottom": (27, 0)}
    assert name == "random" or known[hidden[name]] == 0


@pytest.mark.parametrize(
    ("known", "message"),
    [
        (np.ones((3, 3, 1)), r"known: expected a mask \(N, H, W, 1\) for images \(2, 4, 4, 1\), got \(3, 3, 1\)"),
        (np.full((4, 4, 1), 0.5), "known: expected 1 where a pixel is known and 0 elsewhere, got"),
        (np.zeros((4, 4, 1)), "known: image 0 has no known pixel"),
    ],
)
def test_impossible_masks_are_refused(known, message):
    with pytest.raises(ValueError, match=message):
        inversion.inpaint(linear_system(Noise(3)), np.zeros((2, 4, 4, 1), np.float32), known, RNG(0))


def test_unknown_masks_are_refused():
    with pytest.raises(
        ValueError, match="mask: expected one of center, left, right, top, bottom, random, got 'middle'"
    ):
        inversion.mask("middle", (4, 4), None)


# --- traversals -------------------------------------------------------------------------------------------------------


def test_a_walk_changes_one_thing_and_leaves_the_rest():
    system = linear_system(Noise(2), Categorical(3), Uniform())
    z = system.latents.sample(RNG(0), 4)
    line = traversals.along_code(system.latents, z, 1)
    images = traversals.images_along(system, line, [-1, 0, 0.5])
    assert images.shape == (4, 3, 4, 4, 1)
    for column, value in enumerate((-1, 0, 0.5)):
        expected = z.copy()
        expected[:, 5] = value
        np.testing.assert_allclose(images[:, column], system.sample(expected), rtol=1e-5, atol=1e-6)


def test_an_attribute_is_the_difference_of_two_means():
    z = RNG(0).standard_normal((3000, 4), np.float32)
    z = np.concatenate([z, np.eye(2, dtype=np.float32)[(z[:, 2] > 0).astype(int)]], axis=1)  # a class that goes along
    line = traversals.along_attribute(Latents(Noise(4), Label(2)), z, 3 * z[:, 2] - 1, z[:2])
    # The mean of the upper third of a normal variable is 1.091; independent ones do not differ, a class must not.
    np.testing.assert_allclose(line.direction, [0, 0, 2 * 1.0908, 0, 0, 0], atol=0.12)
    np.testing.assert_array_equal(line.direction[4:], 0)
    np.testing.assert_array_equal(line.origin, z[:2])


@pytest.mark.parametrize(
    ("code", "there"), [(0, "the continuous codes are 1, 2"), (3, "the continuous codes are 1, 2"), (-1, "are 1, 2")]
)
def test_a_code_that_is_not_continuous_is_refused(code, there):
    latents = Latents(Noise(2), Categorical(3), Uniform(), Gaussian())
    with pytest.raises(ValueError, match=f"code: expected the number of a continuous code, got {code}; .*{there}"):
        traversals.along_code(latents, latents.sample(RNG(0), 1), code)


def test_other_impossible_walks_are_refused():
    latents = Latents(Noise(2), Categorical(3))
    z = latents.sample(RNG(0), 9)
    with pytest.raises(ValueError, match="got 0; there is none"):
        traversals.along_code(latents, z, 0)
    with pytest.raises(ValueError, match="dim: expected 0 to 4, got 5"):
        traversals.along_dimension(latents, z, 5)
    with pytest.raises(ValueError, match=r"scores: expected 9 finite values, one for each latent row, got \(8,\)"):
        traversals.along_attribute(latents, z, np.zeros(8), z)
    with pytest.raises(ValueError, match="scores: at least a third of them are 0: there is no difference"):
        traversals.along_attribute(latents, z, np.zeros(9), z)


# --- reading pictures -------------------------------------------------------------------------------------------------


def test_pictures_dark_on_light_are_turned_over_and_light_on_dark_are_not(tmp_path):
    digit = load("mnist-10k", n=1).images[0]
    for name, image in (("light", digit), ("dark", -digit)):
        plots.save_grid(tmp_path / f"{name}.png", image[None], pad=0)  # enlarged to 616 pixels
    found = reading.read_pictures([tmp_path / "light.png", tmp_path / "dark.png"], (28, 28, 1))
    assert found.inverted.tolist() == [False, True]
    colours = reading.read_pictures([tmp_path / "light.png", tmp_path / "dark.png"], (28, 28, 3))
    assert colours.inverted.tolist() == [False, False]  # a photograph's border says nothing
    np.testing.assert_allclose(colours.images[1, ..., 0], -found.images[1, ..., 0], atol=0.01)
    assert np.abs(found.images - digit).mean() < 0.05


def test_colour_of_any_size_becomes_grey(tmp_path):
    Image.new("RGB", (90, 40), "navy").save(tmp_path / "a.jpg")
    assert reading.read_pictures([tmp_path / "a.jpg"], (28, 28, 1)).images.shape == (1, 28, 28, 1)


def test_files_that_are_no_pictures_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.png: no such picture"):
        reading.read_pictures([tmp_path / "gone.png"], (28, 28, 1))
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(ValueError, match=r"a\.png: not a picture in a known format"):
        reading.read_pictures([tmp_path / "a.png"], (28, 28, 1))


def test_beliefs_become_columns():
    latents = Latents(Noise(2), Categorical(3), Uniform())
    beliefs = [np.array([[0.1, 0.7, 0.2], [0.9, 0.05, 0.05]]), np.array([[0.5, 0.1], [-0.25, 0.02]])]
    assert reading.columns(latents, beliefs) == {
        "category": ["1", "0"],
        "probability": ["0.700", "0.900"],
        "code 1 (uniform)": ["+0.50 +- 0.10", "-0.25 +- 0.02"],
    }


# --- sheets -----------------------------------------------------------------------------------------------------------


def test_a_sheet_has_room_for_its_words(tmp_path):
    images = RNG(0).uniform(-1, 1, (6, 28, 28, 1))
    sizes = []
    for words in ({}, {"headings": ["a", "b", "c"]}, {"captions": list("abcdef")}):
        with Image.open(captions.save_captioned(tmp_path / "sheet.png", images, 3, **words)) as picture:
            sizes.append(picture.size)
    plain, headed, captioned = sizes
    assert plain == (3 * 88 + 4, 2 * 88 + 4)
    assert headed == (plain[0], plain[1] + captions.TEXT_PIXELS)
    assert captioned == (plain[0], plain[1] + 2 * captions.TEXT_PIXELS)


def test_pixels_on_a_sheet_are_the_images_in_colour_or_grey(tmp_path):
    for channels in (1, 3):
        images = RNG(0).uniform(-1, 1, (2, 28, 28, channels))
        with Image.open(captions.save_captioned(tmp_path / "s.png", images, 2, headings=["a", "b"])) as picture:
            pixels = np.asarray(picture)
        top, left = captions.TEXT_PIXELS + 4, 4 + 88
        expected = plots.grid(images[1:], pad=0)
        np.testing.assert_array_equal(
            pixels[top : top + 84 : 3, left : left + 84 : 3], np.broadcast_to(expected, (28, 28, 3))
        )


def test_words_of_another_number_are_refused(tmp_path):
    images = np.zeros((4, 8, 8, 1))
    with pytest.raises(ValueError, match="headings: expected 2, got 3"):
        captions.save_captioned(tmp_path / "s.png", images, 2, headings=["a", "b", "c"])
    with pytest.raises(ValueError, match="captions: expected 4, got 1"):
        captions.save_captioned(tmp_path / "s.png", images, 2, captions=["a"])


# --- the commands -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with runs of two iterations: "told", a cgan, and "points"."""
    folder = tmp_path_factory.mktemp("runs")
    small = ["--steps=2", "--batch=8", "--width=4", "--samples=20", "--quiet"]
    assert cli.main(["train", "cgan", f"--out={folder / 'told'}", *small]) == 0
    assert cli.main(["train", "gan-2d", f"--out={folder / 'points'}", *small]) == 0
    return folder


@pytest.fixture
def informed(trained, tmp_path, monkeypatch):
    """A run of InfoGAN that needs no training: its 160 MB need not be written."""
    from minigan import presets
    from minigan.training.trainer import random_streams

    config = presets.get("infogan-paper").config
    system = presets.get("infogan-paper").build(config, (28, 28, 1), random_streams(0)["init"])
    monkeypatch.setattr(
        runs, "load", lambda run, file="checkpoint.npz": runs.Trained(system, config, (28, 28, 1), 5, "")
    )
    return tmp_path / "informed"


def refused(capsys, *arguments):
    capsys.readouterr()
    assert cli.main(list(map(str, arguments))) == 2
    return capsys.readouterr().err


def test_classify_prints_a_table_and_draws_the_digits(informed, capsys):
    out = informed / "read.png"
    assert cli.main(["classify", str(informed), "--n", "4", "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split("  ")[:3] == ["image", "label", "category"]
    assert "code 2 (uniform)" in lines[0]
    assert [line.split()[1] for line in lines[1:5]] == [str(k) for k in load("mnist-10k", split="test", n=4).labels]
    assert lines[5].startswith("mnist-10k, test: ")
    assert Path(lines[6]) == out
    assert out.exists()


def test_classify_takes_files_and_tells_what_it_turned_over(informed, capsys, tmp_path):
    digit = load("mnist-10k", n=1).images
    plots.save_grid(tmp_path / "mine.png", -digit, pad=0)
    assert cli.main(["classify", str(informed), str(tmp_path / "mine.png")]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[1].startswith("mine.png ")
    assert "label" not in text
    assert text.endswith("dark on light, read with inverted tones: mine.png\n")
    assert "give pictures or --data, not both" in refused(
        capsys, "classify", informed, tmp_path / "mine.png", "--data=x"
    )


def test_classify_needs_a_q(trained, capsys):
    message = refused(capsys, "classify", trained / "told")
    assert message == (
        "minigan: error: run: a run of cgan has no Q that reads codes; infogan, infogan-paper and acgan have one\n"
    )
    assert "run: classify expects a run that generates images" in refused(capsys, "classify", trained / "points")


def test_inpaint_draws_four_columns(trained, capsys, tmp_path):
    out = tmp_path / "new" / "filled.png"
    arguments = ["inpaint", str(trained / "told"), "--n=2", "--steps=2", "--mask=bottom", f"--out={out}"]
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    assert "mean error of the hidden pixels" in text
    assert "with the mean of the other images instead" in text
    assert text.endswith(f"{out}\n")
    with Image.open(out) as picture:
        assert picture.size == (4 * 88 + 4, captions.TEXT_PIXELS + 2 * 88 + 4)
    assert "run: inpaint expects a run that generates images" in refused(capsys, "inpaint", trained / "points")


def test_inpainting_one_picture_has_no_other_to_compare_with(trained, capsys):
    assert cli.main(["inpaint", str(trained / "told"), "--n=1", "--steps=1"]) == 0
    assert "other" not in capsys.readouterr().out


def test_pictures_of_ones_own_can_be_inpainted_and_have_no_test_set(trained, capsys, tmp_path):
    for i, image in enumerate(load("mnist-10k", n=2).images):
        plots.save_grid(tmp_path / f"{i}.png", image[None], pad=0)
    own = ["inpaint", trained / "told", "--data", tmp_path, "--steps=1"]
    assert cli.main([*map(str, own), "--split=train"]) == 0  # both, which are fewer than it takes by default
    assert "n: expected 1 to 2, the number of items" in refused(capsys, *own, "--split=train", "--n=3")
    assert "has no test set; give --split train" in refused(capsys, *own)


@pytest.mark.parametrize("command", ["classify", "inpaint", "traverse", "sample"])
@pytest.mark.parametrize(("name", "message"), [("x.foo", "expected a name that ends in .png"), (".", "is a folder")])
def test_a_picture_that_cannot_be_written_is_told_before_any_work(trained, command, name, message, capsys, tmp_path):
    assert message in refused(capsys, command, trained / "told", "--out", tmp_path / name)


@pytest.mark.parametrize(
    "command",
    [["sample"], ["inpaint", "--n=2"], ["traverse", "--dim=1", "--columns=3"], ["compare", "--rows=2"]],
    ids=lambda command: command[0],
)
def test_a_sheet_too_large_for_its_format_is_told_before_any_work(trained, command, capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(plots.files.LONGEST, "WEBP", 100)
    monkeypatch.setattr(GAN, "sample", None)
    monkeypatch.setattr(inversion, "inpaint", None)
    name, *options = command
    chosen = [trained / "told"] * (1 + (name == "compare"))
    message = refused(capsys, name, *chosen, *options, f"--out={tmp_path / 'x.webp'}")
    assert "out: expected a sheet of at most 100 pixels a side, as WEBP allows, got " in message


def test_a_sheet_of_digits_too_large_for_its_format_is_told_before_they_are_read(informed, capsys, monkeypatch):
    monkeypatch.setitem(plots.files.LONGEST, "WEBP", 100)
    message = refused(capsys, "classify", informed, "--n=2", f"--out={informed / 'x.webp'}")
    assert message.endswith("got 180 x 108; a .png has room for it\n")


def test_points_are_drawn_in_the_formats_of_charts(trained, capsys, tmp_path):
    points = trained / "points"
    for command in (["sample", points], ["compare", points, points]):
        assert cli.main([*map(str, command), f"--out={tmp_path / 'x.svg'}"]) == 0
        assert "another that matplotlib writes, got" in refused(capsys, *command, f"--out={tmp_path / 'x.bmp'}")


def test_a_tilde_that_the_shell_leaves_in_a_path_is_the_home_folder(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    told, points = trained / "told", trained / "points"
    commands = {
        "sample.npy": ["sample", told],
        "step.npz": ["step", points],
        "inpaint.png": ["inpaint", told, "--n=1", "--steps=1"],
        "compare.png": ["compare", told, told],
    }
    for name, command in commands.items():
        assert cli.main([*map(str, command), f"--out=~/{name}"]) == 0
        assert (tmp_path / name).exists()
    Image.new("L", (28, 28)).save(tmp_path / "mine.png")
    assert cli.main(["inpaint", str(told), "~/mine.png", "--steps=1"]) == 0


def test_slant_is_measured_on_grey_images(capsys, monkeypatch):
    monkeypatch.setattr(runs, "load", lambda *_: runs.Trained(None, None, (64, 64, 3), 1, ""))
    assert "attribute: slant is measured on grey images" in refused(capsys, "traverse", "run", "--attribute=slant")


@pytest.mark.parametrize("command", [["sample"], ["traverse", "--dim=1"], ["inpaint", "--steps=1"]])
def test_the_best_state_can_be_drawn_from(trained, tmp_path, command, capsys):
    run = tmp_path / "run"
    shutil.copytree(trained / "told", run)
    (run / "checkpoint.npz").rename(run / "best.npz")
    name, *options = command
    assert "no checkpoint at" in refused(capsys, name, run, *options)
    assert cli.main([name, str(run), "--best", *options]) == 0


def test_inpainting_needs_a_discriminator_and_a_search(trained, informed, capsys, monkeypatch):
    assert "steps: expected at least 1, got 0" in refused(capsys, "inpaint", informed, "--steps=0")
    monkeypatch.delattr(GAN, "judge")
    message = refused(capsys, "inpaint", informed)
    assert message.endswith("with the help of its discriminator; a run of infogan-paper does not have both\n")


def test_traverse_draws_a_row_for_each_class(trained, informed, capsys):
    out = informed / "walk.png"
    assert cli.main(["traverse", str(informed), "--code=1", "--columns=5", f"--out={out}"]) == 0
    with Image.open(out) as picture:
        assert picture.size == (5 * 88 + 4, captions.TEXT_PIXELS + 10 * 88 + 4)
    assert "got 0; the continuous codes are 1, 2" in refused(capsys, "traverse", informed, "--code=0")
    message = refused(capsys, "traverse", informed)
    assert message == "minigan: error: traverse: give one of --code, --dim and --attribute, got none\n"
    assert "columns: expected at least 1, got 0" in refused(capsys, "traverse", informed, "--code=1", "--columns=0")
    assert "got code and dim" in refused(capsys, "traverse", informed, "--code=1", "--dim=1")


def test_traverse_walks_as_far_to_both_sides(trained, monkeypatch):
    walked, walk = [], traversals.images_along
    monkeypatch.setattr(traversals, "images_along", lambda s, line, at: walked.extend(at) or walk(s, line, at))
    assert cli.main(["traverse", str(trained / "told"), "--dim=3", "--columns=5", "--reach=1.5"]) == 0
    np.testing.assert_allclose(walked, [-1.5, -0.75, 0, 0.75, 1.5])


@pytest.mark.parametrize("asked", ["--dim=3", "--attribute=ink", "--attribute=slant"])
def test_traverse_walks_along_anything(trained, asked, capsys):
    assert cli.main(["traverse", str(trained / "told"), asked, "--columns=3"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.parent == trained / "told"
    assert path.exists()


# --- runs beside one another ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pair(trained):
    """A run with classes, one without, both of digits."""
    small = ["--steps=2", "--batch=8", "--width=4", "--samples=20", "--quiet"]
    assert cli.main(["train", "dcgan-mnist", f"--out={trained / 'plain'}", *small]) == 0
    return [trained / "told", trained / "plain"]


def test_compare_draws_a_block_for_each_run(pair, capsys, tmp_path):
    out = tmp_path / "new" / "both.png"
    assert cli.main(["compare", *map(str, pair), "--rows=3", f"--out={out}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "not measured: told; run minigan eval on it",
        "not measured: plain; run minigan eval on it",
        str(out),
    ]
    assert cli.main(["sample", str(pair[0]), "--n=20", f"--out={tmp_path / 'x.npy'}"]) == 0
    assert np.load(tmp_path / "x.npy").shape == (20, 28, 28, 1)
    assert "n: expected a multiple of 10, the number of values, got 25" in refused(capsys, "sample", pair[0], "--n=25")
    block, gap = 5 * 88, 28
    with Image.open(out) as picture:
        pixels = np.asarray(picture)
    assert pixels.shape == (captions.TEXT_PIXELS + 10 * 88 + 4, 2 * block + gap + 4, 3)  # a row for each of ten classes
    assert (pixels[:, block + 4 : block + gap] == captions.PAPER).all()
    told = runs.load(pair[0]).system
    first = told.sample(told.latents.rows_by_class(RNG(0), 5))
    for row, column in [(0, 0), (9, 4)]:
        top, left = captions.TEXT_PIXELS + 4 + 88 * row, 4 + 88 * column
        expected = plots.grid(first[5 * row + column][None], pad=0)
        np.testing.assert_array_equal(
            pixels[top : top + 84 : 3, left : left + 84 : 3], np.broadcast_to(expected, (28, 28, 3))
        )


def test_compare_sets_what_was_measured_side_by_side(pair, capsys, tmp_path):
    told, plain = tmp_path / "a" / "run", tmp_path / "b" / "run"
    for folder, source, scores in (
        (told, pair[0], {"frechet": {"value": 2.0, "reference": 0.25}, "class_as_told": {"value": 0.5}}),
        (plain, pair[1], {"frechet": {"value": "inf", "reference": 0.25}}),
    ):
        shutil.copytree(source, folder)
        facts = {"iteration": 2, "samples": 100 if folder == told else 50, "data": "mnist-10k", "features": "a b"}
        (folder / "eval.json").write_text(json.dumps(facts | {"scores": scores}))
    assert cli.main(["compare", str(told), str(plain), f"--out={tmp_path / 'c.png'}"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == [
        "score          a/run  b/run  reference",
        "frechet        2      inf    real data 0.25",
        "class as told  0.5",
        "measured with different samples: a/run 100; b/run 50",
    ]
    (told / "eval.json").write_text((told / "eval.json").read_text().replace('"iteration": 2', '"iteration": 1'))
    assert cli.main(["compare", str(told), str(plain), f"--out={tmp_path / 'c.png'}"]) == 0
    assert "a/run was measured at iteration 1, but is drawn at 2" in capsys.readouterr().out
    (plain / "eval.json").write_text("{")
    assert f"{plain / 'eval.json'} does not hold the scores" in refused(capsys, "compare", told, plain)


def test_compare_draws_points_in_a_frame_each(trained, tmp_path, capsys):
    out = tmp_path / "points.png"
    assert cli.main(["compare", str(trained / "points"), str(trained / "points"), f"--out={out}"]) == 0
    with Image.open(out) as picture:
        assert picture.width > 1.8 * picture.height


def test_compare_refuses_what_cannot_stand_beside_one_another(trained, capsys, tmp_path):
    assert "runs: expected at least 2 to compare, got 1" in refused(capsys, "compare", trained / "told")
    message = refused(capsys, "compare", trained / "told", trained / "points")
    assert "runs: expected images of one shape, got (28, 28, 1) of" in message
    assert message.endswith(f" and (2,) of {trained / 'points'}\n")
    assert "rows: expected at least 1, got 0" in refused(capsys, "compare", "a", "b", "--rows=0")
    assert "no checkpoint" in refused(capsys, "compare", trained / "told", tmp_path)
