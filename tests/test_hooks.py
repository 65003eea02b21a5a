"""So that watching a training does not change it, and what it leaves behind is what happened."""

import io
import json
import math
import signal
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from minigan import presets
from minigan.training import checkpoint, hooks, pictures
from minigan.training.trainer import Trainer, random_streams

SMALL = {
    "gan-2d": {"width": 8, "batch": 16, "samples": 20},
    "dcgan-mnist": {"width": 4, "batch": 8, "samples": 4},
}
POINTS = np.random.default_rng(1).standard_normal((50, 2)).astype(np.float32)
IMAGES = np.random.default_rng(1).uniform(-1, 1, (40, 28, 28, 1)).astype(np.float32)


def trainer_of(preset="gan-2d", more_hooks=()):
    images = POINTS if preset == "gan-2d" else IMAGES
    config = replace(presets.get(preset).config, **SMALL[preset])
    streams = random_streams(0)
    system = presets.get(preset).build(config, images.shape[1:], streams["init"])
    return Trainer(system, images, streams, batch=config.batch, hooks=more_hooks)


def all_hooks(folder, trainer, every=2):
    z = trainer.system.latents.sample(trainer.streams["samples"], 6)
    path = folder / "checkpoint.npz"
    return [
        hooks.StopOnNonFinite(path, {}),
        hooks.JsonlLog(folder / "log.jsonl", every=every, images=8, per_epoch=10),
        hooks.Checkpoint(path, {}, every=every),
        pictures.Samples(folder / "samples", z, every=every),
        hooks.Losses(folder / "losses.png", folder / "log.jsonl", every=every),
        pictures.Animation(folder / "samples.webp", folder / "samples"),
        hooks.Progress(8, disable=True),
    ]


def log_of(folder):
    return hooks.read_log(folder / "log.jsonl")


@pytest.mark.parametrize("preset", SMALL)
def test_hooks_leave_the_training_as_it_is_bit_for_bit(tmp_path, preset):
    alone, watched = trainer_of(preset), trainer_of(preset)
    watched.hooks = all_hooks(tmp_path, watched)
    for trainer in (alone, watched):
        trainer.run(5)
    expected, got = alone.state_dict(), watched.state_dict()
    for name, array in expected[0].items():
        np.testing.assert_array_equal(got[0][name], array, err_msg=name)
    for stream in ("init", "order", "noise"):
        assert got[1]["streams"][stream] == expected[1]["streams"][stream]


def test_a_checkpoint_with_a_stream_that_is_gone_is_gone_on_with(tmp_path):
    whole, part, rest = (trainer_of() for _ in range(3))
    whole.run(4)
    part.run(2)
    arrays, counters = part.state_dict()
    counters["streams"]["metrics"] = counters["streams"]["init"]  # as the first version kept it
    rest.load_state_dict(arrays, counters)
    rest.run(4)
    for name, array in whole.state_dict()[0].items():
        np.testing.assert_array_equal(rest.state_dict()[0][name], array, err_msg=name)


# --- log --------------------------------------------------------------------------------------------------------------


def test_the_log_has_the_first_the_regular_and_the_last_iteration(tmp_path):
    trainer = trainer_of()
    trainer.hooks = [hooks.JsonlLog(tmp_path / "log.jsonl", every=3, images=16, per_epoch=3)]
    trainer.run(7)
    rows = log_of(tmp_path)
    assert [row["iteration"] for row in rows] == [1, 3, 6, 7]
    assert [row["epoch"] for row in rows] == [0.3333, 1, 2, 2.3333]
    expected = {"iteration", "epoch", "loss_d", "loss_g", "d_real", "d_fake", "seconds", "images_per_s"}
    assert all(set(row) == expected for row in rows)
    assert all(isinstance(row["loss_d"], float) and math.isfinite(row["loss_d"]) for row in rows)
    assert all(row["images_per_s"] > 0 for row in rows)
    assert sorted(row["seconds"] for row in rows) == [row["seconds"] for row in rows]


def test_a_lines_speed_is_that_of_the_iterations_since_the_line_before(tmp_path, monkeypatch):
    seconds = iter([0, 0, 1, 2, 4, 5])
    monkeypatch.setattr(hooks, "time", SimpleNamespace(perf_counter=seconds.__next__))
    trainer = trainer_of()
    trainer.hooks = [hooks.JsonlLog(tmp_path / "log.jsonl", every=3, images=16, per_epoch=3)]
    trainer.run(7)
    assert [row["images_per_s"] for row in log_of(tmp_path)] == [16, 32, 24, 16]


def test_a_resumed_log_loses_what_lies_beyond_and_a_half_line(tmp_path):
    log = tmp_path / "log.jsonl"
    rows = [{"iteration": i, "seconds": 100.0 + i} for i in (1, 2, 4, 5, 6)]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"iteration": 7, "lo')
    trainer = trainer_of()
    trainer.iteration = 5  # where the end of a session had written a line that an unbroken one would not have
    trainer.hooks = [hooks.JsonlLog(log, every=2, images=16, per_epoch=3)]
    trainer.run(6)
    after = log_of(tmp_path)
    assert [row["iteration"] for row in after] == [1, 2, 4, 6]
    assert after[:3] == rows[:3]
    assert after[-1]["seconds"] >= 104


@pytest.mark.parametrize("line", ["{", "[1]", "7", "{}"])
def test_a_line_that_is_none_of_a_log_is_named(tmp_path, line):
    path = tmp_path / "log.jsonl"
    path.write_text('{"iteration": 1}\n' + line + '\n{"iteration": 3}\n')
    with pytest.raises(ValueError, match=r"log\.jsonl, line 2: not a line of a log"):
        hooks.read_log(path)


def test_a_missing_log_has_no_lines(tmp_path):
    assert hooks.read_log(tmp_path / "none.jsonl") == []


# --- what is not finite -----------------------------------------------------------------------------------------------


class Break:
    """Spoil a weight of g after some iteration, as a diverging training would."""

    def __init__(self, iteration):
        self.iteration = iteration

    def after_step(self, trainer, scalars):
        if trainer.iteration == self.iteration:
            trainer.system.g.parameters()[0].data[0, 0] = np.nan


def test_a_loss_that_is_nan_ends_the_training_and_keeps_the_checkpoint(tmp_path):
    trainer = trainer_of()
    trainer.hooks = [*all_hooks(tmp_path, trainer), Break(5)]
    expected = r"loss_\w is nan after iteration 6; the previous checkpoint is kept: .*checkpoint\.npz\. Try a smaller"
    with pytest.raises(FloatingPointError, match=expected):
        trainer.run(20)
    assert trainer.failed
    assert [row["iteration"] for row in log_of(tmp_path)] == [1, 2, 4, 5]
    fresh = trainer_of()
    checkpoint.resume(tmp_path / "checkpoint.npz", fresh, {})
    assert fresh.iteration == 4
    assert all(np.isfinite(p.data).all() for p in fresh.system.g.parameters())
    assert [picture.stem for picture in pictures.found(tmp_path / "samples")] == ["0000000", "0000002", "0000004"]


def test_the_error_tells_when_no_checkpoint_had_been_saved(tmp_path):
    trainer = trainer_of()
    trainer.hooks = [hooks.StopOnNonFinite(tmp_path / "checkpoint.npz", {"lr_g": 1, "lr_d": 1}), Break(1)]
    with pytest.raises(
        FloatingPointError, match=r"after iteration 2; no checkpoint .*smaller --lr-g and --lr-d, or --find-nonfinite"
    ):
        trainer.run(20)


def test_an_infinite_loss_is_found_too(tmp_path):
    scalars = {"loss_d": np.float32(1), "loss_g": np.float32(np.inf)}
    with pytest.raises(FloatingPointError, match="loss_g is inf"):
        hooks.StopOnNonFinite(tmp_path / "none", {}).after_step(trainer_of(), scalars)


def test_weights_that_are_not_finite_never_replace_a_checkpoint(tmp_path):
    trainer = trainer_of()
    keep = hooks.Checkpoint(tmp_path / "checkpoint.npz", {}, every=3)
    trainer.hooks = [Break(5), keep]
    with pytest.raises(FloatingPointError, match=r"g\.0\.w is not finite after iteration 5; the previous checkpoint"):
        trainer.run(5)
    assert keep.saved == 3


# --- checkpoints and pictures -----------------------------------------------------------------------------------------


def test_checkpoints_come_on_time_and_once_at_the_end(tmp_path, monkeypatch):
    saved = []
    monkeypatch.setattr(hooks.checkpoint, "save", lambda path, trainer, config: saved.append(trainer.iteration))
    for iterations in (7, 9):
        trainer = trainer_of(more_hooks=[hooks.Checkpoint(tmp_path / "c.npz", {}, every=3)])
        trainer.run(iterations)
    assert saved == [3, 6, 7, 3, 6, 9]


def test_long_steps_are_saved_by_the_clock(tmp_path, monkeypatch):
    saved, now = [], iter(range(0, 10_000, 50))  # each look at the clock finds it 50 seconds later
    monkeypatch.setattr(hooks.checkpoint, "save", lambda path, trainer, config: saved.append(trainer.iteration))
    monkeypatch.setattr(hooks.time, "monotonic", lambda: next(now))
    trainer_of(more_hooks=[hooks.Checkpoint(tmp_path / "c.npz", {}, every=1000)]).run(7)
    assert saved == [3, 6, 7]


def test_a_failed_step_saves_nothing(tmp_path, monkeypatch):
    trainer = trainer_of(more_hooks=[hooks.Checkpoint(tmp_path / "c.npz", {}, every=3)])
    monkeypatch.setattr(trainer, "step", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.run(2)
    assert trainer.failed
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("event", ["start", "after_step", "stop"])
def test_a_hook_that_fails_costs_no_step_and_no_other_hook(tmp_path, event):
    class Fail:
        def fail(self, trainer, *scalars):
            raise OSError("as if a picture could not be written")

    setattr(Fail, event, Fail.fail)
    stopped = []

    class Last:
        def stop(self, trainer):
            stopped.append(trainer.iteration)

    trainer = trainer_of(more_hooks=[Fail(), hooks.Checkpoint(tmp_path / "c.npz", {}, every=100), Last()])
    with pytest.raises(OSError, match="as if a picture"):
        trainer.run(2)
    done = {"start": 0, "after_step": 1, "stop": 2}[event]
    assert hooks.checkpoint.load(tmp_path / "c.npz")[1]["counters"]["iteration"] == done
    assert stopped == [done]
    assert not trainer.failed


def test_a_resumed_run_throws_later_pictures_away(tmp_path):
    z = np.zeros((4, 2), np.float32)
    for iterations in (6, 3):
        trainer = trainer_of(more_hooks=[pictures.Samples(tmp_path, z, every=2)])
        trainer.run(iterations)
    stems = [picture.stem for picture in pictures.found(tmp_path)]
    assert stems == ["0000000", "0000002", "0000003"]


def test_samples_show_the_generator_in_inference_mode(tmp_path):
    trainer = trainer_of("dcgan-mnist")
    z = trainer.system.latents.sample(trainer.streams["samples"], 6)
    trainer.hooks = [pictures.Samples(tmp_path, z, every=10, columns=3)]
    trainer.run(1)
    assert trainer.system.g.training
    with Image.open(tmp_path / "0000001.png") as picture:
        sheet = pictures.plots.grid(trainer.system.sample(z), 3)
        factor = picture.width // sheet.shape[1]
        np.testing.assert_array_equal(np.asarray(picture)[::factor, ::factor], sheet[..., 0])


def test_the_animation_takes_evenly_chosen_pictures(tmp_path, monkeypatch):
    for i in range(11):
        (tmp_path / f"{i:07d}.png").touch()
    chosen = []
    monkeypatch.setattr(pictures, "ANIMATION_FRAMES", 6)
    monkeypatch.setattr(hooks.plots, "save_animation", lambda path, frames: chosen.extend(frames))
    pictures.Animation(tmp_path / "samples.webp", tmp_path).stop(None)
    assert [int(frame.stem) for frame in chosen] == [0, 2, 4, 6, 8, 10]


def test_loss_curves_are_not_drawn_all_the_time(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(hooks.plots, "save_losses", lambda *arguments: drawn.append(arguments))
    log = tmp_path / "log.jsonl"
    losses = hooks.Losses(tmp_path / "losses.png", log, every=1)
    trainer_of(more_hooks=[hooks.JsonlLog(log, every=1, images=1, per_epoch=1), losses]).run(5)
    assert len(drawn) == 1
    monkeypatch.setattr(hooks, "LOSSES_PAUSE_S", 0)
    trainer_of(more_hooks=[hooks.JsonlLog(log, every=1, images=1, per_epoch=1), losses]).run(5)
    assert len(drawn) == 7


# --- progress ---------------------------------------------------------------------------------------------------------


def test_the_bar_shows_speed_and_losses(monkeypatch):
    terminal = io.StringIO()
    monkeypatch.setattr("sys.stderr", terminal)
    trainer_of(more_hooks=[hooks.Progress(16, disable=False)]).run(5)
    text = terminal.getvalue()
    assert "5/5" in text
    assert "loss d " in text
    assert ", g " in text
    assert "D(G(z)) 0." in text


class Interrupt:
    def after_step(self, trainer, scalars):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("disable", [False, True])
def test_ctrl_c_is_heard_at_once(capsys, disable):
    trainer = trainer_of(more_hooks=[Interrupt(), hooks.Progress(16, disable=disable)])
    trainer.run(5)
    assert trainer.iteration == 1
    assert ("finishing this step, then saving" in capsys.readouterr().err) is not disable


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_hooks_start_ends_before_the_first_step_and_saves(tmp_path, capsys, number):
    class InterruptAtStart:
        def start(self, trainer):
            signal.raise_signal(number)

    trainer = trainer_of()
    trainer.hooks = [InterruptAtStart(), *all_hooks(tmp_path, trainer)[:-1], hooks.Progress(16)]
    trainer.run(5)
    assert (trainer.iteration, trainer.interrupted) == (0, True)
    assert "finishing this step, then saving" in capsys.readouterr().err
    assert checkpoint.load(tmp_path / "checkpoint.npz")[1]["counters"]["iteration"] == 0


def test_without_stderr_there_is_no_bar(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)
    trainer = trainer_of(more_hooks=[hooks.Progress(16)])
    trainer.run(2)
    assert trainer.iteration == 2


@pytest.mark.usefixtures("signals_of_a_terminal")
def test_a_terminal_that_was_closed_does_not_cost_the_step(monkeypatch):
    bar = hooks.Progress(16)
    trainer = trainer_of(more_hooks=[Interrupt(), bar])
    monkeypatch.setattr("tqdm.tqdm.write", lambda *_, **__: (_ for _ in ()).throw(OSError("gone")))
    trainer.run(5)
    assert trainer.iteration == 1
    assert not trainer.failed


def test_without_a_terminal_progress_comes_in_lines(capsys):
    trainer_of(more_hooks=[hooks.Progress(16)]).run(2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "2/2" in err.rstrip().splitlines()[-1]


def test_the_bar_can_be_silent(capsys):
    trainer_of(more_hooks=[hooks.Progress(16, disable=True)]).run(2)
    assert capsys.readouterr() == ("", "")


def test_the_bar_does_not_read_every_scalar(monkeypatch):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr(hooks, "LINE_S", 3600)
    read = []

    class Scalar(float):
        def __float__(self):
            read.append(self)
            return 0.5

    bar = hooks.Progress(1, disable=False)
    trainer = trainer_of()
    trainer.last_iteration = 1000
    bar.start(trainer)
    for _ in range(1000):
        trainer.iteration += 1
        bar.after_step(trainer, dict.fromkeys(["loss_d", "loss_g", "d_real", "d_fake"], Scalar()))
    bar.stop(trainer)
    assert len(read) == 8  # of the first step and of the last


def test_the_bar_ends_with_the_last_losses(capsys, monkeypatch):
    monkeypatch.setattr(hooks, "LINE_S", 3600)
    bar = hooks.Progress(1)
    trainer = trainer_of()
    trainer.last_iteration = 3
    bar.start(trainer)
    for trainer.iteration in (1, 2, 3):
        bar.after_step(trainer, dict.fromkeys(["loss_d", "loss_g", "d_real", "d_fake"], trainer.iteration / 4))
    bar.stop(trainer)
    assert "3/3" in (last := capsys.readouterr().err.rstrip().splitlines()[-1])
    assert "loss d 0.75, g 0.75" in last
