"""So that a mutant is one small fault, and whoever notices it gets the credit."""

import pytest
from cuda_kernels import FOLDER

from benchmarks.mutate import main, mutants
from minigan.kernels.gpu.emulator import module

SOURCE = """#include <a.h>
// a comment: 1 + 2 < 3
__global__ void f(float* x) {
  if (threadIdx.x < 31) x[1] = 2.5f;  // 7
  __syncthreads();
}
"""


@pytest.fixture(autouse=True)
def settings_come_back(monkeypatch, tmp_path):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "TURNS", module.TURNS)


def test_a_mutant_has_one_fault_in_code():
    found = {(mutant.line, mutant.before, mutant.after) for mutant in mutants(SOURCE)}
    assert found == {(4, "<", "<="), (4, "31", "32"), (4, "1", "2"), (5, "__syncthreads();", "")}
    for mutant in mutants(SOURCE):
        lines = zip(SOURCE.splitlines(), mutant.source.splitlines(), strict=True)
        assert [n for n, (a, b) in enumerate(lines, 1) if a != b] == [mutant.line]


def test_the_faults_of_a_kernel_are_noticed_and_survivors_told(tmp_path, capsys):
    kernel = tmp_path / "reversed.cu"
    kernel.write_text("""
__global__ void reversed(const float* x, float* y, int n) {
  __shared__ float tile[64];
  const int t = threadIdx.x;
  if (t < n && t < 1000) tile[t] = x[t];
  __syncthreads();
  if (t < n) y[t] = tile[n - 1 - t];
}
""")
    survivors = main([str(kernel), "reversed", "random:40", "empty:40", "40", "--block", "64"])
    out = capsys.readouterr().out
    assert "mutants of reversed\n" in out
    for noticed in ("emulator: out of bounds", "emulator: uninitialised"):
        assert noticed in out
    assert "without __syncthreads" not in out
    assert "reversed.cu:5: 1000 became 1001: if (t < n && t < 1000) tile[t] = x[t];" in out
    assert out.count("reversed.cu:") == survivors >= 1


def test_a_wrong_number_of_arguments_is_told():
    with pytest.raises(SystemExit, match=r"mutate: the kernel takes float const\*, float\*; got 1 arguments"):
        main([str(FOLDER / "scale.cu"), "beyond", "zeros:4"])
