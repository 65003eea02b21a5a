"""So that imports run one way, heavy libraries load only when used, and every file says why it exists."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import minigan
from minigan import kernels

PACKAGE, KERNELS = Path(minigan.__file__).parent, Path(kernels.__file__).parent
LAYERS = (
    ("near", "states", "whole_file"),  # words, names, files
    ("kernels", "data", "metrics", "plots", "communicator"),  # arrays in, arrays or files out
    ("device", "recording"),
    ("autograd",),
    ("ops",),
    ("gradient_check", "nn", "optim", "latents"),
    ("models",),
    ("features",),
    ("training",),
    ("presets",),
    ("scores",),
    ("runs",),
    ("evaluate",),
    ("study",),
    ("cli",),
)
COMMAND_LINE = ("minigan.__main__", "minigan.cli")  # loaded by the script alone, and tyro with it
DOORS = ("minigan", "minigan.__main__")  # in no layer: they open the others
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
LOADED_WHEN_USED = {"cupy", "matplotlib", "mpi4py", "numba", "PIL", "pooch", "threadpoolctl", "tqdm", "tyro"}


def module_of(path):
    top, place = ("minigan.kernels", KERNELS) if path.is_relative_to(KERNELS) else ("minigan", PACKAGE)
    parts = [top, *path.relative_to(place).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


SOURCES = {module_of(path): path for folder in (PACKAGE, KERNELS) for path in sorted(folder.rglob("*.py"))}
BACKENDS = sorted({path.parent.name for path in KERNELS.glob("*/__init__.py")} - {"spec"})


def imported_by(module, source):
    """Every name that a source imports, at its top or within a function, in full: minigan.ops.conv2d, numpy.pi."""
    package = module if SOURCES[module].name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            relative = package.split(".")[: package.count(".") + 2 - node.level] if node.level else []
            base = ".".join([*relative, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in (
            "import_module",
            "__import__",
        ):
            yield from (a.value for a in node.args if isinstance(a, ast.Constant))


def layer_of(name):
    """The part of minigan that an imported name lives in; None for another library, and for minigan.__version__."""
    top, _, rest = name.partition(".")
    first = rest.partition(".")[0]
    return minigan._HOME.get(first, first) if top == "minigan" and first and not first.startswith("_") else None


def imports_that_run_up(module, source):
    here = layer_of(module)
    there = {name: layer_of(name) for name in imported_by(module, source)}
    return [name for name, layer in there.items() if layer not in (None, here) and RANK[layer] >= RANK[here]]


# --- imports ----------------------------------------------------------------------------------------------------------


def test_every_module_has_a_place_in_the_layers():
    assert {layer_of(module) for module in SOURCES} - {None, *RANK} == set()


@pytest.mark.parametrize("module", [m for m in SOURCES if m not in DOORS])
def test_imports_run_one_way(module):
    assert imports_that_run_up(module, SOURCES[module].read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("module", "source", "found"),
    [
        ("minigan.autograd", "from . import ops", ["minigan.ops"]),
        ("minigan.autograd", "def f():\n    from .ops.conv import conv2d", ["minigan.ops.conv.conv2d"]),
        ("minigan.ops.conv", "from .. import kernels, nn", ["minigan.nn"]),
        ("minigan.ops", "from ..models import gan\nfrom .conv import conv2d", ["minigan.models.gan"]),
        ("minigan.kernels.spec", "from minigan import Tensor", ["minigan.Tensor"]),
        ("minigan.kernels.cpu.conv", "import minigan.training.steps", ["minigan.training.steps"]),
        ("minigan.nn", "import_module('minigan.models')", ["minigan.models"]),
        ("minigan.optim", "from . import __version__, latents, ops", ["minigan.latents"]),
    ],
)
def test_an_import_against_the_layers_is_found(module, source, found):
    assert imports_that_run_up(module, source) == found


@pytest.mark.parametrize("part", [*BACKENDS, "spec"])
def test_a_backend_knows_the_contract_and_no_other_backend_and_the_contract_none(part):
    prefix, others = f"minigan.kernels.{part}", [f"minigan.kernels.{b}" for b in BACKENDS if b != part]
    modules = [module for module in SOURCES if f"{module}.".startswith(f"{prefix}.")]
    assert modules
    for module in modules:
        names = list(imported_by(module, SOURCES[module].read_text(encoding="utf-8")))
        assert [n for n in names if any(f"{n}.".startswith(f"{other}.") for other in others)] == []


@pytest.mark.parametrize("module", [m for m, path in SOURCES.items() if not path.is_relative_to(KERNELS)])
def test_only_kernels_import_numba_and_cupy(module):
    names = imported_by(module, SOURCES[module].read_text(encoding="utf-8"))
    assert {name.partition(".")[0] for name in names}.isdisjoint({"cupy", "numba", "torch", "tensorflow", "jax"})


def test_every_public_name_is_there():
    for name in minigan.__all__:
        assert getattr(minigan, name) is not None
    with pytest.raises(AttributeError, match="module 'minigan' has no attribute 'tensor'"):
        _ = minigan.tensor


# --- what an import costs ---------------------------------------------------------------------------------------------


def in_a_new_process(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=PACKAGE.parent,
        env=os.environ | environment,
    )
    return done.stdout.strip(), done.stderr.strip()


def test_importing_the_library_loads_nothing_heavy_and_prints_nothing():
    using = ("minigan.kernels.cpu", "minigan.kernels.gpu", *COMMAND_LINE)
    light = [module for module in SOURCES if not module.startswith(using)]
    code = f"import importlib, sys\nfor name in {light}: importlib.import_module(name)\n"
    assert in_a_new_process(code + f"print(sorted({LOADED_WHEN_USED} & set(sys.modules)))") == ("[]", "")


def test_minigan_costs_what_numpy_costs(tmp_path):
    """Processor time of the best of alternating runs; noise only ever adds to it, so a bad start earns more runs.

    The bytecode of both is written to an empty folder first: an installed numpy comes with its own, a clone has none.
    One BLAS thread, for numpy starts them all and the clock counts them.
    """
    environment = {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(tmp_path), "OPENBLAS_NUM_THREADS": "1"}
    clock = "import time; start = time.process_time(); {}; print(time.process_time() - start)"
    best = {"import numpy": float("inf"), "import minigan; minigan.Tensor": float("inf")}
    for attempt in range(25):
        for code in best:
            best[code] = min(best[code], float(in_a_new_process(clock.format(code), **environment)[0]))
        numpy_s, minigan_s = best.values()
        if attempt >= 6 and minigan_s <= 1.2 * numpy_s:
            break
    assert minigan_s <= 1.2 * numpy_s


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_every_family_under_the_same_name(backend):
    families = {entry.family for entry in kernels.spec.ENTRIES.values()}
    assert families - {path.stem for path in (KERNELS / backend).glob("*.py")} == set()


@pytest.mark.parametrize("backend", kernels.BACKENDS)
def test_every_kernel_of_the_contract_is_in_its_familys_file(backend):
    for name, entry in kernels.spec.ENTRIES.items():
        family = importlib.import_module(f"minigan.kernels.{backend}.{entry.family}")
        assert callable(getattr(family, name, None)), f"{backend}/{entry.family}.py has no {name}"


@pytest.mark.parametrize("module", SOURCES)
def test_every_file_opens_with_why_it_exists(module):
    docstring = ast.get_docstring(ast.parse(SOURCES[module].read_text(encoding="utf-8")))
    assert docstring
    assert docstring.splitlines()[0].rstrip().endswith((".", ":")), "the first line is no sentence"
