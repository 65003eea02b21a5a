"""Every instance of every CUDA kernel compiles for every architecture, within registers and shared memory it may take.

Needs no GPU: NVRTC comes from PyPI, and its ptxas counts what a kernel uses. Where it is missing these tests fail.
"""

import re

import pytest

from minigan import kernels
from minigan.kernels.gpu import compile as nvrtc
from minigan.kernels.gpu.emulated_runtime import PTX_ARCH
from minigan.kernels.gpu.emulator.parse import parse
from minigan.kernels.gpu.launch import STATIC_SHARED_BYTES
from minigan.kernels.gpu.runtime import SOURCES

ARCHITECTURES = ("sm_80", "sm_86", "sm_90", "sm_100")
FAMILIES = sorted({entry.family for entry in kernels.spec.ENTRIES.values()})
REGISTERS = 65536  # of a multiprocessor
# Threads that must fit a multiprocessor at once, by their registers: what waits for memory needs many. Products of
# matrices live in registers and keep their operands coming by other means.
RESIDENT_THREADS = dict.fromkeys(FAMILIES, 768) | dict.fromkeys(("conv", "linear"), 256)
INSTANCES = {family: kernels._family("gpu", family).INSTANCES for family in FAMILIES}


def compiled(source, instances, arch):
    path = SOURCES / f"{source}.cu"
    return nvrtc.compile(path.read_text(encoding="utf-8"), path.name, instances, arch=arch, include=(SOURCES,))


@pytest.mark.parametrize("arch", ARCHITECTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_instances_compile_without_spills_and_within_their_budgets(family, arch):
    for source, instances in INSTANCES[family].items():
        machine_code = compiled(source, instances, arch)
        assert machine_code.code.startswith(b"\x7fELF")
        resources = nvrtc.resources(machine_code.log)
        for instance in instances:
            used = resources[machine_code.names[instance]]
            ptx = compiled(source, (instance,), PTX_ARCH)  # as the emulator compiles it: the cache has it
            threads = parse(ptx.code.decode()).routines[ptx.names[instance]].max_threads
            assert used.spill_stores_bytes == used.spill_loads_bytes == 0, instance
            assert used.stack_bytes == 0, instance
            assert used.shared_bytes <= STATIC_SHARED_BYTES, instance
            blocks = REGISTERS // (-(-used.registers // 8) * 8 * threads)
            assert blocks * threads >= RESIDENT_THREADS[family], f"{instance}: {used.registers} registers"


def test_every_kernel_of_every_source_has_an_instance():
    listed = {}
    for sources in INSTANCES.values():
        for source, instances in sources.items():
            listed.setdefault(source, set()).update(instance.partition("<")[0] for instance in instances)
    assert sorted(listed) == sorted(path.stem for path in SOURCES.glob("*.cu"))
    for source, names in listed.items():
        text = (SOURCES / f"{source}.cu").read_text(encoding="utf-8")
        defined = re.findall(r"__global__ void\s+(?:__launch_bounds__\([^()]*\)\s+)?(\w+)\(", text)
        assert sorted(set(defined)) == sorted(names), source


def test_every_kernel_says_how_many_threads_it_is_made_for():
    for family in FAMILIES:
        for source in INSTANCES[family]:
            text = (SOURCES / f"{source}.cu").read_text(encoding="utf-8")
            assert text.count("__global__") == text.count("__launch_bounds__"), source
