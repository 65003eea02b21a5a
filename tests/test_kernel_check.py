"""The commands ``minigan kernels`` and ``minigan kernels check``, as a user meets them."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from cuda_kernels import FOLDER, source

from minigan import cli, kernels
from minigan.cli import kernel_check
from minigan.kernels.gpu import compile as nvrtc

SCALE = str(FOLDER / "scale.cu")


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def check(capsys, *arguments, file=SCALE):
    """Exit status, standard output and standard error."""
    status = cli.main(["kernels", "check", file, *arguments])
    return status, *capsys.readouterr()


def check_text(capsys, text, *arguments):
    """The same of a source written here."""
    Path("my.cu").write_text(text, encoding="utf-8")
    return check(capsys, *arguments, file="my.cu")


def test_the_list_has_every_kernel_and_its_variants(capsys):
    assert cli.main(["kernels"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["kernel", "file", *kernels.BACKENDS]
    assert [line.split()[0] for line in lines[1:-2]] == list(kernels.spec.ENTRIES)
    assert "v1_direct, v2_im2col, v3_winograd" in lines[1]


def test_a_good_kernel_is_praised_and_its_results_kept(capsys, tmp_path):
    x = np.linspace(-1, 1, 1000, dtype=np.float32)
    np.save("x.npy", x)
    arguments = ["scale<float>", "x.npy", "empty:1001", "-2.5", "1000", "--grid", "4", "--block", "256"]
    status, out, error = check(capsys, *arguments, "--save", "results/y.npz")
    assert (status, error) == (0, "")
    head = (
        "scale<float>, grid (4,), block (256,)\nno fault; but argument 1: 1 of 1,001 never written\nevery access in bo"
    )
    assert head in out
    assert "the same results, bit for bit, in 3 orders" in out
    assert "argument 1: float (1001,), -2.5 to 2.5, mean" in out
    assert "1 of 1,001 never written" in out
    assert all(f"{arch}: " in out for arch in ("sm_80", "sm_90"))
    assert "registers, 0 bytes of shared memory, 0 bytes of stack, no spills" in out
    assert (
        f"scale.cu:{source('scale.cu').splitlines().index('  if (i < n) y[i] = by * x[i];') + 1}  global  read" in out
    )
    with np.load("results/y.npz") as saved:
        np.testing.assert_array_equal(saved["argument_1"][:1000], np.float32(-2.5) * x)


def test_results_are_kept_whole_or_the_old_ones_stay(monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    Path("y.npz").write_text("old")
    with pytest.raises(OSError, match=r"No space left on device: 'y\.npz'"):
        kernel_check._save(Path("y.npz"), {0: np.zeros(3)})
    assert Path("y.npz").read_text() == "old"


def test_bfloat16_is_shown_as_numbers_and_macros_reach_the_compiler(capsys):
    arguments = ["scale_bf16", "arange:32", "empty:32", "2", "true", "--block", "32", "--shared", "128"]
    status, out, _ = check(capsys, *arguments, "--define", "OTHER=1")
    assert status == 0
    assert "argument 1: __nv_bfloat16 (32,), -62 to -0, mean -31\n" in out
    assert "128 bytes of shared memory" in out
    status, _, error = check(capsys, "scale<float>", "ones:1", "empty:1", "2", "1", "--define", "BROKEN")
    line = next(n for n, text in enumerate(source("scale.cu").splitlines(), 1) if "missing" in text)
    assert (status, error) == (2, f'minigan: error: scale.cu:{line}: identifier "missing" is undefined\n')


def test_a_fault_is_one_line_and_status_1(capsys):
    status, out, error = check(capsys, "beyond", "random:30", "zeros:64", "--block", "64")
    line = next(n for n, text in enumerate(source("scale.cu").splitlines(), 1) if "void beyond" in text)
    assert (status, out, error.count("\n")) == (1, "", 1)
    assert error.startswith(
        f"minigan: fault: beyond at scale.cu:{line}: out of bounds: read of 4 bytes at element 30 of argument 0"
    )


def test_a_result_that_depends_on_the_order_is_told(capsys):
    status, out, _ = check(capsys, "unordered", "random:96", "zeros:1", "--block", "96")
    assert status == 0
    assert "argument 1 depends on the order of threads: the kernel is not deterministic" in out


def test_what_a_kernel_prints_comes_once_and_is_no_access_of_its_own(capfd):
    status, out, _ = check(capfd, "talks", "arange:2", "empty:2", "--block", "2")
    assert status == 0
    assert out.startswith("0 of two: 0.0, 100%\n1 of two: 1.0, 100%\ntalks, grid (1,), block (2,)\n")
    table = out.partition("excess\n")[2].splitlines()
    assert [line.split()[1:3] for line in table] == [["global", "read"], ["global", "write"]]


def test_a_result_that_is_not_finite_is_told_first_and_one_that_is_whole_not(capsys):
    text = "__global__ void f(float* x, int* n) { x[0] = 1 / (x[1] - 1); n[threadIdx.x] = 7; }"
    assert "\nno fault; but argument 0: 1 NaN or infinite\n" in check_text(capsys, text, "f", "ones:2", "empty:1")[1]
    assert "\nno fault\n" in check_text(capsys, text, "f", "zeros:2", "empty:1")[1]
    _, out, _ = check_text(capsys, text, "f", "zeros:2", "empty:3")
    assert "\nno fault; but argument 1: 2 of 3 never written\n" in out
    assert "NaN or infinite" not in out


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("__global__ void f(long long* y) {\ny[0] = clock64(); }", "f: my.cu:2: '%clock64' is not known here: "),
        (
            "struct P { float a; };\n__global__ void f(P* p) {}",
            "my.cu: parameter 0 of f(P*) is 'P*': expected a number",
        ),
        ('extern "C" __global__ void f(float* x) { x[0] = 1; }', "my.cu: kernel 'f' has no types in its name: "),
    ],
)
def test_what_the_emulator_cannot_do_is_no_fault_and_status_2(capsys, text, said):
    np.save("x.npy", np.zeros(1, np.int64))
    status, out, error = check_text(capsys, text, "f", "x.npy")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"minigan: not supported: {said}")


def test_the_help_says_what_each_exit_status_means(capsys):
    with pytest.raises(SystemExit):
        cli.main(["kernels", "check", "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "Exit status 0 means that no fault was found; 1, that one was; 2, that the kernel was not judged" in text


def test_another_kernel_that_ptxas_refuses_costs_the_registers_alone(capsys):
    text = """
__global__ void f(float* y) { y[0] = 1; }
__global__ void large(float* y) {
  __shared__ float tile[13000];
  tile[threadIdx.x] = y[0];
  __syncthreads();
  y[0] = tile[1];
}"""
    status, out, _ = check_text(capsys, text, "f", "empty:1")
    assert status == 0
    assert "\nno fault\n" in out
    for arch in ("sm_80", "sm_90"):
        assert f"\n{arch}: not compiled (ptxas: Entry function '_Z5largePf' uses too much shared data" in out


HEADERS = "".join(f"#include <{name}>\n" for name in nvrtc.STANDARD)
CONSTANTS = "FLT_MAX, FLT_MIN, FLT_EPSILON, DBL_MAX, DBL_MIN, DBL_EPSILON, M_PI, INT_MIN, INT_MAX, UINT_MAX, CHAR_BIT"
TYPES = "int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t"


def test_headers_of_c_may_be_included_for_their_types_and_limits(capsys):
    sizes = ", ".join(f"sizeof({type})" for type in TYPES.split(", "))
    text = f"""{HEADERS}
__global__ void f(double* y, uint64_t* sizes, int64_t* limits, float* odd) {{
  const double found[] = {{{CONSTANTS}}};
  for (int i = 0; i < 11; ++i) y[i] = found[i];
  const uint64_t bytes[] = {{{sizes}}};
  for (int i = 0; i < 8; ++i) sizes[i] = bytes[i];
  limits[0] = LLONG_MIN, limits[1] = LLONG_MAX, limits[2] = ULLONG_MAX;
  odd[0] = INFINITY, odd[1] = NAN;
  if (threadIdx.x) printf("never"), assert(false);
}}"""
    status, _, error = check_text(capsys, text, "f", "empty:11", "empty:8", "empty:3", "empty:2", "--save=y.npz")
    assert (status, error) == (0, "")
    float32, float64, integers = np.finfo(np.float32), np.finfo(np.float64), np.iinfo(np.int32)
    with np.load("y.npz") as saved:
        y, sizes, limits, odd = (saved[f"argument_{k}"] for k in range(4))
    floats = [float(value) for info in (float32, float64) for value in (info.max, info.tiny, info.eps)]
    assert y.tolist() == [*floats, np.pi, integers.min, integers.max, 2**32 - 1, 8]
    assert sizes.tolist() == [1, 2, 4, 8] * 2
    assert limits.tolist() == [-(2**63), 2**63 - 1, -1]
    np.testing.assert_array_equal(odd, [np.inf, np.nan])


KERNEL = "__global__ void f(float* y) { y[0] = 1; }\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "#include <vector>\n",
            'my.cu:1: cannot open source file "vector" (if it is for the host, put it behind #ifndef',
        ),
        (
            KERNEL + "int main() { f<<<1, 1>>>(0); }",
            "my.cu:2: a function for the host (put it behind #ifndef __CUDACC_R",
        ),
        (
            "__global__ void ballot(float* y) { y[0] = 1; }",
            'ballot: cannot determine which instance of overloaded function "ballot" is intended (CUDA or the file has',
        ),
        ("namespace a { " + KERNEL + " }", 'f: identifier "f" is undefined'),
    ],
)
def test_sources_that_are_not_for_nvrtc_as_they_are_get_its_error_and_advice(capsys, text, said):
    status, out, error = check_text(capsys, text, "ballot" if "ballot" in text else "f", "empty:1")
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert error.startswith(f"minigan: error: {said}")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["scal<float>"],
            "no kernel 'scal<float>'; did you mean scale or scale_bf16? (a template needs its arguments: name<float>)",
        ),
        (
            ["scale"],
            'scale: cannot determine which instance of function template "scale" is intended (a template needs',
        ),
        (
            ["scale<float>", "zeros:4"],
            "scale<float>: got 1 arguments, the kernel takes 4: float const*, float*, float, int",
        ),
        (["beyond", "zeros:4", "zero:4"], "argument 1: unknown fill 'zero'; did you mean zeros?"),
        (
            ["beyond", "zeros:4", "blue:4"],
            "argument 1: unknown fill 'blue'; there are zeros, ones, arange, random, empty",
        ),
        (
            ["beyond", "zeros:4", "zeros:4x"],
            "argument 1: the kernel takes float*; expected FILL:SHAPE such as zeros:8x3",
        ),
        (
            ["beyond", "d.npy", "zeros:4"],
            "argument 0: d.npy holds float64, the kernel takes float const*, that is float32",
        ),
        (["beyond", "none.npy", "zeros:4"], "none.npy: No such file or directory"),
        (["untyped", "zeros:4"], "argument 0: the kernel takes void*, which tells no type; expected a .npy file"),
        (
            ["scale<int>", "zeros:4", "zeros:4", "1.5", "4"],
            "argument 2: the kernel takes a number of type int32, got '1.5'",
        ),
        (
            ["scale<int>", "zeros:4", "zeros:4", "1", "3e9"],
            "argument 3: the kernel takes a number of type int32, got '3e9'",
        ),
        (
            ["scale_bf16", "ones:4", "ones:4", "256", "0"],
            "argument 2: the kernel takes a number of type uint8, got '256'",
        ),
        (["scale_bf16", "ones:4", "ones:4", "1", "2"], "argument 3: the kernel takes a number of type bool, got '2'"),
        (["beyond", "--grid", "0"], "grid: expected up to three positive numbers such as 4 or 16x16, got '0'"),
        (["beyond", "--block", "1x1x1x1"], "block: expected up to three positive numbers"),
        (["beyond", "--save", "y.npy"], "save: expected a name that ends in .npz, got y.npy"),
    ],
)
def test_what_a_user_can_get_wrong(capsys, arguments, said):
    np.save("d.npy", np.zeros(4))
    status, out, error = check(capsys, *arguments)
    assert (status, out) == (2, "")
    assert error.startswith(f"minigan: error: {said}")
    assert error.count("\n") == 1
