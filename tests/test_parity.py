"""So that minigan trains as PyTorch does: the same weights and batches give PyTorch's losses, gradients and weights.

PyTorch's side comes from the files in ``golden/``, written by ``python -m benchmarks.parity``.
"""

import numpy as np
import pytest
from parity_cases import CASES, GOLDEN, arrays_of, build, entries, errors, fingerprint, pack, run

from minigan import kernels


def golden_file(name):
    with np.load(GOLDEN / f"{name}.npz") as file:
        return dict(file)


@pytest.mark.parametrize("name", CASES)
def test_training_steps_equal_pytorchs(name):
    case, golden = CASES[name], golden_file(name)
    system, streams = build(case)
    assert fingerprint(system) == pytest.approx(float(golden["start"]), rel=1e-9), (
        "the initial weights are no longer those of the golden file: run python -m benchmarks.parity again"
    )
    with kernels.use(**case.variants):
        arrays = run(case, system, streams) | arrays_of(system)
    wrong = {n: f"{e:.1e}" for n, e in errors(case, golden, arrays).items() if not e <= case.tolerance}
    assert not wrong, f"{name}: these differ from PyTorch's by more than {case.tolerance:g} of their largest: {wrong}"


def test_comparison_notices_one_changed_entry_and_a_missing_array():
    case = CASES["gan-2d"]
    system, _ = build(case)
    arrays = {name: array for name, array in arrays_of(system).items() if array is not None}
    golden = pack(case, arrays)
    assert max(errors(case, golden, arrays).values()) == 0
    changed = arrays | {"state g.0.w": arrays["state g.0.w"].copy()}
    changed["state g.0.w"][1, 2] += 1e-6 * np.abs(changed["state g.0.w"]).max()
    found = errors(case, golden, changed)
    assert found.pop("state g.0.w") == pytest.approx(1e-6, rel=1e-3)
    assert max(found.values()) == 0
    del arrays["state d.4.w"]
    with pytest.raises(AssertionError, match=r"arrays differ: \['state d\.4\.w'\]"):
        errors(case, golden, arrays)


def test_comparison_fails_on_nan_even_where_no_entry_is_kept():
    case = CASES["gan-2d"]
    weights = {"grad g.0.w": np.ones((20, 30))}
    golden = pack(case, weights)
    forgotten = np.setdiff1d(np.arange(600), entries(case, "grad g.0.w", 600))
    assert len(forgotten) == 600 - case.sampled
    weights["grad g.0.w"].flat[forgotten[0]] = np.nan
    assert not errors(case, golden, weights)["grad g.0.w"] <= case.tolerance
