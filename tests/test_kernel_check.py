"""The commands ``minigan kernels`` and ``minigan kernels check``, as a user meets them."""

import numpy as np
import pytest
from cuda_kernels import FOLDER, source

from minigan import cli, kernels

SCALE = str(FOLDER / "scale.cu")


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def check(capsys, *arguments):
    """Exit status, standard output and standard error."""
    status = cli.main(["kernels", "check", SCALE, *arguments])
    return status, *capsys.readouterr()


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
    assert "scale<float>, grid (4,), block (256,)\nno fault: " in out
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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["scal<float>"], "no kernel 'scal<float>'; did you mean scale? (a template needs its arguments: name<float>)"),
        (["scale"], "no kernel 'scale'; there are scale, scale_bf16, beyond, unordered, talks, untyped, broken"),
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
