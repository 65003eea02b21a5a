"""The wheel holds everything, kernels/ and data included, and a bare clone works where it lies."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

IMPORT_EVERYTHING = """
import importlib, pkgutil, sys
from pathlib import Path
import minigan
place = Path(sys.argv[1]).resolve()
import minigan.kernels
places = ((minigan.__path__[:1], "minigan."), (minigan.kernels.__path__, "minigan.kernels."))
names = {m.name for paths, prefix in places for m in pkgutil.walk_packages(paths, prefix)} - {"minigan.__main__"}
for name in sorted(names):
    module = importlib.import_module(name)
    assert place in Path(module.__file__).resolve().parents, f"{name} comes from {module.__file__}"
assert {"minigan.kernels.cpu.conv", "minigan.kernels.reference.conv", "minigan.data.toyfaces"} <= names, names
assert minigan.data.load("mnist-10k").images.shape == (10000, 28, 28, 1)
assert minigan.features.load().classes == 10
print(len(names))
"""


def run(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a copy of the sources, so that no build folders appear in the checkout."""
    copy, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("minigan", "kernels"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check")
    run(*pip, "wheel", "--no-build-isolation", "--no-deps", "--no-index", "-w", str(out), str(copy), cwd=copy)
    (found,) = out.glob("minigan-*.whl")
    return found


def test_the_wheel_holds_every_file(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for path in [*ROOT.glob("minigan/**/*"), *ROOT.glob("kernels/**/*")]:
        if path.is_file() and "__pycache__" not in path.parts:
            place = path.relative_to(ROOT).as_posix()
            assert (f"minigan/{place}" if place.startswith("kernels/") else place) in inside
    assert not any(name.startswith("kernels/") for name in inside), "a top-level package named kernels"


def test_the_installed_wheel_works_without_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    environment = os.environ | {"PYTHONPATH": str(site), "NUMBA_CACHE_DIR": str(tmp_path)}
    assert int(run(sys.executable, "-c", IMPORT_EVERYTHING, str(site), cwd=tmp_path, env=environment)) > 40
    assert "dcgan-mnist" in run(sys.executable, "-m", "minigan", "presets", cwd=tmp_path, env=environment)
    assert "from minigan.__main__ import main" in (site / "bin" / "minigan").read_text(), "Ctrl-C shows a traceback"


def test_a_bare_clone_works(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert int(run(sys.executable, "-c", IMPORT_EVERYTHING, str(ROOT), cwd=tmp_path, env=environment)) > 40
