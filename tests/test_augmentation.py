"""Generated digits are weighed fairly: same real digits, same updates, a cgan that saw nothing else."""

import json

import numpy as np
import pytest

from benchmarks import augmentation
from minigan import data

QUICK = ["--sizes", "70", "--gan-steps", "2", "--width", "4", "--updates", "2"]


def test_a_few_digits_are_as_many_of_each_class():
    train = data.load("mnist-10k")
    images, labels = augmentation.few(train, 70, np.random.default_rng(0))
    assert np.bincount(labels).tolist() == [7] * 10
    other, _ = augmentation.few(train, 70, np.random.default_rng(1))
    assert not np.array_equal(images, other)


def test_each_way_adds_what_it_says():
    train = data.load("mnist-10k", n=200)
    system = augmentation.train_cgan(train.images, train.labels, width=4, steps=1, seed=0)
    x, y = train.images[:8], train.labels[:8]
    ways = augmentation.ways(system)
    assert ways["real"](x, y, np.random.default_rng(0)) is None
    made, asked = ways["generated"](x, y, np.random.default_rng(0))
    z = system.latents.sample(np.random.default_rng(0), 8)
    np.testing.assert_array_equal(made, system.sample(z))
    np.testing.assert_array_equal(asked, z[:, 100:].argmax(axis=1))
    bent, same = ways["distorted"](x, y, np.random.default_rng(0))
    assert bent.dtype == np.float32
    np.testing.assert_array_equal(same, y)
    assert np.abs(bent - x).max() > 0.5


def test_a_classifier_learns_and_its_accuracy_is_counted():
    train = data.load("mnist-10k", n=300)
    options = {"lr": 2e-3, "seed": 0}
    nothing = augmentation.ways(None)["real"]
    before, after = (
        augmentation.accuracy(
            augmentation.train_classifier(train.images, train.labels, nothing, updates=n, **options), train
        )
        for n in (0, 12)
    )
    assert before < 0.3
    assert after > 0.6


def test_what_was_measured_is_kept_and_not_measured_again(tmp_path, capsys, monkeypatch):
    out = tmp_path / "new" / "augmentation.json"
    augmentation.main([*QUICK, "--seeds", "1", "--out", str(out)])
    first = json.loads(out.read_text())["measured"]
    assert first[0]["accuracy"].keys() == {"real", "generated", "distorted"}
    assert "gain by generated" in capsys.readouterr().out
    calls = []
    monkeypatch.setattr(
        augmentation, "measure", lambda *a: calls.append(a[2:4]) or dict.fromkeys(first[0]["accuracy"], 0.5)
    )
    augmentation.main([*QUICK, "--seeds", "2", "--out", str(out)])
    assert calls == [(70, 1)]
    assert json.loads(out.read_text())["measured"][0] == first[0]
    assert capsys.readouterr().out.splitlines()[-1].split()[:2] == ["70", "2"]


def test_sizes_that_cannot_be_split_are_refused(capsys):
    with pytest.raises(SystemExit):
        augmentation.main(["--sizes", "75"])
    assert "--sizes: expected multiples of 10 of at least 64, got 75" in capsys.readouterr().err
