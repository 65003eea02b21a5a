"""NVRTC by hand: what it makes, what it says, what is kept, and what a mangled name tells of a kernel's arguments."""

import subprocess
import sys

import numpy as np
import pytest

from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu.compile import CompileError, Parameter, compile, resources, signature
from minigan.kernels.gpu.signature import readable

SOURCE = """
#include <cuda_bf16.h>
#include <cuda_fp16.h>
template <class T> __global__ void scale(const T* __restrict__ x, T* y, T by, int n) {
  __shared__ T tile[64];
  tile[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  if (threadIdx.x < n) y[threadIdx.x] = by * tile[63 - threadIdx.x];
}
__global__ void many(float* w, const __nv_bfloat16* g, const __half2* h, void* p, const void* q, unsigned long long k,
                     const float4* v, bool b, size_t s, volatile int* flag, signed char c, short t) { w[0] = s; }
__global__ void none() {}
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MINIGAN_CACHE", str(tmp_path))
    return tmp_path / "kernels"


def test_nvrtc_is_here():
    assert nvrtc.unavailable() is None


def test_an_import_loads_no_nvrtc():
    code = "import minigan.kernels.gpu.compile; print('nvrtc' in open('/proc/self/maps').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_ptx_and_cubins_with_their_names():
    ptx = compile(SOURCE, "scale.cu", ["scale<float>", "scale<double>", "none"], arch="compute_80")
    assert ptx.names["scale<float>"] == "_Z5scaleIfEvPKT_PS0_S0_i"
    assert all(f".entry {name}(" in ptx.code.decode() for name in ptx.names.values())
    assert "scale.cu" in ptx.code.decode()
    assert compile(SOURCE, "scale.cu", ["none"], arch="sm_90").code.startswith(b"\x7fELF")


@pytest.mark.parametrize("arch", ["sm_80", "sm_86", "sm_90", "sm_100"])
def test_resources_of_every_architecture(arch):
    compiled = compile(SOURCE, "scale.cu", ["scale<double>", "none"], arch=arch)
    used = resources(compiled.log)[compiled.names["scale<double>"]]
    assert 4 <= used.registers <= 40
    assert (used.shared_bytes % 1024, used.stack_bytes) == (512, 0)  # newer architectures keep 1 KiB for themselves
    assert (used.spill_stores_bytes, used.spill_loads_bytes) == (0, 0)


def test_spills_are_counted():
    source = """__global__ void f(float* x) {
  float v[64];
#pragma unroll
  for (int i = 0; i < 64; ++i) v[i] = x[i * 64 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int i = 0; i < 64; ++i) x[i * 64 + threadIdx.x] = v[63 - i] * v[i];
}"""
    log = compile(source, "spill.cu", ["f"], arch="sm_90", options=["--maxrregcount=32"]).log
    (used,) = resources(log).values()
    assert used.registers <= 32
    assert min(used.stack_bytes, used.spill_stores_bytes, used.spill_loads_bytes) > 0


def test_what_nvrtc_refuses_is_told_with_file_and_line():
    with pytest.raises(CompileError, match=r'bad.cu\(2\): error: identifier "y" is undefined'):
        compile("__global__ void f(int* x) {\n x[0] = y; }", "bad.cu", ["f"], arch="compute_80")
    with pytest.raises(CompileError, match="nothing"):
        compile(SOURCE, "scale.cu", ["nothing"], arch="compute_80")
    with pytest.raises(CompileError, match="invalid value for --gpu-architecture"):
        compile(SOURCE, "scale.cu", ["none"], arch="compute_20")
    with pytest.raises(ValueError, match=r'arch: expected "compute_80" \(PTX\).* got \'hopper\''):
        compile(SOURCE, "scale.cu", ["none"], arch="hopper")


def test_where_nvrtc_is_missing_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(nvrtc, "_roots", lambda: iter(()))
    for cached in (nvrtc.unavailable, nvrtc._library, nvrtc.headers):
        cached.cache_clear()
    try:
        with pytest.raises(CompileError, match=r'not installed; pip install "minigan\[emulate\]"'):
            compile(SOURCE, "scale.cu", ["none"], arch="compute_80")
    finally:
        for cached in (nvrtc.unavailable, nvrtc._library, nvrtc.headers):
            cached.cache_clear()


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_the_same_is_compiled_once(own_cache, monkeypatch):
    first = compile(SOURCE, "scale.cu", ["scale<float>"], arch="sm_90")
    monkeypatch.setattr(nvrtc, "_run_nvrtc", lambda *_, **__: pytest.fail("compiled again"))
    assert compile(SOURCE, "scale.cu", ["scale<float>"], arch="sm_90") == first
    assert [path.suffix for path in own_cache.iterdir()] == [".json"]


def test_whatever_changes_the_result_is_compiled_anew(tmp_path):
    (tmp_path / "outer.cuh").write_text('#include "inner.cuh"\n')
    header = tmp_path / "inner.cuh"
    header.write_text("#define VALUE 1\n")
    source = '#include "outer.cuh"\n__global__ void f(int* x) { x[0] = VALUE; }'

    def code(**changes):
        return compile(
            **{"source": source, "filename": "f.cu", "instances": ["f"], "arch": "compute_80"} | changes
        ).code

    first = code(include=[tmp_path])
    assert code(include=[tmp_path], options=["-DOTHER"]) == first
    header.write_text("#define VALUE 2\n")
    assert code(include=[tmp_path]) != first
    assert code(include=[tmp_path], arch="compute_90") != code(include=[tmp_path])
    with pytest.raises(CompileError, match=r"outer\.cuh"):
        code()


# --- signatures -------------------------------------------------------------------------------------------------------


def parameter(dtype, pointer=False, const=False):
    return Parameter(None if dtype is None else np.dtype(dtype), pointer, const)


def test_signatures():
    names = compile(SOURCE, "scale.cu", ["scale<float>", "scale<double>", "many", "none"], arch="compute_80").names
    x, y = parameter("f4", True, True), parameter("f4", True)
    assert signature(names["scale<float>"]) == (x, y, parameter("f4"), parameter("i4"))
    assert signature(names["scale<double>"])[2] == parameter("f8")
    assert signature(names["none"]) == ()
    assert signature(names["many"]) == (
        y, parameter("u2", True, True), parameter("f2", True, True), parameter(None, True), parameter(None, True, True),
        parameter("u8"), x, parameter("?"), parameter("u8"), parameter("i4", True), parameter("i1"), parameter("i2"),
    )  # fmt: skip


def test_readable_names():
    assert readable("_Z5scaleIfEvPKT_PS0_S0_i") == "scale<float>"
    assert readable("_Z4nonev") == "none"
    assert readable("plain") == "plain"


@pytest.mark.parametrize(
    ("lowered", "said"),
    [
        ("plain", "kernel 'plain' has no types in its name: declare it in C\\+\\+, without extern \"C\""),
        ("_Zxx", "'_Zxx' is no mangled C\\+\\+ name"),
        ("_Z1f6Struct", "parameter 0 of f\\(Struct\\) is 'Struct': expected a number, or a pointer to numbers"),
        ("_Z1fPPf", "parameter 0 of .* is 'float\\*\\*'"),
        ("_Z1f6float4", "parameter 0 of .* is 'float4'"),
    ],
)
def test_signatures_that_a_launch_cannot_check(lowered, said):
    with pytest.raises(ValueError, match=said):
        signature(lowered)
