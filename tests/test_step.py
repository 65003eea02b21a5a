"""So that what is shown of a training step is that step: each result, each whole gradient, each update."""

import dataclasses
import errno
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from minigan import Tensor, cli, grad, nn, no_grad, ops, presets, runs, watch
from minigan.models import gan
from minigan.optim import SGD, Adam
from minigan.plots import BLUE, GREEN, GREY, ORANGE, PURPLE
from minigan.study import graph
from minigan.study.step import Step
from minigan.training.steps import gan_step
from minigan.training.trainer import random_streams

RNG = np.random.default_rng


def events(make):
    """What is told while a function runs."""
    told = []
    with watch(told.append):
        make()
    return told


def leaf(*values, name=None):
    return Tensor(np.array(values), requires_grad=True, name=name)


# --- what is told -----------------------------------------------------------------------------------------------------


def test_results_and_their_whole_gradients_have_one_number():
    x = leaf(3.0, name="x")

    def make():
        y = x * 2.0
        (y * y + y).sum().backward()

    told = events(make)
    results = [event for event in told if event.kind == "result"]
    assert [event.name for event in results] == ["mul", "mul", "add", "sum"]
    assert results[0].inputs == (x,)
    assert len(results[1].inputs) == 1  # y once, for both factors
    gradients = {event.number: event for event in told if event.kind == "gradient"}
    assert [gradients[event.number].data.item() for event in results] == [13, 1, 1, 1]  # of y: 2 y + 1, in one piece
    of_x = gradients[None]
    assert (of_x.name, of_x.inputs, of_x.data.item()) == ("x", (x,), 26)
    assert told.index(of_x) == len(told) - 1


def test_what_rules_compute_is_told_only_where_it_is_differentiated_again():
    x = leaf(3.0, name="x")

    def twice(create_graph):
        y = x * x * x
        first = grad(y.sum(), x, create_graph=create_graph)
        if create_graph:
            first.sum().backward()

    names = [event.name for event in events(lambda: twice(False)) if event.kind == "result"]
    assert names == ["mul", "mul", "sum"]
    told = events(lambda: twice(True))
    results = [event for event in told if event.kind == "result"]
    assert len(results) > len(names)
    numbers = {event.number for event in told if event.kind == "gradient"}
    assert {event.number for event in results[len(names) :]} & numbers
    assert told[-1].data.item() == pytest.approx(18)


def test_without_a_tape_results_have_no_number():
    def make():
        with no_grad():
            leaf(1.0) * 2.0

    (told,) = events(make)
    assert (told.kind, told.number) == ("result", None)


def test_nobody_is_told_outside_of_the_block():
    told = []
    with watch(told.append):
        with watch(None):
            leaf(1.0) * 2.0
        leaf(1.0) + 2.0
    leaf(1.0) - 2.0
    assert [event.name for event in told] == ["add"]
    with pytest.raises(ZeroDivisionError), watch(told.append):
        raise ZeroDivisionError
    leaf(1.0) - 2.0
    assert len(told) == 1


@pytest.mark.parametrize("clip", [None, 0.5])
def test_an_update_is_told_with_what_was_there_before(clip):
    layer = nn.Linear(2, 1, rng=RNG(0)).name_parameters_("d")
    optimizer = SGD(layer, lr=0.3, clip=clip)
    x = Tensor(np.array([[2.0, -1.0]], np.float32))
    before = layer.state_dict()

    def make():
        layer(x).sum().backward()
        optimizer.step()

    updates = {event.name: event for event in events(make) if event.kind == "update"}
    assert list(updates) == ["d.w", "d.b"]
    for name, after in layer.state_dict().items():
        np.testing.assert_array_equal(updates[f"d.{name}"].data, before[name])
        np.testing.assert_array_equal(updates[f"d.{name}"].inputs[0].data, after)
        assert updates[f"d.{name}"].inputs[0].name == f"d.{name}"


def test_a_watched_network_shows_what_stands_before_its_activations():
    layers = nn.Sequential(nn.Linear(3, 4, rng=RNG(0)), nn.BatchNorm(4), nn.LeakyReLU(0.2), nn.Linear(4, 2), nn.ReLU())
    x = Tensor(RNG(1).standard_normal((8, 3), np.float32))
    alone, names = layers(x).numpy(), [event.name for event in events(lambda: layers(x)) if event.kind == "result"]
    assert names == ["linear", "batch_norm", "leaky_relu", "linear", "leaky_relu"]
    with watch(lambda event: None):
        np.testing.assert_allclose(layers(x).numpy(), alone, rtol=1e-6)


# --- the account of a step --------------------------------------------------------------------------------------------


def trainer(preset, **changes):
    return runs.assemble(dataclasses.replace(presets.get(preset).config, **changes))[1]


SMALL = [
    ("gan-2d", {"batch": 16, "width": 8}),
    ("gan-2d", {"batch": 16, "width": 8, "penalty": "r1", "penalty_weight": 0.1, "d_steps": 2}),
    ("dcgan-mnist", {"batch": 8, "width": 4}),
    ("cgan", {"batch": 8, "width": 4}),
    ("vae", {"batch": 8, "hidden": 8}),
    ("mmd-2d", {"batch": 16, "width": 8}),
    ("discriminator-only-2d", {"batch": 16, "width": 8}),
]


@pytest.mark.parametrize(("preset", "changes"), SMALL)
def test_a_watched_step_is_the_step(preset, changes):
    alone, watched = trainer(preset, **changes), trainer(preset, **changes)
    expected, seen = alone.step(), Step()
    with watch(seen):
        scalars = watched.step()
    assert {name: float(value) for name, value in scalars.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}, rel=1e-5
    )
    after = watched.state_dict()[0]
    for name, array in alone.state_dict()[0].items():
        np.testing.assert_allclose(after[name], array, rtol=1e-3, atol=1e-6, err_msg=name)
    told = {update.name for section in seen.sections for update in section.updates}
    learnt = {name for name, module in watched.system.modules.items() if name != "g_average" and module.parameters()}
    assert {name.partition(".")[0] for name in told} == learnt
    assert all(row.result.least <= row.result.mean <= row.result.most for s in seen.sections for row in s.rows)


def test_the_account_of_a_gan_has_a_section_for_each_network():
    watched, seen = trainer("gan-2d", batch=16, width=8), Step(keep=True)
    before = watched.state_dict()[0]
    with watch(seen):
        watched.step()
    after = watched.state_dict()[0]
    assert [section.learns for section in seen.sections] == [["d"], ["g"]]
    first, second = seen.sections
    assert [row.number for row in first.rows + second.rows] == list(range(1, len(first.rows + second.rows) + 1))
    rows = {row.number: row for row in first.rows}
    assert (rows[1].name, rows[1].inputs, rows[1].shape) == ("data", [], (16, 2))
    assert (rows[2].name, rows[2].inputs, rows[2].shape) == ("linear", ["1", "g.0.w", "g.0.b"], (16, 8))
    assert rows[3].inputs == ["2"]
    made = seen.arrays["1/001 data"] @ seen.arrays["2/g.0.w"] + seen.arrays["2/g.0.b"]
    np.testing.assert_allclose(seen.arrays["1/002 linear"], made, rtol=1e-4, atol=1e-6)
    fakes = next(row for row in first.rows if row.inputs[1:] == ["g.4.w", "g.4.b"])
    assert fakes.gradient is not None  # that of g's loss: d learnt from these as constants
    joined = next(row for row in first.rows if row.name == "concatenate")
    assert (joined.inputs, joined.gradient) == ([str(joined.number - 1), str(fakes.number)], None)
    assert rows[joined.number - 1].name == "data"
    assert second.rows[0].inputs[0] == str(fakes.number)
    for i, section in enumerate(seen.sections, 1):
        for update in section.updates:
            name = f"module.{update.name}"
            change = after[name] - before[name]
            np.testing.assert_array_equal(seen.arrays[f"{i}/{update.name}"], before[name])
            np.testing.assert_array_equal(seen.arrays[f"{i}/{update.name} after"], after[name])
            np.testing.assert_array_equal(seen.arrays[f"{i}/{update.name} m"], 0 * before[name])
            assert update.size == pytest.approx(np.sqrt(np.square(before[name], dtype=float).mean()))
            assert update.change == pytest.approx(np.sqrt(np.square(change, dtype=float).mean()))
            assert seen.arrays[f"{i}/{update.name} gradient"].shape == update.shape
    gradient = seen.arrays[f"1/{fakes.number:03d} linear gradient"]
    assert fakes.gradient.rms == pytest.approx(np.sqrt(np.square(gradient, dtype=float).mean()))
    np.testing.assert_allclose(gradient.sum(axis=0), seen.arrays["2/g.4.b gradient"], rtol=1e-5)


def test_an_adams_first_step_is_as_long_as_the_learning_rate():
    layer = nn.Linear(2, 2, rng=RNG(0))
    seen, optimizer = Step(), Adam(layer, lr=0.01)
    with watch(seen):
        ops.square(layer(Tensor(np.ones((3, 2), np.float32)))).sum().backward()
        optimizer.step()
    assert [update.change for update in seen.sections[0].updates] == pytest.approx([0.01, 0.01], rel=1e-4)


# --- its graph --------------------------------------------------------------------------------------------------------


def drawn(monkeypatch, preset, **changes):
    """The lines of a step's picture by the number of their row, the headings, and the legend."""
    given = []
    monkeypatch.setattr(graph, "save_flow", lambda *arguments: given.append(arguments))
    seen = Step()
    with watch(seen):
        trainer(preset, **changes).step()
    graph.save("step.png", seen, "a step")
    ((path, lines, title, legend),) = given
    assert (path, title) == ("step.png", "a step")
    rows = {int(line.text.split()[0]): line for line in lines if not line.heading}
    by_place = {i: int(line.text.split()[0]) for i, line in enumerate(lines) if not line.heading}
    ways = {number: {by_place[i]: colour for i, colour in line.inputs} for number, line in rows.items()}
    return rows, ways, [line.text for line in lines if line.heading], legend


def test_the_graph_shows_where_gradients_flow_and_where_they_do_not(monkeypatch):
    rows, ways, headings, legend = drawn(monkeypatch, "gan-2d", batch=8, width=4)
    assert headings == ["until d learns", "", "until g learns"]
    assert [words for words, _ in legend] == [
        "rms of a result",
        "of the gradient in it when d learns",
        "of the gradient in it when g learns",
    ]
    assert rows[8].text.split() == ["8", "concatenate"]
    assert ways[8] == {6: None, 7: None}  # real points have none, and g's are detached
    assert ways[9] == {8: None}
    assert ways[10] == {9: BLUE}
    assert ways[17] == {16: BLUE}
    assert ways[21] == {14: None}  # what d thinks is only told
    assert ways[25] == {6: ORANGE}  # the same points, when g learns
    assert [tags for tags, _ in rows[2].tags] == ["g.0.w", "g.0.b"]
    assert {colour for _, colour in rows[2].tags} == {ORANGE}
    assert {colour for _, colour in rows[9].tags} == {BLUE}
    assert rows[25].tags == [("d.0.w", GREY), ("d.0.b", GREY)]  # frozen
    assert [colour for _, colour in rows[25].values] == [GREY, ORANGE]
    assert [colour for _, colour in rows[22].values] == [GREY]
    assert (rows[25].note, rows[31].note) == ("8x4", f"{rows[31].values[0][0]:.4g}")


def test_each_network_has_its_colour(monkeypatch):
    _, _, headings, legend = drawn(monkeypatch, "infogan-paper", batch=4, information="none", fresh_noise=True)
    assert [heading for heading in headings if heading] == ["until d learns", "until g learns", "until q learns"]
    assert [colour for _, colour in legend] == [GREY, BLUE, ORANGE, GREEN]
    rows, _, _, legend = drawn(monkeypatch, "vae", batch=4)
    assert legend[1] == ("of the gradient in it when encoder and decoder learn", PURPLE)
    assert PURPLE in {line.colour for line in rows.values()}


def test_a_colour_is_explained_once(monkeypatch):
    *_, headings, legend = drawn(monkeypatch, "gan-2d", batch=8, width=4, d_steps=3)
    assert headings.count("until d learns") == 3
    assert len(legend) == 3


# --- the command ------------------------------------------------------------------------------------------------------


def test_step_of_a_preset_prints_every_row(capsys, tmp_path):
    out = tmp_path / "new" / "step.npz"
    assert cli.main(["step", "gan-2d", "--batch=8", "--width=4", "--after=2", f"--out={out}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gan-2d, iteration 3: ring, batch 8, seed 0"
    assert lines[2] == "--- until d learns"
    assert lines[3].split() == ["operation", "of", "shape", "mean", "rms", "least", "most", "gradient", "rms"]
    assert lines[4].split()[:5] == ["1", "data", "8", "x", "2"]
    assert lines[5].split()[:8] == ["2", "linear", "1,", "g.0.w,", "g.0.b", "8", "x", "4"]
    assert "--- until g learns" in lines
    assert any(line.startswith("d.0.w      2 x 4") for line in lines)
    assert lines[-2].startswith("loss_d ")
    with np.load(out) as arrays:
        assert lines[-1] == f"{out}: {len(arrays.files)} arrays"
        assert arrays["1/002 linear"].shape == arrays["1/002 linear gradient"].shape == (8, 4)


def test_arrays_of_a_step_are_written_whole_or_the_old_ones_stay(capsys, tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    out = tmp_path / "step.npz"
    out.write_text("old")
    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(["step", "gan-2d", "--batch=8", "--width=4", f"--out={out}"]) == 2
    assert capsys.readouterr().err == f"minigan: error: {out}: No space left on device\n"
    assert out.read_text() == "old"


@pytest.mark.parametrize("name", ["step.png", "step.svg", "step.PDF"])
def test_step_draws_its_graph(capsys, tmp_path, name):
    path = tmp_path / "new" / name
    assert cli.main(["step", "gan-2d", "--batch=8", "--width=4", f"--picture={path}"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"{path}: its graph"
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml", b"%PDF-")


def test_readme_shows_what_the_command_prints(capsys):
    page = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    shown = page.split("```\n--- until g learns\n")[1].split("```")[0].splitlines()
    assert cli.main(["step", "gan-2d"]) == 0
    printed = capsys.readouterr().out.split("--- until g learns\n")[1].splitlines()
    words = [[word for word in line.split() if not re.fullmatch(r"[-+.e\d]+,?", word)] for line in shown]
    assert words == [[word for word in line.split() if not re.fullmatch(r"[-+.e\d]+,?", word)] for line in printed]
    numbers = [[float(word) for word in line.rsplit(None, 3)[1:]] for line in shown if line.startswith("g.")]
    others = [[float(word) for word in line.rsplit(None, 3)[1:]] for line in printed if line.startswith("g.")]
    np.testing.assert_allclose(numbers, others, rtol=0.02)


def test_readmes_step_is_gan_step():
    page = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    shown = {}
    exec(page.split("```python\n")[1].split("```")[0], shown)
    weights = []
    for step in (shown["gan_step"], gan_step):
        g, d = gan.mlp_generator(2, 8, rng=RNG(0)), gan.mlp_discriminator(8, rng=RNG(1))
        opt_g, opt_d = Adam(g, lr=0.01), Adam(d, lr=0.01)
        x_real, z = (Tensor(x) for x in RNG(2).standard_normal((2, 16, 2), np.float32))
        step(g, d, opt_g, opt_d, x_real, z)
        weights.append([p.data for p in (*g.parameters(), *d.parameters())])
    for ours, own in zip(*weights, strict=True):
        np.testing.assert_allclose(ours, own, rtol=1e-4, atol=1e-5)


def test_step_of_a_run_is_its_next_one_and_leaves_it_alone(capsys, tmp_path):
    run = tmp_path / "run"
    small = ["--batch=16", "--width=8", "--samples=20", "--quiet"]
    assert cli.main(["train", "gan-2d", f"--out={run}", "--steps=3", *small]) == 0
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert cli.main(["step", str(run)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "gan-2d, iteration 4: ring, batch 16, seed 0"
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert cli.main(["train", "--resume", str(run), "--steps=4", "--log-every=1", "--quiet"]) == 0
    last = json.loads((run / "log.jsonl").read_text().splitlines()[-1])
    shown = dict(part.rsplit(" ", 1) for part in lines[-1].split(", "))
    assert last["iteration"] == 4
    assert float(shown["loss_d"]) == pytest.approx(last["loss_d"], rel=1e-4)
    assert float(shown["loss_g"]) == pytest.approx(last["loss_g"], rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "step: give a PRESET first, such as minigan step gan-2d, or a run's folder"),
        (["--after=3"], "step: give a PRESET first"),
        (["gan-3d"], "gan-2d"),
        (["runs/none"], "step: expected a PRESET or a run's folder, got runs/none: no run and no preset"),
        (["gan-2d", "--after=-1"], "after: expected at least 0, got -1"),
        (["gan-2d", "--out=step.png"], "out: expected a name that ends in .npz, got step.png"),
        (["gan-2d", "--picture=step.jpg"], "picture: expected a name that ends in .png, .svg, .pdf, got step.jpg"),
        (["gan-2d", "--picture={folder}"], "is a folder; give the picture a name in it"),
        (["{folder}"], "config.json"),
    ],
)
def test_step_refuses_in_one_line(capsys, tmp_path, arguments, message):
    assert cli.main(["step", *(argument.replace("{folder}", str(tmp_path)) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_find_nonfinite_names_the_operation_whose_gradient_failed(capsys, monkeypatch):
    from minigan.training.systems import GAN

    def update(self, batches, rng):
        self.d.parameters()[0].assign_(np.zeros((2, 8)))
        ops.sqrt(self.d.parameters()[0]).sum().backward()

    monkeypatch.setattr(GAN, "update", update)
    with np.errstate(all="ignore"):
        assert cli.main(["step", "gan-2d", "--width=8", "--find-nonfinite"]) == 2
    assert capsys.readouterr().err.endswith("; in the backward pass, in the gradient of sqrt\n")


def test_parameters_of_every_preset_know_whose_they_are():
    large_and_built_alike = "gan", "infogan-paper", "acgan", "dcgan", "sndcgan", "dcgan-keras"
    for preset in presets.PRESETS.values():
        if preset.name not in large_and_built_alike:
            system = preset.build(preset.config, preset.default_shape, random_streams(0)["init"])
            for name, module in system.modules.items():
                assert [p.name for p in module.parameters()] == [f"{name}.{n}" for n, _ in module.named_parameters()]
