"""So that the network that measures the digits is the one that was published, and reads as well as it is said to."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import train_classifier
from minigan import data, features, metrics
from minigan.models import classifier

RESULT = json.loads(train_classifier.RESULT.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def digits():
    return features.load()


@pytest.fixture(scope="module")
def test_set():
    return data.load("mnist-10k", split="test")


def test_the_weights_are_those_that_were_measured(digits):
    content = features.DIGITS.read_bytes()
    assert hashlib.sha256(content).hexdigest().startswith(RESULT["sha256"])
    assert str(digits) == f"digits {RESULT['sha256']}"
    assert len(content) == RESULT["bytes"] < 1e6
    assert RESULT["test_images"] == 10_000
    assert RESULT["test_accuracy"] >= 0.992


def test_the_classifier_reads_the_embedded_test_digits(digits, test_set):
    seen = digits(test_set.images)
    assert seen.features.shape == (2000, classifier.FEATURES)
    assert seen.features.dtype == seen.logits.dtype == np.float32
    assert (seen.logits.argmax(axis=1) == test_set.labels).mean() >= 0.992


def test_what_is_seen_does_not_depend_on_the_company(digits, test_set):
    few, many = digits(test_set.images[:3]), digits(test_set.images[:300])
    np.testing.assert_allclose(few.features, many.features[:3], atol=1e-4)


@pytest.mark.parametrize("name", ["digits", "random"])
def test_the_frechet_distance_grows_with_every_corruption(name, test_set):
    """Six corruptions (after dfaroughy's FID-MNIST), each at three strengths: the distance must follow."""
    network = features.find(name, (28, 28, 1))
    images, rng = test_set.images[:400], np.random.default_rng(0)
    noise, order = rng.standard_normal(images.shape, np.float32), rng.permutation(784)
    rows = np.arange(28)[:, None, None]

    def blurred(times):
        x = images
        for _ in range(times):
            x = sum(np.roll(x, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)) / np.float32(9)
        return x

    def swapped(count):
        x = images.reshape(-1, 784).copy()
        x[:, np.sort(order[:count])] = x[:, order[:count]]
        return x.reshape(images.shape)

    def coarse(size):
        x = images[:, : 28 // size * size, : 28 // size * size]
        mean = x.reshape(len(x), 28 // size, size, 28 // size, size, 1).mean(axis=(2, 4))
        x = mean.repeat(size, axis=1).repeat(size, axis=2)
        return np.pad(x, ((0, 0), (0, 28 - x.shape[1]), (0, 28 - x.shape[2]), (0, 0)), constant_values=-1)

    corruptions = {
        "noise": [np.clip(images + s * noise, -1, 1) for s in (0.2, 0.5, 1.0)],
        "blur": [blurred(times) for times in (1, 2, 4)],
        "black rows": [np.where(rows < n, np.float32(-1), images) for n in (8, 12, 16)],
        "swapped pixels": [swapped(n) for n in (30, 120, 400)],
        "coarse pixels": [coarse(size) for size in (2, 4, 7)],
        "shifted": [np.roll(images, n, axis=2) for n in (2, 4, 8)],
    }
    real = network(images).features
    for corruption, strengths in corruptions.items():
        distances = [metrics.frechet.distance(real, network(x.astype(np.float32)).features) for x in strengths]
        assert 0 < distances[0] < distances[1] < distances[2], (corruption, distances)


@pytest.mark.parametrize("shape", [(2, 3, 1), (28, 28, 1), (64, 48, 3), (128, 128, 3)])
def test_random_features_fit_images_of_any_shape(shape):
    network = features.RandomFeatures(shape)
    images = np.random.default_rng(0).uniform(-1, 1, (300, *shape)).astype(np.float32)[: 300 if shape[0] < 64 else 3]
    seen = network(images)
    assert seen.features.shape == (len(images), 256)
    assert seen.features.dtype == np.float32
    assert seen.logits is None
    np.testing.assert_allclose(network(images[1:3]).features, seen.features[1:3], atol=1e-4)


def test_random_features_are_always_the_same():
    """What they are is part of every score: other layers, weights or pooling would change these numbers."""
    network = features.RandomFeatures((12, 12, 3))
    images = np.linspace(-1, 1, 2 * 12 * 12 * 3, dtype=np.float32).reshape(2, 12, 12, 3)
    assert network.digest == "bab4ba323eb6"
    np.testing.assert_allclose(
        network(images).features[:, :4],
        [[0.7892, 0.03808, 0.08139, 0.16315], [-0.09405, 0.00629, -0.19081, 0.18042]],
        rtol=1e-3,
    )


def test_names_and_files_of_features(tmp_path, monkeypatch):
    assert str(features.find("digits", (28, 28, 1))) == str(features.load())
    monkeypatch.setenv("HOME", str(features.DIGITS.parent))
    assert str(features.find(f"~/{features.DIGITS.name}", (28, 28, 1))) == str(features.load())
    assert features.find("random", (8, 8, 3)).image_shape == (8, 8, 3)
    with pytest.raises(FileNotFoundError, match="features: expected digits, random or a file of weights, got Random"):
        features.find("Random", (8, 8, 3))
    with pytest.raises(FileNotFoundError, match="features: expected digits, random or a file"):
        features.find(tmp_path, (8, 8, 3))
    with pytest.raises(ValueError, match=r"features: expected none for points of shape \(2,\), got random"):
        features.find("random", (2,))


def test_random_features_are_decided_by_their_seed():
    first, again, other = (features.RandomFeatures((8, 8, 3), seed) for seed in (0, 0, 1))
    assert str(first) == str(again) == f"random {first.digest}"
    assert first.digest != other.digest
    with pytest.raises(
        ValueError, match=r"images: expected shape \(N, 8, 8, 3\) with N >= 1 for random, got \(2, 8, 8, 1\)"
    ):
        first(np.zeros((2, 8, 8, 1), np.float32))
    with pytest.raises(ValueError, match=r"image_shape: expected images of at least 2 x 2 pixels, got \(1, 8, 3\)"):
        features.RandomFeatures((1, 8, 3))


def test_weights_come_back_in_half_precision(tmp_path):
    network = classifier.digits(4, rng=np.random.default_rng(0))
    features.save(tmp_path / "four.npz", network)
    loaded = features.load(tmp_path / "four.npz")
    assert loaded.classes == 4
    assert loaded.name == "four"
    for name, array in network.state_dict().items():
        np.testing.assert_array_equal(loaded.network.state_dict()[name], array.astype(np.float16))
    assert loaded(np.zeros((1, 28, 28, 1), np.float32)).logits.shape == (1, 4)


def test_weights_that_half_precision_cannot_hold_are_not_written(tmp_path):
    network = classifier.digits(rng=np.random.default_rng(0))
    network.trunk.layers[1].running_var[3] = 1e5
    with (
        np.errstate(over="ignore"),
        pytest.raises(ValueError, match=r"network: trunk\.1\.running_var cannot be stored in half precision"),
    ):
        features.save(tmp_path / "w.npz", network)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected a classifier's weights in"),
        (b"PK\x03\x04 half", "expected a classifier's weights in"),
        ({"w": np.zeros((2, 2))}, r"no head\.0\.w of shape \(F, K\)"),
        ({"head.0.w": np.zeros((5, 2))}, r"missing trunk\.0\.w"),
    ],
)
def test_a_file_without_weights_is_told(tmp_path, content, message):
    path = tmp_path / "w.npz"
    if isinstance(content, dict):
        np.savez(path, **content)
    else:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        features.load(path)
    with pytest.raises(FileNotFoundError, match=r"features: no file .*none\.npz"):
        features.load(tmp_path / "none.npz")


@pytest.mark.parametrize("shape", [(0, 28, 28, 1), (2, 28, 28, 3), (2, 32, 32, 1)])
def test_images_of_another_shape_are_refused(digits, shape):
    with pytest.raises(ValueError, match=r"images: expected shape \(N, 28, 28, 1\) with N >= 1 for digits, got"):
        digits(np.zeros(shape, np.float32))


def test_training_a_classifier_writes_weights_and_counts_their_errors(tmp_path, monkeypatch, capsys):
    few = {split: data.load("mnist-10k", split=split).head(200) for split in ("train", "test")}
    monkeypatch.setattr(train_classifier.data, "load", lambda name, split: few[split])
    out, result = tmp_path / "new" / "w.npz", tmp_path / "result.json"
    train_classifier.main(["--epochs", "2", "--batch", "20", "--out", str(out), "--result", str(result)])
    counted = json.loads(result.read_text())
    wrong = (features.load(out)(few["test"].images).logits.argmax(axis=1) != few["test"].labels).sum()
    assert counted["test_errors"] == wrong
    assert counted["sha256"] == features.load(out).digest
    assert counted["bytes"] == Path(out).stat().st_size
    assert counted["test_accuracy"] > 0.2
    assert "epoch 2 of 2" in capsys.readouterr().out


def test_distortions_move_the_digits_a_little():
    images = data.load("mnist-10k", split="test").images[:64]
    moved = train_classifier.distort(images, np.random.default_rng(0))
    assert moved.shape == images.shape
    assert moved.dtype == np.float32
    assert moved.min() >= -1
    assert moved.max() <= 1
    assert 0.05 < np.abs(moved - images).mean() < 0.3


def test_an_undistorted_distortion_is_the_image(monkeypatch):
    for name in ("ROTATION", "SHEAR", "GROWTH", "SHIFT"):
        monkeypatch.setattr(train_classifier, name, 0.0)
    images = data.load("mnist-10k", split="test").images[:8]
    np.testing.assert_allclose(train_classifier.distort(images, np.random.default_rng(0)), images, atol=1e-5)
