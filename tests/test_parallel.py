"""So that several processes train what one would: the same steps, one run, one end for all of them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import parallel_cases
import pytest

from minigan import cli, communicator, presets
from minigan.training import checkpoint
from minigan.training.trainer import Batches, random_streams

ROOT = Path(__file__).parent.parent
MPIEXEC = Path(sys.executable).parent / "mpiexec"  # of the wheel mpich, or the system's
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "MINIGAN_NUM_THREADS"}
SMALL = ["dcgan-mnist", "--width", "8", "--batch", "8", "--samples", "4", "--mpi"]


@pytest.fixture(autouse=True, scope="module")
def no_memory_is_left():
    """MPICH leaves the memory that processes shared behind when they are aborted."""
    shared = Path("/dev/shm")
    before = set(shared.glob("mpich_shm_*"))
    yield
    for left in set(shared.glob("mpich_shm_*")) - before:
        left.unlink(missing_ok=True)


def start(processes, *arguments, **options):
    command = [str(MPIEXEC if MPIEXEC.exists() else "mpiexec"), "-n", str(processes), sys.executable, *arguments]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options
    )


def together(processes, *arguments, **options):
    """Run Python in so many processes: status, what they printed, and their complaints."""
    process = start(processes, *arguments, **options)
    return (*ended(process, 300),)


def ended(process, seconds):
    """Status, output and complaints of a process that must end by itself within so many seconds."""
    try:
        out, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        raise
    return process.returncode, out, complaints


def minigan(folder, *arguments):
    return together(2, "-m", "minigan", *arguments, cwd=folder)


def arrays(run):
    return checkpoint.load(run / "checkpoint.npz")[0]


# --- the same steps ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compared():
    """What parallel_cases found of two processes, by name."""
    status, out, complaints = together(2, str(ROOT / "tests" / "parallel_cases.py"), "0")
    assert status == 0, complaints
    return {found["name"]: found for found in map(json.loads, out.splitlines())}


def check(found):
    assert found["moved"] > 1e-3
    assert found["off"] < 1e-9, found["worst"]
    assert found["scalars"] == pytest.approx(found["expected"], rel=1e-9)
    assert found["same_bits"]


@pytest.mark.parametrize("name", parallel_cases.CASES)
def test_two_processes_take_the_steps_of_one(compared, name):
    check(compared[name])


def test_three_processes_take_the_steps_of_one():
    names = ["dcgan-mnist", "infogan", "autoencoder"]
    status, out, complaints = together(3, str(ROOT / "tests" / "parallel_cases.py"), "1", *names)
    assert status == 0, complaints
    found = [json.loads(line) for line in out.splitlines()]
    assert [one["name"] for one in found] == names
    for one in found:
        check(one)


def test_every_preset_is_tried_or_cannot_be_divided():
    tried = {name.split()[0] for name in parallel_cases.CASES}
    for name, preset in presets.PRESETS.items():
        shape = tuple(n or 1 for n in preset.image_shape)
        system = preset.build(preset.config, shape, random_streams(0)["init"])
        assert getattr(system, "divisible", False) == (name in tried), name


def test_parts_of_a_batch_are_the_batch():
    class Third(communicator.Alone):
        size = 3

        def __init__(self, rank):
            self.rank = rank

    images = np.arange(20.0, dtype=np.float32)[:, None]
    whole = Batches(images, 6, np.random.default_rng(0))
    parts = [Batches(images, 2, np.random.default_rng(0), communicator=Third(rank)) for rank in range(3)]
    for _ in range(7):  # more than two epochs
        np.testing.assert_array_equal(np.concatenate([next(part) for part in parts]), next(whole))
    with pytest.raises(ValueError, match="batch: expected 1 to 20, the size of the data set, got 21"):
        Batches(images, 7, np.random.default_rng(0), communicator=Third(0))


# --- one run ----------------------------------------------------------------------------------------------------------


def test_a_run_goes_on_with_any_number_of_processes(tmp_path):
    status, out, complaints = minigan(tmp_path, "train", *SMALL, "--steps", "4", "--out", "whole")
    assert (status, complaints.count("100%")) == (0, 1)
    assert "the CPU (2 processes on one machine, each with a part of every batch)" in out
    assert out.count("4 iterations in ") == 1
    minigan(tmp_path, "train", *SMALL, "--steps", "2", "--out", "cut", "--quiet")
    assert minigan(tmp_path, "train", "--resume", "cut", "--steps", "4", "--mpi", "--quiet") == (0, "", "")
    whole, cut = arrays(tmp_path / "whole"), arrays(tmp_path / "cut")
    assert list(whole) == list(cut)
    for name in whole:
        np.testing.assert_array_equal(whole[name], cut[name], name)
    command = [sys.executable, "-m", "minigan", "train", "--resume", "cut", "--steps", "5", "--quiet"]
    subprocess.run(command, cwd=tmp_path, check=True, env=ENVIRONMENT | {"PYTHONPATH": str(ROOT)})
    assert arrays(tmp_path / "cut")["optimizer.g.steps"] == 5


def test_one_process_measures_while_the_others_wait(tmp_path):
    arguments = ["infogan-paper", "--batch", "8", "--samples", "10", "--mpi", "--steps", "4", "--quiet", "--out", "run"]
    measured = minigan(tmp_path, "train", *arguments, "--eval-every", "2", "--eval-samples", "100")
    assert measured[0] == 0, measured
    watched = arrays(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "watched")
    assert minigan(tmp_path, "train", *arguments)[0] == 0
    for name, array in arrays(tmp_path / "run").items():
        np.testing.assert_array_equal(array, watched[name], name)
    rows = [json.loads(line) for line in (tmp_path / "watched" / "scores.jsonl").read_text().splitlines()]
    assert [row["iteration"] for row in rows] == [0, 2, 4]


def test_the_cores_are_shared_out():
    code = """
from minigan.communicator import join

among = join()
from minigan.kernels.cpu.threads import NUM_THREADS

print(among.mean([float(NUM_THREADS), among.rank]))
"""
    threads = int(ENVIRONMENT.get("OMP_NUM_THREADS") or max(1, len(os.sched_getaffinity(0)) // 2))
    status, out, complaints = together(2, "-c", code)
    assert (status, complaints) == (0, "")
    assert out.count(f"[{threads}.  0.5]") == 2


# --- one end ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_all_and_saves(tmp_path):
    command = ["-m", "minigan", "train", *SMALL, "--steps", "1000000", "--log-every", "1", "--out", "run"]
    process = start(2, *command, cwd=tmp_path)
    log = tmp_path / "run" / "log.jsonl"
    for _ in range(1200):
        if log.exists() and log.read_text().count("\n") > 3:
            break
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    status, out, complaints = ended(process, 60)
    assert status == 130, complaints
    stopped = int(re.search(r"stopped at iteration (\d+) of 1,000,000 and saved", out)[1])
    assert checkpoint.load(tmp_path / "run" / "checkpoint.npz")[1]["counters"]["iteration"] == stopped


FAILING = """
from minigan import presets, runs
from minigan.communicator import join
from dataclasses import replace

among = join()
config = replace(presets.get("gan-2d").config, steps=50, batch=8)
run = runs.prepare(config, "run", communicator=among)
if among.rank == {rank}:
    def fail(*_):
        raise RuntimeError("out of luck")
    {what}
run.train(quiet=True)
"""


@pytest.mark.parametrize(("rank", "what"), [(0, "step"), (1, "step"), (0, "hook"), (0, "start")])
def test_a_process_that_fails_ends_all(tmp_path, rank, what):
    lines = {
        "step": "run.trainer.step = fail",
        "hook": "run.trainer.hooks.append(type('Hook', (), {'after_step': fail})())",
        "start": "run.trainer.hooks.append(type('Hook', (), {'start': fail})())",
    }
    status, _, complaints = together(2, "-c", FAILING.format(rank=rank, what=lines[what]), cwd=tmp_path)
    assert status not in (0, None)
    assert complaints.count("RuntimeError: out of luck") == 1


def test_a_failed_training_tells_why_once(tmp_path):
    status, out, complaints = minigan(
        tmp_path, "train", "gan-2d", "--mpi", "--batch", "8", "--lr-g", "1e30", "--lr-d", "1e30", "--quiet"
    )
    assert status == 1
    assert out == ""
    assert complaints.count("minigan: error: ") == 1
    assert "Try a smaller --lr-g and --lr-d" in complaints


# --- what cannot begin ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gan-2d", "--batch", "7"], "batch: expected a multiple of the 2 processes, got 7"),
        (["infogan", "--d-batch", "33"], "d_batch: expected a multiple of the 2 processes, got 33"),
        (
            ["gan-2d", "--batch", "12", "--packing", "4"],
            "packing: expected a divisor of the",
        ),
        (["gan-3d"], "preset: unknown 'gan-3d'; did you mean gan-2d"),
        (["mmd-2d"], "mpi: a step of MMD needs its batch as a whole, which 2 processes cannot share"),
        (["gan-2d", "--device", "emulated"], "mpi: expected device cpu for several processes, got emulated"),
        (["gan-2d", "--data", "nothere"], "data: expected a known name or a path, got 'nothere'"),
    ],
)
def test_what_cannot_be_shared_is_refused_once(tmp_path, arguments, message):
    status, out, complaints = minigan(tmp_path, "train", *arguments, "--mpi", "--out", "run")
    assert (status, out) == (2, "")
    assert complaints.count("minigan: error: ") == 1
    assert message in complaints
    assert not (tmp_path / "run").exists()


def test_what_is_wrong_with_another_process_is_told_and_nothing_stays(tmp_path):
    code = """
from dataclasses import replace
from minigan import presets, runs
from minigan.communicator import join

among = join()
config = presets.get("gan-2d").config
try:
    runs.prepare(replace(config, data="nothere") if among.rank else config, "run", communicator=among)
except ValueError as error:
    print(f"{among.rank}: {error}", flush=True)
"""
    status, out, complaints = together(2, "-c", code, cwd=tmp_path)
    assert (status, complaints) == (0, "")
    told = dict(line.split(": ", 1) for line in out.splitlines())
    assert told["1"].startswith("data: expected a known name or a path, got 'nothere'")
    assert told["0"] == f"process 1: {told['1']}"
    assert not (tmp_path / "run").exists()


def test_all_must_train_the_same(tmp_path):
    code = """
from dataclasses import replace
from minigan import presets, runs
from minigan.communicator import join

among = join()
try:
    runs.prepare(replace(presets.get("gan-2d").config, seed=among.rank), "run", communicator=among)
except ValueError as error:
    print(str(error).startswith("mpi: the run of process 1 is ") and "seed=1" in str(error), flush=True)
"""
    status, out, complaints = together(2, "-c", code, cwd=tmp_path)
    assert (status, complaints, out.count("True")) == (0, "", 2)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("option", "message"), [(["--bogus"], "--bogus"), (["--batch", "0"], "batch: must be at least 1, got 0")]
)
def test_options_that_cannot_be_are_told_once(tmp_path, option, message):
    status, out, complaints = minigan(tmp_path, "train", "gan-2d", "--mpi", *option)
    assert (status, out) == (2, "")
    assert complaints.count(message) == 1


@pytest.mark.parametrize("library", ["PMI", "OMPI_COMM_WORLD"])
def test_processes_of_mpiexec_do_not_train_the_same_each(capsys, monkeypatch, library):
    monkeypatch.setenv(f"{library}_SIZE", "2")
    for rank, complaint in ((0, "minigan: error: mpi: 2 processes were started by mpiexec: give --mpi"), (1, "")):
        monkeypatch.setenv(f"{library}_RANK", str(rank))
        assert cli.main(["train", "gan-2d"]) == 2
        assert capsys.readouterr().err.startswith(complaint)


def test_one_process_is_no_team(tmp_path):
    status, _, complaints = together(1, "-m", "minigan", "train", "gan-2d", "--mpi", cwd=tmp_path)
    assert status == 2
    assert "mpi: this process is the only one; start several: mpiexec -n 4 minigan train" in complaints


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (None, r'mpi: mpi4py cannot be imported \(.*\); pip install "minigan\[mpi\]"'),
        (
            "raise RuntimeError('cannot load MPI library\\ntried this')",
            r"mpi: no MPI library \(cannot load MPI library\)",
        ),
    ],
)
def test_what_mpi_needs_is_told(tmp_path, monkeypatch, broken, message):
    if broken is None:
        monkeypatch.setitem(sys.modules, "mpi4py", None)
    else:
        (tmp_path / "mpi4py").mkdir()
        (tmp_path / "mpi4py" / "__init__.py").touch()
        (tmp_path / "mpi4py" / "MPI.py").write_text(broken)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.delitem(sys.modules, "mpi4py", raising=False)
    with pytest.raises(ValueError, match=message):
        communicator.join()
