"""What random features are held against: spoilt digits are spoilt as said, and orders compare as Spearman's do."""

import json

import numpy as np
import pytest

from benchmarks import features
from minigan import data


def test_digits_are_spoilt_as_it_is_said():
    train = data.load("mnist-10k")
    sets = features.faults(train.images, train.labels, 100)
    assert all(images.shape == (100, 28, 28, 1) and images.dtype == np.float32 for images in sets.values())
    assert len(np.unique(sets["a twentieth of them, repeated"].reshape(100, -1), axis=0)) == 5
    kept = {image.tobytes() for image in train.images[train.labels >= 5]}
    assert not kept & {image.tobytes() for image in sets["no digit above 4"]}
    np.testing.assert_allclose(sets["blurred, 3 x 3"].mean(), sets["training digits"].mean(), rtol=1e-5)


def test_orders_are_compared_by_rank():
    def rows(digits, random):
        return {
            str(i): {"digits": {"frechet_over_floor": a}, "random": {"frechet_over_floor": b}}
            for i, (a, b) in enumerate(zip(digits, random, strict=True))
        }

    assert features.agreement(rows([1, 2, 3], [1, 10, 100]), "012") == pytest.approx(1)
    assert features.agreement(rows([1, 2, 3], [3, 2, 1]), "012") == pytest.approx(-1)
    assert features.agreement(rows([1, 2, 3], [1, 3, 2]), "012") == pytest.approx(0.5)


def test_trainings_are_measured_and_kept(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(features, "TRAININGS", {"gan, 1": ("gan", {"steps": 1}), "mmd, 1": ("mmd", {"steps": 1})})
    asked = ["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "results" / "features.json"), "--n", "40"]
    features.main(asked)
    found = json.loads((tmp_path / "results" / "features.json").read_text())
    assert found["sets"]["gan, 1"]["random"]["frechet_over_floor"] > 5
    assert (
        found["sets"]["no digit above 4"]["digits"]["coverage"] < found["sets"]["training digits"]["digits"]["coverage"]
    )
    assert "Spearman" in capsys.readouterr().out
    trained = (tmp_path / "runs" / "gan-1" / "checkpoint.npz").stat().st_mtime_ns
    features.main(asked)
    assert (tmp_path / "runs" / "gan-1" / "checkpoint.npz").stat().st_mtime_ns == trained
    with pytest.raises(SystemExit):
        features.main([*asked[:-1], "19"])
