"""The clock of benchmarks.startup runs from the command to the first step; a command that fails is told."""

import os
from pathlib import Path

import pytest

from benchmarks.startup import first_step_s
from minigan import kernels
from minigan.training.hooks import read_log

ROOT = Path(__file__).parent.parent
CACHE = os.environ.get("NUMBA_CACHE_DIR") or Path(kernels.__file__).parent / "cpu" / "__pycache__"


def test_the_first_step_is_waited_for(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    seconds = first_step_s("gan-2d", CACHE, tmp_path / "run")
    assert [row["iteration"] for row in read_log(tmp_path / "run" / "log.jsonl")] == [1]
    assert 0 < seconds < 60


def test_a_command_that_fails_ends_the_measurement(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with pytest.raises(RuntimeError, match=r"minigan train gna .* ended with status 2"):
        first_step_s("gna", CACHE, tmp_path / "run")
