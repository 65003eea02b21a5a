"""Every example runs, in its quick mode, as a reader would run it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parent.parent / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    quick = [] if path.stem == "autograd_in_30_lines" else ["--quick", "--out", str(tmp_path / "out.png")]
    environment = os.environ | {"PYTHONPATH": str(path.parent.parent)}
    command = [sys.executable, str(path), *quick]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    if quick:
        assert (tmp_path / "out.png").stat().st_size > 1000


def test_there_are_examples():
    assert {path.stem for path in EXAMPLES} >= {
        "autograd_in_30_lines",
        "gan_mnist",
        "dcgan_mnist",
        "infogan_mnist",
        "dirac_gan",
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_is_short(path):
    assert len(path.read_text().splitlines()) <= 100
