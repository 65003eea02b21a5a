"""So that a run is judged by what fits it, the judging changes nothing of it, and the best state is kept."""

import errno
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minigan import cli, data, evaluate, features, plots, presets, runs, scores
from minigan.data import Dataset, toy2d
from minigan.latents import Categorical, Gaussian, Label, Latents, Noise, Uniform
from minigan.metrics import shape
from minigan.scores.codes import CodeScores
from minigan.scores.images import ImageScores
from minigan.scores.points import PointScores
from minigan.scores.score import Score
from minigan.scores.stacked import StackedScores
from minigan.scores.told import ToldScores
from minigan.training import checkpoint, hooks
from minigan.training.evaluation import Evaluate

QUICK = {"log_every": 1, "sample_every": 100, "checkpoint_every": 100}
SMALL = {
    "gan-2d": {"width": 8, "samples": 20, "steps": 4, "batch": 16},
    "dcgan-mnist": {"width": 4, "batch": 8, "samples": 4, "steps": 2},
    "infogan-paper": {"batch": 4, "samples": 20, "steps": 1},
}
FEW = 120


@pytest.fixture(scope="module")
def digits():
    """A few training and test digits."""
    return tuple(data.load("mnist-10k", split=split).head(FEW) for split in ("train", "test"))


@pytest.fixture
def few_digits(monkeypatch, digits):
    """Runs load those few, and walk along a code from few places."""
    load = runs.load_data
    monkeypatch.setattr("minigan.scores.codes.ROWS", 1)

    def load_few(config, split="train", image_shape=None):
        return digits[split == "test"] if config.data == "mnist-10k" else load(config, split, image_shape)

    monkeypatch.setattr(runs, "load_data", load_few)


def config(preset, **changes):
    return replace(presets.get(preset).config, **(QUICK | SMALL[preset] | changes))


def rng():
    return np.random.default_rng(0)


class Replay:
    """A system that draws given images, whatever the latents are."""

    def __init__(self, images, latents=None):
        self.images, self.latents = images, latents or Latents(Noise(1))
        self.drawn = 0

    def sample(self, z):
        at = (self.drawn + np.arange(len(z))) % len(self.images)
        self.drawn += len(z)
        return self.images[at]


# --- yardsticks -------------------------------------------------------------------------------------------------------


def test_the_test_digits_themselves_are_a_perfect_generator(digits):
    train, test = digits
    found = ImageScores(train, test, features.load(), FEW, rng())(Replay(test.images), rng())
    assert found["frechet"].value == pytest.approx(0, abs=1e-9)
    assert found["frechet"].reference > 0
    assert (found["precision"].value, found["recall"].value, found["coverage"].value) == (1, 1, 1)
    assert found["farther_than_unseen"].value == pytest.approx(0.5)
    assert found["kernel_distance"].value < 0 < found["kernel_distance"].reference


def test_the_training_digits_reach_the_floor_and_are_found_to_be_copies(digits):
    train, test = digits
    found = ImageScores(train, test, features.load(), FEW, rng())(Replay(train.images), rng())
    for name in ("frechet", "precision", "recall", "density", "coverage", "label_kl_nats", "confident_share"):
        assert found[name].value == pytest.approx(found[name].reference), name
    assert found["frechet_over_floor"].value == pytest.approx(1)
    assert found["farther_than_unseen"].value < 0.01
    assert found["copying_z"].value < -10


def test_a_single_digit_is_bad_in_every_way(digits):
    train, test = digits
    found = ImageScores(train, test, features.load(), FEW, rng())(Replay(test.images[:1]), rng())
    assert found["frechet_over_floor"].value > 10
    assert found["recall"].value < 0.1
    assert found["label_kl_nats"].value == pytest.approx(np.log(10))
    assert found["label_largest_over_smallest"].value == np.inf


def test_points_of_the_law_reach_the_floor():
    for law in (toy2d.ring(), toy2d.grid(), toy2d.line()):
        found = PointScores(law, 1000, rng())(Replay(law.sample(rng(), 1000)), rng())
        assert all(score.value == pytest.approx(score.reference, abs=1e-6) for score in found.values())
        assert ("modes" in found) == (law.name != "line")
    assert PointScores(toy2d.ring(), 100, rng())(Replay(np.zeros((5, 2), np.float32)), rng())["modes"].value == 0


def test_stacked_digits_are_read_channel_by_channel():
    images = data.load("mnist-10k", split="test")
    chosen = [np.flatnonzero(images.labels == digit)[0] for digit in (3, 0, 7)]
    one = np.concatenate([images.images[i] for i in chosen], axis=-1)[None]
    yardstick = StackedScores(features.load(), 20)
    assert yardstick._read(one).tolist() == [307]
    found = yardstick(Replay(one), rng())
    assert found["modes"].value == 1
    assert found["mode_kl_nats"].value == pytest.approx(np.log(1000))
    assert found["modes"].reference == pytest.approx(19.8, abs=0.1)


class Obedient(Replay):
    """A generator that draws a digit of the class it is told, from those it has; or of the next class."""

    needs_labels = True

    def __init__(self, images, labels, wrong_by=0):
        super().__init__(images, Latents(Noise(2), Label(10)))
        self.by_class = [images[labels == k] for k in range(10)]
        self.wrong_by = wrong_by

    def sample(self, z):
        return np.stack([self.by_class[(k + self.wrong_by) % 10][0] for k in self.latents.class_rows(z).argmax(axis=1)])


def test_a_generator_that_obeys_is_told_from_one_that_does_not(digits):
    train, test = digits
    yardstick = ToldScores(train, test, FEW, rng(), features.load())
    obeyed, ignored = (yardstick(Obedient(test.images, test.labels, by), rng()) for by in (0, 1))
    assert obeyed["class_as_told"].value > 0.9
    assert ignored["class_as_told"].value < 0.1
    assert obeyed["class_as_told"].reference > 0.9
    assert ignored["nearest_neighbour_error"].value > 0.8
    assert obeyed["nearest_neighbour_error"].value < ignored["nearest_neighbour_error"].value
    assert yardstick(Obedient(test.images, test.labels), rng()) == obeyed


def test_the_training_digits_themselves_are_the_neighbours_floor(digits):
    train, test = digits
    copies = ToldScores(test, test, len(test), rng())
    assert copies.real_error == 0
    distances = ((test.images[:, None] - train.images[None, :50]) ** 2).sum(axis=(2, 3, 4))
    few = ToldScores(train.head(50), test, FEW, rng())
    assert few.real_error == (train.labels[:50][distances.argmin(axis=1)] != test.labels).mean()
    assert set(few(Obedient(test.images, test.labels), rng())) == {"nearest_neighbour_error"}


def test_a_system_that_is_told_labels_is_measured_by_them(digits):
    kinds = {type(y) for y in scores.fitting(Obedient(digits[1].images, digits[1].labels), *digits, rng(), n=FEW)}
    assert kinds == {ImageScores, ToldScores}


class Oracle(Replay):
    """A generator that draws bars slanted by its first real code, widened by its second, and a Q that reads labels."""

    def __init__(self, test):
        super().__init__(None, Latents(Noise(3), Categorical(10), Uniform(), Gaussian()))
        self.known = {image.tobytes(): label for image, label in zip(test.images, test.labels, strict=True)}

    def sample(self, z):
        y, x = np.mgrid[:28, :28] - 13.5
        slant, width = z[:, 13, None, None], z[:, 14, None, None]
        inside = 1.5 + np.clip(width, -2, 2) / 2 - np.abs(x + 0.5 * slant * y)
        images = 2 * np.clip(inside, 0, 1) * (np.abs(y) < 9) - 1
        images[:, 0, :10] = 2 * z[:, None, 3:13][:, 0] - 1  # the category, for Q to find
        return images[..., None].astype(np.float32)

    def read(self, images, by_batch=False):
        codes = (images[:, 0, :10, 0] + 1) / 2
        labels = [self.known.get(image.tobytes()) for image in images]
        rows = [
            np.eye(10)[(3 * label) % 10] if label is not None else c for label, c in zip(labels, codes, strict=True)
        ]
        real = np.tile([0.0, 0.5], (len(images), 1))
        return [np.array(rows, np.float32), real, real]


def test_a_perfect_q_and_codes_that_mean_slant_and_width(digits):
    yardstick = CodeScores(digits[1], 400)
    found = yardstick(Oracle(digits[1]), rng())
    assert found["code_0_error"].value == found["code_0_classes_missing"].value == 0
    assert found["code_0_nmi"].value == found["code_0_ari"].value == pytest.approx(1)
    assert found["code_0_information_nats"].value == pytest.approx(np.log(10))
    assert found["code_0_information_nats"].reference == pytest.approx(np.log(10))
    assert found["code_0_information_nats_by_batch"] == found["code_0_information_nats"]
    assert found["code_0_error_by_batch"].value == 0
    assert found["code_1_slant"].value > 0.9
    assert found["code_2_stroke_width"].value > 0.9
    assert found["code_1_stroke_width"].value < 0.3
    assert found["codes_slant_and_width"].value > 0.9
    assert found["codes_slant"].value > 0.9
    assert found["codes_stroke_width"].value > 0.9
    assert found["code_1_slant_monotone"].value > 0.95
    assert yardstick.confusions[0][1].tolist() == [(7 * code) % 10 for code in range(10)]
    assert "code_1_identity_kept" not in found


class Slanted(Oracle):
    """A Q that takes ones and sevens together, and tells them apart by whether they lean."""

    def read(self, images, by_batch=False):
        beliefs, *real = super().read(images, by_batch)
        labels = (7 * beliefs.argmax(axis=1)) % 10  # of the oracle's codes 3 label mod 10
        both = np.isin(labels, (1, 7))
        leans = shape.slant(images) > np.median(shape.slant(self.images[np.isin(self.labels, (1, 7))]))
        beliefs[both] = np.eye(10)[np.where(leans, 3, 1)[both]]
        return [beliefs, *real]


def test_what_tells_two_codes_apart_is_found(digits):
    system = Slanted(digits[1])
    system.images, system.labels = digits[1].images, digits[1].labels
    found = CodeScores(digits[1], 400)(system, rng())
    assert found["code_0_pair_error"].value == pytest.approx(found["code_0_error"].value)
    assert found["code_0_pair_slant"].value > 0.6
    assert found["code_0_pair_class"].value < found["code_0_pair_slant"].value
    assert 0 <= found["code_0_pair_stroke_width"].value <= 1


def test_codes_that_mean_slant_and_width_along_their_diagonals_do_so_together_only(digits):
    class Turned(Oracle):
        def sample(self, z):
            z = np.array(z)
            z[:, 13], z[:, 14] = (z[:, 13] + z[:, 14]) / 2, z[:, 14] - z[:, 13]
            return super().sample(z)

    found = CodeScores(digits[1], 400)(Turned(digits[1]), rng())
    assert found["codes_slant_and_width"].value < 0.8
    assert found["codes_slant"].value > 0.95
    assert found["codes_slant"].value > found["code_1_slant"].value + 0.1


def test_pictures_of_codes_are_drawn(digits, tmp_path):
    yardstick = CodeScores(digits[1], 50, features.load())
    found = yardstick(Oracle(digits[1]), rng())
    assert 0 <= found["code_1_identity_kept"].value <= 1
    drawn = yardstick.draw(tmp_path)
    assert [path.name for path in drawn] == ["confusion-0.png", "traversal-1.png", "traversal-2.png"]
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_faces_are_judged_by_their_true_factors():
    test = data.load("toyfaces", split="test", n=60, size=16)

    class Reader(Replay):
        def read(self, images, by_batch=False):
            return [np.eye(2)[rng().integers(2, size=len(images))], np.zeros((len(images), 2)) + 0.5]

    system = Reader(test.images, Latents(Noise(2), Categorical(2), Uniform()))
    found = CodeScores(test, 60)(system, rng())
    assert 0 <= found["mutual_information_gap"].value < 0.5
    assert "code_0_error" not in found
    assert "code_1_slant" not in found


# --- which yardsticks fit ---------------------------------------------------------------------------------------------


def of(name, shape, content=None):
    return Dataset(rng().uniform(-1, 1, (20, *shape)).astype(np.float32), None, name, "", content=content)


def test_points_of_an_unknown_law_are_not_judged():
    train = of("ring", (2,))
    with pytest.raises(
        ValueError, match="the law of ring is not known, nothing to judge points by; known are ring, grid"
    ):
        scores.fitting(Replay(None), train, None, rng())


def test_what_fits(digits):
    assert [type(y) for y in scores.fitting(Replay(None), *digits, rng(), n=50)] == [ImageScores]
    assert [type(y) for y in scores.fitting(Oracle(digits[1]), *digits, rng(), n=50)] == [ImageScores, CodeScores]
    ring = of("my-ring", (2,), "ring")
    assert [type(y) for y in scores.fitting(Replay(None), ring, None, rng(), n=50)] == [PointScores]
    stacked = of("stacked-mnist", (28, 28, 3), "stacked digits")
    assert [type(y) for y in scores.fitting(Replay(None), stacked, stacked, rng(), n=50)] == [StackedScores]
    for other in (
        of("mnist", (32, 32, 1), "digits"),
        of("fashion-mnist", (28, 28, 1)),
        of("celeba", (64, 64, 3)),
        of("mnist", (28, 28, 3), "digits"),
    ):
        (yardstick,) = scores.fitting(Replay(None), other, replace(other, images=-other.images), rng(), n=50)
        assert (type(yardstick), yardstick.features.image_shape) == (ImageScores, other.images.shape[1:])
        assert yardstick.features.name == "random"
    with pytest.raises(ValueError, match="n: expected at least 10, got 9"):
        scores.fitting(Replay(None), ring, None, rng(), n=9)


JUDGED = [name for name, p in presets.PRESETS.items() if p.image_shape[0] in (2, 28)]


@pytest.mark.parametrize("preset", JUDGED)
def test_every_system_of_digits_or_points_can_be_measured(preset, digits, monkeypatch):
    monkeypatch.setattr("minigan.scores.codes.ROWS", 1)
    small = {"width": 4} if hasattr(presets.get(preset).config, "width") else {}
    asked = replace(presets.get(preset).config, batch=16, **small)
    train, test = (of(asked.data, (2,), asked.data), None) if presets.get(preset).image_shape == (2,) else digits
    system = presets.get(preset).build(asked, train.images.shape[1:], rng())
    yardsticks = scores.fitting(system, train, test, rng(), n=20)
    for yardstick in yardsticks:
        found = yardstick(system, rng())
        assert yardstick.key in found
        assert all(isinstance(score, Score) for score in found.values())


def test_faces_are_judged_without_classes():
    train, test = (data.load("toyfaces", n=120, size=16, split=split) for split in ("train", "test"))
    (yardstick,) = scores.fitting(Replay(None), train, test, rng(), n=120)
    copied = yardstick(Replay(train.images), rng())
    assert copied["frechet_over_floor"].value == pytest.approx(1)
    assert copied["farther_than_unseen"].value < 0.01
    assert not [name for name in copied if name.startswith(("label", "confident"))]
    coarse = train.images.reshape(120, 4, 4, 4, 4, 3).mean(axis=(2, 4)).repeat(4, axis=1).repeat(4, axis=2)
    assert yardstick(Replay(coarse), rng())["frechet_over_floor"].value > 2
    assert yardstick(Replay(train.images[:3]), rng())["recall"].value < 0.2


def test_too_few_images_to_judge_by_are_told():
    few, many = of("own", (8, 8, 3)), of("own", (8, 8, 3))
    with pytest.raises(ValueError, match="data: expected at least 6 test images to measure by, 5 are here"):
        scores.fitting(Replay(None), many, few.head(5), rng())
    with pytest.raises(ValueError, match="expected at least 6 training images to measure by, 5 are here"):
        scores.fitting(Replay(None), few.head(5), many, rng())


class Lost:
    """A system whose codes nobody reads."""

    latents = Latents(Noise(1), Categorical(10))

    def __init__(self, images):
        self.images = images

    def sample(self, z):
        return self.images[: len(z)]

    def read(self, images):
        return [np.full((len(images), 10), 0.1)]


def test_codes_and_stacked_digits_are_measured_without_classes_too(digits, monkeypatch):
    monkeypatch.setattr("minigan.scores.codes.ROWS", 1)
    train, test = digits
    network = features.find("random", (28, 28, 1))
    images, codes = scores.fitting(Lost(test.images), train, test, rng(), n=20, features=network)
    assert (type(images), type(codes)) == (ImageScores, CodeScores)
    assert codes.features is None
    stacked = replace(of("stacked-mnist", (28, 28, 3), "stacked digits"), images=np.repeat(train.images, 3, axis=3))
    other = replace(stacked, images=np.repeat(test.images, 3, axis=3))
    network = features.find("random", (28, 28, 3))
    (yardstick,) = scores.fitting(Replay(None), stacked, other, rng(), n=20, features=network)
    assert yardstick(Replay(stacked.images), rng())["frechet"].value > 0


def test_no_more_is_generated_than_there_is_to_train_on(digits):
    train, test = digits
    few = train.head(30)
    yardstick = ImageScores(few, test, features.load(), 1000, rng())
    assert yardstick.n == 30
    system = Replay(few.images)
    assert yardstick(system, rng())["frechet_over_floor"].value == pytest.approx(1)
    assert system.drawn == 30


def test_test_images_that_are_the_training_images_measure_nothing():
    faces = data.load("toyfaces", n=20, size=8)
    for test, n in [(faces, 20), (faces, 10), (faces.head(7), 20)]:
        with pytest.raises(ValueError, match="data: every test image is a training image, too"):
            scores.fitting(Replay(None), faces, test, rng(), n=n)


def test_large_sets_are_looked_at_a_batch_at_a_time():
    class Counting(data.Pixels):
        taken = []

        def __getitem__(self, index):
            self.taken.append(len(range(*index.indices(len(self)))))
            return super().__getitem__(index)

    levels = rng().integers(0, 256, (600, 8, 8, 3), dtype=np.uint8)
    train, test = (replace(of("own", (8, 8, 3)), images=Counting(part)) for part in (levels[:300], levels[300:]))
    scores.fitting(Replay(None), train, test, rng(), n=20)
    assert max(Counting.taken) <= 256
    assert sum(Counting.taken) == 600


def test_a_run_is_not_measured_by_what_it_may_have_seen(tmp_path):
    (tmp_path / "own").mkdir()
    for i, image in enumerate(data.load("toyfaces", n=24, size=28).images):
        plots.save_grid(tmp_path / "own" / f"{i:02d}.png", image[None], pad=0)
    run = runs.train(config("dcgan-mnist", data=str(tmp_path / "own"), batch=8), tmp_path / "run", quiet=True)
    (tmp_path / "own" / "train").mkdir()
    (tmp_path / "own" / "test").mkdir()
    for i in range(24):
        (tmp_path / "own" / f"{i:02d}.png").rename(tmp_path / "own" / ("test" if i < 12 else "train") / f"{i}.png")
    with pytest.raises(
        ValueError, match=r"was trained on other images than the 12 that .* may have seen those to measure by"
    ):
        evaluate.evaluate(run, n=12)
    assert evaluate.evaluate(run, n=12, data=str(tmp_path / "own")).scores["frechet"].value > 0
    again = runs.train(config("dcgan-mnist", data=str(tmp_path / "own"), batch=8), tmp_path / "again", quiet=True)
    assert evaluate.evaluate(again).facts["samples"] == 12
    assert evaluate.evaluate(again, features="random", data="toyfaces", n=12).facts["data"].startswith("toyfaces")


def test_features_may_be_ones_own(digits):
    class Mean:
        name, digest = "mean", "0"

        def __call__(self, images):
            rows = images.reshape(len(images), 4, -1).mean(axis=2)
            return features.Seen(rows, rows)

    (yardstick,) = scores.fitting(Replay(None), *digits, rng(), n=50, features=Mean())
    assert yardstick(Replay(digits[1].images), rng())["frechet"].value >= 0


def test_scores_come_back_from_json():
    found = {"a": Score(1.5, 2.0, "ceiling", "more"), "b": Score(np.inf, None, error=0.1), "c": Score(np.nan)}
    text = json.dumps(scores.to_json(found), allow_nan=False)
    back = scores.from_json(json.loads(text))
    assert back["a"] == found["a"]
    assert back["b"] == found["b"]
    assert np.isnan(back["c"].value)
    assert scores.table(found).splitlines()[0] == "a           1.5  ceiling 2"


# --- minigan eval -----------------------------------------------------------------------------------------------------


def test_eval_prints_and_keeps_the_scores_of_points(tmp_path, capsys):
    run = runs.train(config("gan-2d"), tmp_path / "run", quiet=True)
    before = (run / "checkpoint.npz").read_bytes()
    assert cli.main(["eval", str(run), "--n", "200"]) == 0
    text = capsys.readouterr().out
    assert "modes" in text
    assert "real data 8" in text
    kept = json.loads((run / "eval.json").read_text())
    assert (kept["samples"], kept["iteration"], kept["preset"]) == (200, 4, "gan-2d")
    assert set(kept["scores"]) == {"modes", "good_share", "mode_kl_nats", "kl_nats", "js_nats"}
    assert (run / "checkpoint.npz").read_bytes() == before
    again = evaluate.evaluate(run, n=200)
    assert scores.to_json(again.scores) == kept["scores"]
    assert evaluate.evaluate(run, n=200, seed=1).scores != again.scores


@pytest.mark.filterwarnings("always:.*keeps no eval.json:UserWarning")
def test_numbers_that_cannot_be_kept_are_told_all_the_same(tmp_path, capsys, monkeypatch):
    run = runs.train(config("gan-2d"), tmp_path / "run", quiet=True)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("minigan.whole_file.os.replace", full)
    assert cli.main(["eval", str(run), "--n", "200"]) == 0
    printed = capsys.readouterr()
    assert "real data 8" in printed.out
    assert "run keeps no eval.json or pictures of this: No space left on device" in printed.err
    assert not list(run.glob("eval.json*"))


def test_an_error_that_is_no_number_is_not_shown():
    assert "nan" not in scores.table({"x": scores.Score(1.0, error=float("nan"))})


def test_eval_of_infogan_writes_its_pictures(tmp_path, few_digits):
    run = runs.train(config("infogan-paper"), tmp_path / "run", quiet=True)
    done = evaluate.evaluate(run, n=40)
    names = {"confusion-0.png", "traversal-1.png", "traversal-2.png", "eval.json"}
    assert names <= {path.name for path in run.iterdir()}
    assert {"frechet", "code_0_error", "code_1_slant", "code_2_information_nats"} <= set(done.scores)
    assert done.facts["features"] == str(features.load())
    assert f"features   {features.load()}" in done.describe()


def test_eval_judges_by_other_data_and_other_features(tmp_path, few_digits):
    run = runs.train(config("gan-2d"), tmp_path / "run", quiet=True)
    assert evaluate.evaluate(run, data="grid", n=50).scores["modes"].reference > 8
    run = runs.train(config("dcgan-mnist"), tmp_path / "digits", quiet=True)
    weights = tmp_path / "other.npz"
    features.save(weights, features.classifier.classifier.digits(3, rng=rng()))
    done = evaluate.evaluate(run, features=weights, n=40)
    assert done.facts["features"].startswith("other ")
    assert done.scores["frechet"].value != evaluate.evaluate(run, n=40).scores["frechet"].value


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no checkpoint at nowhere/checkpoint.npz"),
        (["{run}", "--best"], "no checkpoint at .*best.npz"),
        (["{run}", "--n", "3"], "n: expected at least 10, got 3"),
        (["{run}", "--features", "random"], "features: images have some, points of shape (2,) are measured without"),
    ],
)
def test_eval_refuses_in_one_line(tmp_path, capsys, arguments, message):
    run = runs.train(config("gan-2d", steps=1), tmp_path / "run", quiet=True)
    assert cli.main(["eval", *(a.format(run=run) for a in arguments)]) == 2
    complaint = capsys.readouterr().err
    assert message.replace(".*", "") in complaint or all(part in complaint for part in message.split(".*"))
    assert complaint.count("\n") == 1
    assert not (run / "eval.json").exists()


# --- while training ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("preset", SMALL)
def test_watching_leaves_the_weights_as_they_are_bit_for_bit(tmp_path, preset, few_digits):
    alone = runs.train(config(preset), tmp_path / "alone", quiet=True)
    watched = runs.train(config(preset, eval_every=1, eval_samples=20), tmp_path / "watched", quiet=True)
    (arrays, meta), (seen, seen_meta) = (checkpoint.load(run / "checkpoint.npz") for run in (alone, watched))
    assert arrays.keys() == seen.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(array, seen[name], err_msg=name)
    assert meta["counters"] == seen_meta["counters"]
    rows = hooks.read_log(watched / "scores.jsonl")
    assert [row["iteration"] for row in rows] == list(range(SMALL[preset]["steps"] + 1))
    assert not (alone / "scores.jsonl").exists()


def test_the_best_state_is_kept_by_the_score_that_was_named(tmp_path):
    run = runs.train(config("gan-2d", eval_every=1, best_by="kl_nats"), tmp_path / "run", quiet=True)
    rows = hooks.read_log(run / "scores.jsonl")
    best = min(rows, key=lambda row: row["kl_nats"])
    assert checkpoint.load(run / "best.npz")[1]["counters"]["iteration"] == best["iteration"]
    assert runs.load(run, "best.npz").iteration == best["iteration"]
    evaluate.evaluate(run, n=50, best=True)
    assert json.loads((run / "eval.json").read_text())["iteration"] == best["iteration"]


def test_a_resumed_training_has_the_scores_of_an_unbroken_one(tmp_path):
    whole = runs.train(config("gan-2d", eval_every=2, steps=6), tmp_path / "whole", quiet=True)
    part = runs.train(config("gan-2d", eval_every=2, steps=3), tmp_path / "part", quiet=True)
    runs.train(config("gan-2d", eval_every=2, steps=6), resume=part, quiet=True)
    assert hooks.read_log(whole / "scores.jsonl") == hooks.read_log(part / "scores.jsonl")
    one, other = (checkpoint.load(run / "best.npz") for run in (whole, part))
    assert one[1]["counters"] == other[1]["counters"]


class Scripted:
    """A yardstick that reads its values from a list."""

    def __init__(self, values, better, reference=None):
        self.values, self.better, self.reference = iter(values), better, reference

    def __call__(self, system, rng):
        return {"x": Score(next(self.values), self.reference, better=self.better)}


class Still:
    """As much of a trainer as the hook looks at."""

    iteration, failed, system = 0, False, None


@pytest.mark.parametrize(
    ("better", "values", "kept"),
    [
        ("less", [3.0, 2.0, 2.5, 1.0, 1.0], [0, 1, 3]),
        ("more", [3.0, 2.0, 2.5, 4.0, 1.0], [0, 3]),
        ("less", [np.nan, 2.0, np.nan, 1.0, np.inf], [1, 3]),
        (None, [1.0, 0.6, 0.3, 0.45, 0.02], [0, 1, 3]),  # near 0.5
    ],
)
def test_only_a_better_state_replaces_the_best(tmp_path, monkeypatch, better, values, kept):
    saved = []
    monkeypatch.setattr(checkpoint, "save", lambda path, trainer, config, chosen: saved.append(trainer.iteration))
    hook = Evaluate(
        None, [Scripted(values, better, 0.5)], tmp_path / "s.jsonl", tmp_path / "b.npz", {}, every=1, by="x"
    )
    trainer = Still()
    hook.start(trainer)
    for trainer.iteration in range(1, 5):
        hook.after_step(trainer, {})
    hook.stop(trainer)
    assert saved == kept
    assert [row["iteration"] for row in hooks.read_log(tmp_path / "s.jsonl")] == [0, 1, 2, 3, 4]


def best_of(folder, values, iterations, by="x", resumed=0, reference=1.0, **config):
    """Iterations at which a training keeps the best, saved as it does, each for each of these values."""
    kept = []

    class Saving(Still):
        def state_dict(self):
            kept.append(self.iteration)
            return {}, {"iteration": self.iteration}

        images = np.zeros((1, 2))
        batches = type("Batches", (), {"labels": None})

    yardstick = Scripted(values, "less", reference)
    other = lambda system, rng: {"y": yardstick(system, rng)["x"]}  # noqa: E731
    paths = folder / "s.jsonl", folder / "b.npz"
    hook = Evaluate(None, [yardstick if by == "x" else other], *paths, config, every=100, by=by)
    trainer = Saving()
    trainer.iteration = resumed
    hook.start(trainer)
    for trainer.iteration in iterations:
        if trainer.iteration % 100 == 0:
            hook.after_step(trainer, {})
        else:
            hook.stop(trainer)
    return kept


def test_the_best_of_a_broken_training_stays_the_best(tmp_path):
    assert best_of(tmp_path, [9.0, 5.0, 2.0], iterations=[100, 150]) == [0, 100, 150]
    assert best_of(tmp_path, [7.0, 6.0, 1.0], iterations=[200, 300], resumed=150) == [300]


@pytest.mark.parametrize("changed", [{"by": "y"}, {"eval_samples": 9}, {"reference": 2.0}])
def test_a_best_that_was_chosen_otherwise_is_told_and_sought_anew(tmp_path, changed):
    assert best_of(tmp_path, [9.0, 1.0], iterations=[100]) == [0, 100]
    with pytest.warns(UserWarning, match=r"b\.npz was chosen otherwise; the best is sought anew"):
        assert best_of(tmp_path, [7.0, 6.0, 8.0], iterations=[200, 300], resumed=100, **changed) == [200]


def test_a_best_whose_reference_was_not_kept_stays_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluate, "_how", {"by": "x", "eval_samples": None})
    assert best_of(tmp_path, [9.0, 5.0], iterations=[100]) == [0, 100]
    monkeypatch.undo()
    assert best_of(tmp_path, [7.0, 6.0, 1.0], iterations=[200, 300], resumed=100, reference=0.5) == [300]


def test_a_score_without_an_ideal_chooses_nothing(tmp_path):
    with pytest.raises(ValueError, match="best_by: x tells something, but no value of it is better than another"):
        Evaluate(None, [Scripted([1.0], None)], tmp_path / "s", tmp_path / "b", {}, every=1, by="x")
    with pytest.raises(ValueError, match="best_by: js_nats is measured every --eval-every iterations only"):
        config("gan-2d", best_by="js_nats")


def test_an_unknown_score_is_told_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="best_by: 'js_nat' is not measured here; did you mean js_nats"):
        runs.train(config("gan-2d", eval_every=1, best_by="js_nat"), tmp_path / "run", quiet=True)
    np.save(tmp_path / "ring.npy", np.zeros((20, 2)))
    with pytest.raises(ValueError, match="the law of ring is not known"):
        runs.prepare(config("gan-2d", eval_every=1, data=str(tmp_path / "ring.npy")), tmp_path / "other")
    Image.new("L", (28, 28)).save(tmp_path / "one.png")
    with pytest.raises(
        ValueError, match="has no test set, which a measure needs; put some of its pictures in a folder test"
    ):
        runs.prepare(config("dcgan-mnist", eval_every=1, batch=1, data=str(tmp_path)), tmp_path / "other")
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"eval_every": -1}, "eval_every: must be at least 0, got -1"),
        ({"eval_samples": 5}, "eval_samples: must be at least 10, got 5"),
    ],
)
def test_config_checks_what_is_asked(changes, message):
    with pytest.raises(ValueError, match=message):
        config("gan-2d", **changes)


def test_a_confusion_matrix_is_drawn(tmp_path):
    counts = np.diag(np.arange(1, 4)) + np.eye(3, dtype=int)[::-1]
    path = plots.save_confusion(tmp_path / "c.png", counts, np.array([2, -1, 0]))
    assert path.read_bytes().startswith(b"\x89PNG")
