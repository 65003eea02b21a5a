"""So that every yardstick says what is known where the answer is known, and each system is given those that fit."""

import json
from dataclasses import replace

import numpy as np
import pytest

from minigan import data, features, presets, scores
from minigan.data import Dataset, toy2d
from minigan.latents import Categorical, Gaussian, Label, Latents, Noise, Uniform
from minigan.metrics import shape
from minigan.scores.codes import CodeScores
from minigan.scores.images import ImageScores
from minigan.scores.points import PointScores
from minigan.scores.score import Score
from minigan.scores.stacked import StackedScores
from minigan.scores.told import ToldScores
from minigan.training.systems import System

FEW = 120


@pytest.fixture(scope="module")
def digits():
    """A few training and test digits."""
    return tuple(data.load("mnist-10k", split=split).head(FEW) for split in ("train", "test"))


def rng():
    return np.random.default_rng(0)


class Replay(System):
    """A system that draws given images, whatever the latents are."""

    def __init__(self, images, latents=None):
        super().__init__({}, {}, latents or Latents(Noise(1)), batch=1)
        self.images, self.drawn = images, 0

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
    for name in ("ring", "grid", "line"):
        law = toy2d.DISTRIBUTIONS[name]()
        found = PointScores(law, 1000, rng())(Replay(law.sample(rng(), 1000)), rng())
        assert all(score.value == pytest.approx(score.reference, abs=1e-6) for score in found.values())
        assert ("modes" in found) == (name != "line")
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
    assert not [name for name in found if "_pair_" in name and name != "code_0_pair_error"]  # no class is confused


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
    with pytest.raises(ValueError, match=r"data: expected points of a known distribution \(ring, .*\), got ring"):
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
    with pytest.raises(ValueError, match="data: expected at least 6 test images to compare with, got 5"):
        scores.fitting(Replay(None), many, few.head(5), rng())
    with pytest.raises(ValueError, match="expected at least 6 training images to compare with, got 5"):
        scores.fitting(Replay(None), few.head(5), many, rng())


class Lost(System):
    """A system whose codes nobody reads."""

    def __init__(self, images):
        super().__init__({}, {}, Latents(Noise(1), Categorical(10)), batch=1)
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
        with pytest.raises(ValueError, match="data: expected held-out test images"):
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


def test_an_error_that_is_no_number_is_not_shown():
    assert "nan" not in scores.table({"x": scores.Score(1.0, error=float("nan"))})
