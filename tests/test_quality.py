"""So that the quality table holds every run there was, failed ones too, and says no more than was measured."""

import json
import signal
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import quality, recipes, tables, verdicts
from benchmarks.recipes import Goal, Recipe
from minigan import presets, runs
from minigan.runs.lock import Lock
from minigan.training import checkpoint
from minigan.training.trainer import random_streams

GOALS = (Goal("js_nats", "less", 0.7, 0.01), Goal("modes", "more", 8, share=0.9, published="7.9 (them)"))
TINY = Recipe("tiny", "gan-2d", GOALS, {"data": "ring", "steps": 3, "width": 8, "batch": 16, "samples": 20}, 2, 100)


@pytest.fixture(autouse=True)
def one_recipe(monkeypatch):
    monkeypatch.setattr(quality, "by_name", lambda: {"tiny": TINY})
    monkeypatch.setattr(quality, "named", lambda names: [TINY for _ in names])


@pytest.fixture
def go(tmp_path):
    """Run the program; what it has written after that."""

    def run(*arguments):
        status = quality.main(["--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "q.json"), *arguments])
        return status, quality.read(tmp_path / "q.json")

    return run


def seeds_of(entries):
    return [entry["seed"] for entry in entries]


def test_recipes_are_trained_measured_and_kept(go, tmp_path, capsys):
    status, entries = go("--seeds", "2")
    assert status == 0
    assert seeds_of(entries) == [0, 1]
    entry = entries[0]
    assert entry["recipe"] == "tiny"
    assert entry["iteration"] == entry["config"]["steps"] == 3
    assert entry["scores"]["modes"]["reference"] == 8
    assert entry["train_seconds"] > 0
    assert entry["machine"]["cores"] >= 1
    assert str(tmp_path) not in json.dumps(entries)
    assert "tiny, 2 seeds" in capsys.readouterr().out


def test_what_is_there_is_skipped_and_what_is_missing_is_added(go, monkeypatch):
    go("--seeds", "1")
    trained = []
    prepare = runs.prepare

    def noted(config, *arguments, **options):
        trained.append(config.seed)
        return prepare(config, *arguments, **options)

    monkeypatch.setattr(runs, "prepare", noted)
    assert seeds_of(go("--seeds", "2")[1]) == [0, 1]
    assert seeds_of(go("--first-seed", "4", "--seeds", "1")[1]) == [0, 1, 4]
    assert trained == [1, 4]


def test_a_finished_run_is_only_measured_and_a_cut_one_goes_on(go, tmp_path, monkeypatch):
    whole, cut = tmp_path / "runs" / "tiny-0", tmp_path / "runs" / "tiny-1"
    runs.train(TINY.config(0), whole, quiet=True)
    runs.train(replace(TINY.config(1), steps=2), cut, quiet=True)
    before = (whole / "checkpoint.npz").read_bytes()
    _, entries = go("--seeds", "2")
    assert [entry["iteration"] for entry in entries] == [3, 3]
    assert (whole / "checkpoint.npz").read_bytes() == before
    unbroken = runs.train(TINY.config(1), tmp_path / "unbroken", quiet=True)
    one, other = (checkpoint.load(folder / "checkpoint.npz")[0] for folder in (cut, unbroken))
    for name, array in one.items():
        np.testing.assert_array_equal(array, other[name], err_msg=name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 9}, "holds another run: width is 9, the recipe's 8"),
        ({"seed": 5}, "holds another run: seed is 5, the recipe's 0"),
    ],
)
def test_a_folder_of_another_run_is_left_alone(go, tmp_path, capsys, changes, message):
    folder = runs.train(replace(TINY.config(0), **changes), tmp_path / "runs" / "tiny-0", quiet=True)
    before = (folder / "checkpoint.npz").read_bytes()
    status, entries = go("--seeds", "1")
    assert (status, entries) == (1, [])
    assert message in capsys.readouterr().out
    assert (folder / "checkpoint.npz").read_bytes() == before


def test_a_run_that_another_process_trains_is_left_alone(go, tmp_path, capsys):
    folder = runs.train(replace(TINY.config(0), steps=2), tmp_path / "runs" / "tiny-0", quiet=True)
    lock = Lock(folder)
    assert go("--seeds", "1") == (1, [])
    assert f"another process is training in {folder}" in capsys.readouterr().out
    lock.release()
    assert go("--seeds", "1")[0] == 0


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_anew(go, tmp_path):
    folder = tmp_path / "runs" / "tiny-0"
    folder.mkdir(parents=True)
    runs.folder.write_config(folder, TINY.config(0))
    with pytest.warns(UserWarning, match="begins anew from its config"):
        assert go("--seeds", "1")[0] == 0
    assert runs.load(folder).iteration == TINY.config(0).steps


def test_a_diverged_training_is_an_entry_too(go, tmp_path, monkeypatch, capsys):
    def diverge(config, out=None, **options):
        out.mkdir(parents=True)
        runs.folder.write_config(out, config)
        raise FloatingPointError(f"loss_d is nan after iteration 7; the previous checkpoint is kept: {out}")

    monkeypatch.setattr(runs, "prepare", diverge)
    status, (entry,) = go("--seeds", "1")
    assert status == 0
    assert entry["failure"] == "loss_d is nan after iteration 7"
    assert entry["scores"] == {}
    shown = capsys.readouterr().out
    assert "tiny, 1 seed, 1 failed" in shown
    assert "tiny, seed 0: loss_d is nan" in shown


def test_entries_of_one_run_commit_and_machine_replace_each_other(tmp_path):
    path = tmp_path / "new" / "q.json"
    entry = {"recipe": "r", "seed": 0, "commit": "a", "machine": {"cpu": "x"}, "n": 1}
    for changes in ({}, {"n": 2}, {"commit": "b"}, {"machine": {"cpu": "y"}}, {"seed": 1}):
        quality.append(entry | changes, path)
    assert [(e["commit"], e["machine"]["cpu"], e["seed"], e["n"]) for e in quality.read(path)] == [
        ("a", "x", 0, 2),
        ("b", "x", 0, 1),
        ("a", "y", 0, 1),
        ("a", "x", 1, 1),
    ]
    assert [found.name for found in path.parent.iterdir()] == ["q.json"]


@pytest.mark.parametrize(("reason", "gpus"), [("no GPU", []), (None, ["a card"])])
def test_an_entry_names_the_gpu_that_trains(reason, gpus, monkeypatch):
    monkeypatch.setattr(quality.device, "unavailable", lambda name: reason)
    monkeypatch.setattr(quality.gpu, "describe", lambda: {"gpu": "a card"})
    assert [value for name, value in quality.machine().items() if name == "gpu"] == gpus


def test_measuring_again_is_possible(go):
    first = go("--seeds", "1")[1]
    assert go("--seeds", "1", "--again")[1][0]["scores"] == first[0]["scores"]


def test_a_run_of_a_system_that_takes_labels_is_found_to_be_done(tmp_path):
    changes = {"steps": 1, "width": 4, "batch": 8, "samples": 20}
    recipe = Recipe("told", "cgan", (), changes)
    assert quality.train(recipe, 0, tmp_path / "run") is None
    assert quality.is_done(tmp_path / "run", recipe.config(0))


def test_lists_and_tables_do_no_work(go, capsys):
    assert go("--list") == (0, [])
    assert "tiny: gan-2d, 3 iterations, 2 seeds; data=ring" in capsys.readouterr().out
    assert go("--table") == (0, [])
    assert "nothing has been measured yet" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "tyni"], "no recipe 'tyni'; did you mean tiny"),
        (["--only", "x"], "no recipe 'x'; there are tiny"),
        (["--seeds", "0"], "--seeds: expected at least 1, got 0"),
    ],
)
def test_wrong_arguments_are_told(go, capsys, arguments, message):
    with pytest.raises(SystemExit):
        go(*arguments)
    assert message in capsys.readouterr().err


# --- recipes and verdicts ---------------------------------------------------------------------------------------------


ALL = [*recipes.RECIPES, *recipes.named(recipes.GROUPS)]


@pytest.mark.parametrize("recipe", ALL, ids=lambda recipe: recipe.name)
def test_every_recipe_has_a_config_of_its_own_seed(recipe):
    assert recipe.config(3).seed == 3
    assert recipe.config(3).preset == recipe.preset
    assert recipe.goals


def test_recipes_have_names_of_their_own():
    assert len(recipes.by_name()) == len(ALL)
    assert not recipes.by_name().keys() & recipes.GROUPS.keys()


OWN_LATENTS = {"codes": presets.get("infogan-paper").config.codes}  # other codes are other columns of g's first layer


@pytest.mark.parametrize("group", recipes.GROUPS)
def test_a_group_compares_the_same_networks_for_as_many_updates_of_g(group):
    built = []
    for recipe in recipes.named([group]):
        config = replace(recipe.config(0), **{k: v for k, v in OWN_LATENTS.items() if k in recipe.changes})
        preset = presets.get(recipe.preset)
        system = preset.build(config, preset.default_shape, random_streams(0)["init"])
        built.append((config.steps, config.epochs, config.batch, sum(p.size for p in system.g.parameters())))
    assert len(built) > 1
    assert len(set(built)) == 1


def test_a_group_is_shown_a_line_a_recipe(tmp_path, monkeypatch):
    group = [replace(TINY, name=f"some-{name}") for name in ("one", "two", "other")]
    group[1] = replace(group[1], goals=GOALS[1:])
    monkeypatch.setattr(tables, "GROUPS", {"some": group})
    machine = {"cpu": "a cpu", "cores": 2, "python": "3.11", "libraries": {}, "blas": "a blas 1"}
    more = {"recipe": "some-one", "machine": machine, "train_seconds": 90.0}
    entries = [entry(0, 8) | more, entry(1, 4, failure="nan") | more]
    entries.append(entry(0, 7) | more | {"recipe": "some-two"})
    (tmp_path / "quality.json").write_text(json.dumps({"entries": entries}))
    lines = tables.render("compared some", tmp_path).splitlines()
    assert lines[0] == "|  | js_nats | modes | failed |"
    assert lines[2] == "| `one` | inf [0.5, inf] | -inf [-inf, 8] | 1 of 2 |"
    assert lines[3] == "| `two` |  | 7 [7, 7] | 0 of 1 |"  # it does not ask for the other score
    assert "other" not in "".join(lines)
    with pytest.raises(ValueError, match="no group 'same'; there are some"):
        tables.render("compared same", tmp_path)


def test_information_by_2000_comes_from_the_log(tmp_path):
    rows = [{"iteration": i, "information_nats_0": value} for i, value in ((1750, 0.0), (1800, 2.0), (2000, 2.2))]
    (tmp_path / "log.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in [*rows, rows[0] | {"iteration": 2050}])
    )
    assert recipes.information_by_2000(tmp_path)["information_nats_by_2000"].value == pytest.approx(2.1)
    assert recipes.information_by_2000(tmp_path / "none") == {}


def test_how_low_the_loss_of_d_fell_is_a_mean_over_ten_lines(tmp_path):
    losses = [1.0] * 10 + [0.1] + [0.5] * 9 + [1.0] * 10
    lines = (json.dumps({"iteration": i, "loss_d": loss}) + "\n" for i, loss in enumerate(losses))
    (tmp_path / "log.jsonl").write_text("".join(lines))
    assert recipes.least_loss_of_d(tmp_path)["loss_d_least"].value == pytest.approx(0.46)
    (tmp_path / "log.jsonl").write_text('{"iteration": 1, "loss_d": 1.0}\n')
    assert recipes.least_loss_of_d(tmp_path) == {}


def entry(seed, modes, js=0.5, failure=None):
    values = {"modes": {"value": modes, "reference": 8.0}, "js_nats": {"value": js, "reference": 0.02}}
    return {"recipe": "tiny", "seed": seed, "failure": failure, "scores": {} if failure else values}


def test_a_failed_run_counts_as_the_worst():
    entries = [entry(0, 8), entry(1, 8), entry(2, 8, failure="nan")]
    assert verdicts.values(GOALS[0], entries).tolist() == [0.5, 0.5, np.inf]
    assert verdicts.values(GOALS[1], entries).tolist() == [8, 8, -np.inf]
    assert verdicts.verdict(GOALS[0], verdicts.values(GOALS[0], entries)) == "pass"
    assert verdicts.verdict(GOALS[1], verdicts.values(GOALS[1], entries)) == "miss"
    assert verdicts.rows(TINY, entries)[0][0] == "tiny, 3 seeds, 1 failed"
    assert verdicts.values(GOALS[0], [entry(0, 8, js="nan")]).tolist() == [np.inf]


@pytest.mark.parametrize(
    ("modes", "js", "expected"),
    [
        ([8] * 9 + [3], [0.005] * 6 + [0.9] * 4, ["aim", "pass"]),
        ([8] * 8 + [7, 3], [0.6] * 5 + [0.9] * 5, ["miss", "miss"]),
        ([8] * 10, [0.6] * 9 + ["inf"], ["pass", "pass"]),
    ],
)
def test_verdicts(modes, js, expected):
    entries = [entry(seed, m, j) for seed, (m, j) in enumerate(zip(modes, js, strict=True))]
    assert [line[5] for line in verdicts.rows(TINY, entries)] == expected


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        ([6, 7, 6, 7], "pass"),  # 6.5 +- 0.29 against 6.3 +- 0.1
        ([7, 7, 7, 7], "miss"),
        ([6, 7, 6, None], "miss"),
        ([6], ""),  # how far another run would lie, nobody knows
    ],
)
def test_means_that_shall_be_near_published_ones(modes, expected):
    goal = Goal("modes", "near", 6.3, standard_error=0.1)
    entries = [entry(seed, m, failure=None if m else "nan") for seed, m in enumerate(modes)]
    assert verdicts.verdict(goal, verdicts.values(goal, entries)) == expected
    line = verdicts.rows(replace(TINY, goals=(goal,)), entries)[0]
    assert line[4] == "6.3 +- 2 s.e."
    shown = {(6, 7, 6, 7): "mean 6.5 +- 0.2887 [6, 7]", (7, 7, 7, 7): "mean 7 +- 0 [7, 7]", (6,): "mean 6 [6, 6]"}
    assert line[2] == (shown | {(6, 7, 6, None): "mean nan [nan, nan]"})[tuple(modes)]


def test_the_last_entry_of_a_seed_counts():
    found = verdicts.latest([entry(0, 3), entry(1, 4), entry(0, 8)], "tiny")
    assert [(e["seed"], e["scores"]["modes"]["value"]) for e in found] == [(0, 8), (1, 4)]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ({"modes": {"value": 3, "reference": 8}}, "collapsed: 3 of 8 modes"),
        ({"modes": {"value": 4, "reference": 8}}, None),
        ({"label_kl_nats": {"value": 0.7}}, "collapsed: labels are 0.70 nats from equal ones"),
        ({"label_kl_nats": {"value": 0.6}}, None),
        ({}, None),
    ],
)
def test_collapse(scores, expected):
    assert verdicts.collapse(verdicts.from_json(scores)) == expected


def test_medians_of_infinite_numbers():
    assert verdicts.median(np.array([1.0, np.inf, np.inf])) == np.inf
    assert verdicts.median(np.array([1.0, 2.0, np.inf])) == 2
    assert verdicts.median(np.array([3.0, 1.0])) == 2


def test_the_table_of_the_pages(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RECIPES", [TINY])
    machine = {"cpu": "a cpu", "cores": 2, "python": "3.11", "libraries": {}, "blas": "a blas 1"}
    entries = [entry(0, 8) | {"machine": machine}, entry(1, 4) | {"machine": machine}]
    (tmp_path / "quality.json").write_text(json.dumps({"entries": entries}))
    lines = tables.render("quality", tmp_path).splitlines()
    assert lines[2] == "| `tiny, 2 seeds` | js_nats | 0.5 [0.5, 0.5] | real data 0.02 | <= 0.7, aim 0.01 | pass |  |"
    assert lines[3] == "|  | modes | 6 [4, 8] | real data 8 | >= 8 in 90% | miss | 7.9 (them) |"
    assert sum("a cpu, 2 cores" in line for line in lines) == 1


@pytest.mark.usefixtures("signals_of_a_terminal")
def test_half_a_training_is_no_entry(tmp_path, monkeypatch, capsys):
    prepare = runs.prepare

    class InterruptOnce:
        def after_step(self, trainer, scalars):
            if trainer.iteration == 1:
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(runs, "prepare", lambda *args, **options: prepare(*args, hooks=[InterruptOnce()], **options))
    arguments = ["--seeds", "1", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "q.json")]
    assert quality.main(arguments) == 130
    assert "goes on from here" in capsys.readouterr().out
    assert quality.read(tmp_path / "q.json") == []
    assert quality.main(arguments) == 0
    assert [entry["iteration"] for entry in quality.read(tmp_path / "q.json")] == [3]


def test_the_table_of_what_was_asked_leaves_out_what_was_only_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "RECIPES", [replace(TINY, goals=(recipes.Goal("js_nats", "less"), GOALS[1]))])
    machine = {"cpu": "a cpu", "cores": 2, "python": "3.11", "libraries": {}, "blas": "a blas 1"}
    (tmp_path / "quality.json").write_text(json.dumps({"entries": [entry(0, 8) | {"machine": machine}]}))
    lines = tables.render("quality asked", tmp_path).splitlines()
    assert lines[2] == "| `tiny, 1 seed` | modes | 8 [8, 8] | real data 8 | >= 8 in 90% | pass | 7.9 (them) |"
    assert "js_nats" not in "".join(lines)
    with pytest.raises(ValueError, match="expected nothing or asked, got 'all'"):
        tables.render("quality all", tmp_path)
