"""So that a run is judged by what fits it, the judging changes nothing of it, and the best state is kept."""

import errno
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from minigan import cli, data, evaluate, features, plots, presets, runs, scores
from minigan.scores.score import Score
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
    load = data.load
    monkeypatch.setattr("minigan.scores.codes.ROWS", 1)

    def load_few(name, *, split="train", **shape):
        return digits[split == "test"] if name == "mnist-10k" else load(name, split=split, **shape)

    monkeypatch.setattr(data, "load", load_few)


def config(preset, **changes):
    return replace(presets.get(preset).config, **(QUICK | SMALL[preset] | changes))


def rng():
    return np.random.default_rng(0)


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


@pytest.mark.filterwarnings("always:could not write eval.json:UserWarning")
def test_numbers_that_cannot_be_kept_are_told_all_the_same(tmp_path, capsys, monkeypatch):
    run = runs.train(config("gan-2d"), tmp_path / "run", quiet=True)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("minigan.whole_file.os.replace", full)
    assert cli.main(["eval", str(run), "--n", "200"]) == 0
    printed = capsys.readouterr()
    assert "real data 8" in printed.out
    assert f"could not write eval.json or pictures to {run}: No space left on device" in printed.err
    assert not list(run.glob("eval.json*"))


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
        (["{run}", "--features", "random"], "features: expected none for points of shape (2,), got random"),
    ],
)
def test_eval_refuses_in_one_line(tmp_path, capsys, arguments, message):
    run = runs.train(config("gan-2d", steps=1), tmp_path / "run", quiet=True)
    assert cli.main(["eval", *(a.format(run=run) for a in arguments)]) == 2
    complaint = capsys.readouterr().err
    assert message.replace(".*", "") in complaint or all(part in complaint for part in message.split(".*"))
    assert complaint.count("\n") == 1
    assert not (run / "eval.json").exists()


def test_a_run_is_not_measured_by_what_it_may_have_seen(tmp_path):
    (tmp_path / "own").mkdir()
    for i, image in enumerate(data.load("toyfaces", n=24, size=28).images):
        plots.save_grid(tmp_path / "own" / f"{i:02d}.png", image[None], pad=0)
    run = runs.train(config("dcgan-mnist", data=str(tmp_path / "own"), batch=8), tmp_path / "run", quiet=True)
    (tmp_path / "own" / "train").mkdir()
    (tmp_path / "own" / "test").mkdir()
    for i in range(24):
        (tmp_path / "own" / f"{i:02d}.png").rename(tmp_path / "own" / ("test" if i < 12 else "train") / f"{i}.png")
    with pytest.raises(ValueError, match=r"was trained on, got 12 others from .* may have seen the test images"):
        evaluate.evaluate(run, n=12)
    assert evaluate.evaluate(run, n=12, data=str(tmp_path / "own")).scores["frechet"].value > 0
    again = runs.train(config("dcgan-mnist", data=str(tmp_path / "own"), batch=8), tmp_path / "again", quiet=True)
    assert evaluate.evaluate(again).facts["samples"] == 12
    assert evaluate.evaluate(again, features="random", data="toyfaces", n=12).facts["data"].startswith("toyfaces")


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

        images, device = np.zeros((1, 2)), None
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
    with pytest.warns(UserWarning, match=r"b\.npz was chosen by other criteria; the search for the best starts over"):
        assert best_of(tmp_path, [7.0, 6.0, 8.0], iterations=[200, 300], resumed=100, **changed) == [200]


def test_a_best_whose_reference_was_not_kept_stays_the_best(tmp_path, monkeypatch):
    monkeypatch.setattr(Evaluate, "_how", {"by": "x", "eval_samples": None})
    assert best_of(tmp_path, [9.0, 5.0], iterations=[100]) == [0, 100]
    monkeypatch.undo()
    assert best_of(tmp_path, [7.0, 6.0, 1.0], iterations=[200, 300], resumed=100, reference=0.5) == [300]


def test_a_score_without_an_ideal_chooses_nothing(tmp_path):
    with pytest.raises(ValueError, match="best_by: expected a score that can be good or bad, got x"):
        Evaluate(None, [Scripted([1.0], None)], tmp_path / "s", tmp_path / "b", {}, every=1, by="x")
    with pytest.raises(ValueError, match="best_by: js_nats is only measured with --eval-every"):
        config("gan-2d", best_by="js_nats")


def test_an_unknown_score_is_told_before_any_work(tmp_path):
    with pytest.raises(ValueError, match="best_by: 'js_nat' is not measured here; did you mean js_nats"):
        runs.train(config("gan-2d", eval_every=1, best_by="js_nat"), tmp_path / "run", quiet=True)
    np.save(tmp_path / "ring.npy", np.zeros((20, 2)))
    with pytest.raises(ValueError, match="expected points of a known distribution"):
        runs.prepare(config("gan-2d", eval_every=1, data=str(tmp_path / "ring.npy")), tmp_path / "other")
    Image.new("L", (28, 28)).save(tmp_path / "one.png")
    with pytest.raises(
        ValueError, match="has no test set, which evaluation needs; move some of its pictures to a subfolder test"
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
