"""So that the command line does what it says, and says what went wrong in one line."""

import errno
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import minigan.__main__
from minigan import __version__, cli, presets
from minigan.training import checkpoint

ROOT = Path(__file__).parent.parent
QUICK = ["--width", "8", "--samples", "20"]


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    """Runs go below the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("MINIGAN_DEBUG", raising=False)


@pytest.fixture
def points(tmp_path):
    np.save(tmp_path / "points.npy", np.random.default_rng(2).standard_normal((60, 2)))
    return "points.npy"


def status(*arguments):
    """The exit status, as the shell would see it."""
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return end.code


def refused(capsys, *arguments):
    """The message of arguments that are refused before anything begins."""
    capsys.readouterr()
    assert status(*arguments) == 2
    out, message = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in message
    return message


def iteration_of(run):
    return checkpoint.load(Path(run) / "checkpoint.npz")[1]["counters"]["iteration"]


def python(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, **options)


# --- help and lists ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]])
def test_help_names_every_command(capsys, arguments):
    assert status(*arguments) == 0
    text = capsys.readouterr().out
    assert all(f"  {name} " in text for name in cli.COMMANDS)


@pytest.mark.parametrize("command", [name for name in cli.COMMANDS if name != "train"])
def test_every_command_has_help(capsys, command):
    assert status(command, "--help") == 0
    assert f"usage: minigan {command}" in capsys.readouterr().out


def test_help_of_train_lists_the_presets(capsys):
    assert status("train", "--help") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in presets.PRESETS)


def test_help_of_a_preset_shows_its_own_numbers(capsys):
    assert status("train", "infogan-paper", "--help") == 0
    text = capsys.readouterr().out
    for expected in (
        "--codes [STR [STR ...]]",
        "--information {both,generator,separate,joint,none}",
        "(default: 5000)",
        "--lr-g FLOAT",
        "--resume RUN",
        "--device {auto,cpu,gpu,emulated}",
        "--graph, --no-graph",
        "--precision {float32,tf32,bfloat16}",
    ):
        assert expected in text
    assert "--preset" not in text


def test_version(capsys):
    assert status("--version") == 0
    assert capsys.readouterr().out == f"minigan {__version__}\n"


def test_presets_are_listed(capsys):
    assert status("presets") == 0
    text = capsys.readouterr().out
    assert "dcgan-mnist" in text
    assert "5,000 iterations" in text


def test_one_preset_shows_its_networks(capsys):
    assert status("presets", "gan-2d") == 0
    text = capsys.readouterr().out
    assert "generator g, 17,154 parameters" in text
    assert "Linear(2 -> 128)" in text
    assert status("presets", "dcgan-mnist") == 0
    assert "Conv2d(1 -> 32, k4 s2 p1, no bias)" in capsys.readouterr().out, "digits have one channel"


def test_data_are_listed(capsys):
    assert status("data") == 0
    text = capsys.readouterr().out
    assert "mnist-10k" in text
    assert "celeba" in text


def test_info_tells_what_a_bug_report_needs(capsys):
    assert status("info") == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(lines) == {"minigan", "python", "numpy", "numba", "cpu", "threads", "data", "gpu", "mpi", "emulator"}
    assert np.__version__ in lines["numpy"]


def test_python_m_minigan_is_the_same_and_help_stays_light(tmp_path):
    code = (
        "import runpy, sys; sys.argv = ['minigan', '--help']\n"
        "try: runpy.run_module('minigan', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "print({'numba', 'matplotlib', 'PIL', 'pooch', 'tqdm'} & set(sys.modules))"
    )
    done = python("-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: minigan COMMAND")
    assert done.stdout.endswith("set()\n")


def test_ctrl_c_while_the_command_line_loads_is_told_in_one_line(monkeypatch, capsys):
    class Interrupt:
        @staticmethod
        def find_spec(name, *_):
            if name == "minigan.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "minigan.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupt, *sys.meta_path])
    assert minigan.__main__.main() == 130
    assert capsys.readouterr() == ("", "minigan: interrupted\n")


TRAIN_A_STEP = ["train", "gan-2d", "--steps=1", "--batch=16", "--out=run", *QUICK]


@pytest.mark.parametrize(
    ("arguments", "streams", "iteration"),
    [
        (["presets"], ["stdout"], None),
        (TRAIN_A_STEP, ["stdout"], 1),  # | head -1
        (TRAIN_A_STEP, ["stdout", "stderr"], 0),  # 2>&1 | head -1 ends and saves
    ],
)
def test_a_reader_that_has_seen_enough_is_no_error(arguments, streams, iteration, monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for name in streams:
        monkeypatch.setattr(sys, name, os.fdopen(writer, "w", closefd=False))
    assert status(*arguments) == 0
    assert "stderr" in streams or "error" not in sys.stderr.getvalue()
    os.close(writer)
    if iteration is not None:
        assert iteration_of("run") == iteration


# --- train and sample -------------------------------------------------------------------------------------------------


def test_train_tells_what_it_does_and_where_it_went(capsys, points):
    assert status("train", "gan-2d", "--data", points, "--steps", "3", "--batch", "16", "--seed", "4", *QUICK) == 0
    text = capsys.readouterr().out
    for expected in (
        "gan-2d: GAN of MLPs for points",
        "points: 60 points",
        "3 with batch 16 (0.80 epochs); seed 4",
        "runs/gan-2d-1/samples/0000003.png",
        "minigan sample runs/gan-2d-1",
    ):
        assert expected in text
    config = json.loads(Path("runs/gan-2d-1/config.json").read_text())
    assert (config["steps"], config["batch"], config["seed"], config["width"]) == (3, 16, 4, 8)


def test_quiet_prints_nothing(capsys, points):
    assert status("train", "gan-2d", "--data", points, "--steps=1", "--batch=16", "--quiet", *QUICK) == 0
    assert capsys.readouterr() == ("", "")


def test_epochs_replace_a_presets_steps(points):
    arguments = ["--data", points, "--epochs", "2", "--batch", "30", "--out", "run", "--quiet", *QUICK]
    assert status("train", "gan-2d", *arguments) == 0
    assert iteration_of("run") == 4


def test_resume_goes_on_with_the_runs_own_numbers(capsys, points, monkeypatch):
    assert status("train", "gan-2d", "--data", points, "--steps=2", "--batch=16", "--out=run", "--quiet", *QUICK) == 0
    monkeypatch.setenv("HOME", str(Path.cwd()))
    assert status("train", "--resume", "run", "--steps", "4") == 0
    assert "4 with batch 16 (1.07 epochs), from iteration 2 on" in capsys.readouterr().out
    assert iteration_of("run") == 4
    message = refused(capsys, "train", "--resume", "run", "--steps=5", "--batch=8")
    assert message.endswith("with another config: batch was 16, now 8\n")
    assert status("train", "--resume=~/run", "--steps=5", "--quiet") == 0
    assert iteration_of("run") == 5
    message = refused(capsys, "train", "gan", "--resume=run")
    assert message == "minigan: error: run is a run of preset gan-2d, not of gan\n"


def test_sample_draws_points_over_the_data(capsys, points, monkeypatch):
    status("train", "gan-2d", "--data", points, "--steps=1", "--batch=16", "--out=run", "--quiet", *QUICK)
    assert status("sample", "run") == 0
    assert capsys.readouterr().out == "run/sample.png\n"
    assert status("sample", "run", "--n", "7", "--seed", "3", "--out", "new/folder/points.npy") == 0
    assert np.load("new/folder/points.npy").shape == (7, 2)
    message = refused(capsys, "sample", "run", "--code", "1", "--out", "other.png")
    assert (
        message == "minigan: error: class: expected latents with a label or a categorical code, got some with neither\n"
    )
    old = Path("new/folder/points.npy").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", lambda file, _: file.write(b"half") and 1 / 0)
        with pytest.raises(ZeroDivisionError):
            status("sample", "run", "--out", "new/folder/points.npy")
    assert Path("new/folder/points.npy").read_bytes() == old
    assert refused(capsys, "sample", "run", "--seed=-1") == "minigan: error: seed: expected at least 0, got -1\n"
    message = refused(capsys, "sample", "run", "--n", "0")
    assert message == "minigan: error: n: expected at least 1, got 0\n"


def test_sample_lays_codes_out(capsys):
    arguments = ["--steps=1", "--batch=4", "--codes", "3", "--samples=6", "--out=run", "--quiet"]
    assert status("train", "infogan-paper", *arguments) == 0
    capsys.readouterr()
    assert status("sample", "run", "--n=6", "--out=all.npy") == 0
    assert status("sample", "run", "--class=2", "--out=two.npy") == 0
    assert status("sample", "run", "--code=2") == 0
    assert (np.load("all.npy").shape, np.load("two.npy").shape) == ((6, 28, 28, 1), (25, 28, 28, 1))
    with Image.open("run/sample-class-2.png") as picture:
        assert picture.width == picture.height >= 600
    with Image.open("run/samples/0000001.png") as picture:
        assert picture.height > picture.width  # three rows, one a class, of two columns
    assert "class: expected 0 to 2, got 3\n" in refused(capsys, "sample", "run", "--code=3")


@pytest.mark.parametrize(
    ("preset", "options", "made"),
    [
        ("vae", ["--hidden=8", "--k=2", "--importance", "--network=conv", "--batch=8"], "encoder"),
        ("mmd-2d", ["--bandwidths", "0.1", "1", "--width=8", "--batch=16"], "g"),
    ],
)
def test_systems_without_a_game_train_sample_and_are_shown(capsys, preset, options, made):
    assert status("train", preset, "--steps=2", "--samples=9", "--out=run", *options) == 0
    assert f"{made} " in capsys.readouterr().out
    assert status("sample", "run", "--n=3", "--out=three.npy") == 0
    assert len(np.load("three.npy")) == 3
    if preset == "vae":
        message = refused(capsys, "inpaint", "run")
        assert message.endswith("with the help of its discriminator; a run of vae does not have both\n")
    assert status("presets", preset) == 0
    assert f"\n{'generator g' if made == 'g' else made}, " in capsys.readouterr().out


# --- what is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian'; did you mean train?"),
        (["qqq"], "unknown command 'qqq'; there are " + ", ".join(cli.COMMANDS)),
        (["train", "dcgan-minst"], "preset: unknown 'dcgan-minst'; did you mean dcgan-mnist or dcgan-keras or dcgan?"),
        (["presets", "infogam"], "preset: unknown 'infogam'; did you mean infogan or infogan-paper?"),
        (["train", "--seed", "1"], "train: give a PRESET first, such as minigan train dcgan-mnist, or --resume RUN"),
        (["train", "gan", "--steps", "1", "--epochs=1"], "train: give --steps or --epochs, not both"),
        (
            ["train", "gan", "--device", "cpu", "--precision", "tf32"],
            "precision: expected float32 on the CPU, got tf32",
        ),
        (["train", "gan", "--batch", "10001"], "batch: expected at most 10000, the size of mnist-10k, got 10001"),
        (["train", "--resume", "gone"], "gone is not a run: config.json cannot be read (No such file or directory)"),
        (["sample", "gone"], "no checkpoint at gone/checkpoint.npz"),
    ],
)
def test_mistakes_are_told_in_one_line(capsys, arguments, message):
    assert refused(capsys, *arguments) == f"minigan: error: {message}\n"
    assert list(Path().rglob("*")) in ([], [Path("runs")])


@pytest.mark.parametrize(
    ("arguments", "messages"),
    [
        (["--weigth", "2"], ["Unrecognized options: --weigth", "--weight FLOAT"]),
        (["--batch", "many"], ["Error parsing --batch"]),
        (["--batch", "0"], ["batch: must be at least 1, got 0"]),
        (["--codes", "10", "unifrom"], ["distribution, got 'unifrom'; did"]),
        (["--preset", "gan"], ["Unrecognized options: --preset"]),
    ],
)
def test_wrong_fields_and_values_are_told(capsys, arguments, messages):
    text = refused(capsys, "train", "infogan-paper", *arguments)
    assert all(message in text for message in messages), text


def test_debug_shows_where_an_error_came_from(monkeypatch):
    with pytest.raises(ValueError, match="preset: unknown"):
        cli.main(["train", "gam", "--debug"])
    monkeypatch.setenv("MINIGAN_DEBUG", "1")
    with pytest.raises(ValueError, match="preset: unknown"):
        cli.main(["train", "gam"])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_training_that_fails_has_another_status_than_one_refused(capsys, points):
    arguments = ["--lr-g=1e30", "--lr-d=1e30", "--data", points, "--steps=20", "--batch=16", "--out=run", *QUICK]
    assert status("train", "gan-2d", *arguments) == 1
    message = capsys.readouterr().err
    assert "\nminigan: error: loss_" in message  # below the progress
    assert "no checkpoint had been saved. Try a smaller --lr-g and --lr-d, or" in message
    with pytest.raises(cli.TrainingFailed):
        cli.main(["train", "gan-2d", *arguments[:-5], "--out=again", "--debug"])


def test_a_full_disk_is_told_with_the_file_and_the_way_on(capsys, points, monkeypatch):
    synced = []

    def full_from_the_second_checkpoint_on(descriptor):
        synced.append(descriptor)
        if len(synced) > len(["config.json", "log.jsonl", "0000000.png", "checkpoint.npz"]):
            raise OSError(errno.ENOSPC, "No space left on device")

    arguments = ["--data", points, "--steps=5", "--checkpoint-every=2", "--batch=16", "--out=run", "--quiet", *QUICK]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full_from_the_second_checkpoint_on)
        assert status("train", "gan-2d", *arguments) == 1
    assert capsys.readouterr().err == (
        "minigan: error: run/checkpoint.npz: checkpoint not written, the previous one is kept: No space left on "
        "device; resume with: minigan train --resume run\n"
    )
    assert iteration_of("run") == 2
    assert status("train", "--resume", "run", "--quiet") == 0
    assert iteration_of("run") == 5


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("signals_of_a_terminal")
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_ctrl_c_saves_and_tells_how_to_go_on(tmp_path, points):
    arguments = [
        "train",
        "gan-2d",
        "--data",
        points,
        "--steps=1000000",
        "--batch=16",
        "--out=run",
        "--log-every=1",
        *QUICK,
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "minigan", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        log, began = tmp_path / "run" / "log.jsonl", time.monotonic()
        while not (log.exists() and log.stat().st_size > 2000):
            assert running.poll() is None, running.communicate()
            assert time.monotonic() - began < 60
            time.sleep(0.02)
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
    finally:
        running.kill()
    assert running.returncode == 130, err
    assert "Traceback" not in err
    done = iteration_of("run")
    assert f"stopped at iteration {done:,} of 1,000,000 and saved; resume with: minigan train --resume run" in out
    assert status("train", "--resume", "run", f"--steps={done + 3}", "--quiet") == 0
    assert iteration_of("run") == done + 3
    iterations = [json.loads(line)["iteration"] for line in log.read_text().splitlines()]
    assert iterations == list(range(1, done + 4))
