"""Packaging. kernels/ stands at the top of the repository to be found, and is installed as minigan.kernels."""

from pathlib import Path

from setuptools import find_packages, setup

here = Path(__file__).parent
source = (here / "minigan" / "__init__.py").read_text(encoding="utf-8")
version = source.split('__version__ = "')[1].split('"')[0]
linux = "sys_platform == 'linux' and platform_machine == 'x86_64'"
emulate = [f"nvidia-cuda-nvrtc>=13; {linux}", f"nvidia-cuda-runtime>=13; {linux}"]  # and g++, from the system
mpi = ["mpi4py>=4"]  # and an MPI library, the system's or a wheel: mpich
# setuptools: a test builds the wheel
test = ["pytest>=8", "hypothesis>=6.100", "setuptools>=77", *emulate, *mpi, f"mpich; {linux}"]

setup(
    name="minigan",
    version=version,
    description="Generative adversarial networks from the ground up: own autograd, own kernels, no framework",
    long_description=(here / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    license_files=["LICENSE", "minigan/data/embedded/LICENSE*"],
    python_requires=">=3.11,<3.14",
    packages=[
        *find_packages(include=["minigan", "minigan.*"]),
        "minigan.kernels",
        *(f"minigan.kernels.{name}" for name in find_packages("kernels")),
    ],
    package_dir={"minigan.kernels": "kernels"},
    package_data={
        "minigan.data": ["embedded/*"],
        "minigan.features": ["weights/*"],
        "minigan.kernels": ["**/*.cu", "**/*.cuh", "**/*.hpp"],
    },
    install_requires=[
        "numpy>=2.1",
        "numba>=0.62",  # with llvmlite for LLVM 20, whose instructions kernels/cpu/simd.py emits
        "threadpoolctl>=3.5",
        "matplotlib>=3.9",
        "pillow>=11",
        "tyro>=0.9.10",
        "tqdm>=4.66",
        "pooch>=1.8",
        "requests>=2.31",
    ],
    extras_require={
        # CuPy for arrays, and what compiles kernels; CuPy's own [ctk] would bring 1 GB of libraries that nobody calls.
        "cuda12": ["cupy-cuda12x>=14", "nvidia-cuda-nvrtc-cu12", "nvidia-cuda-runtime-cu12"],
        "cuda13": ["cupy-cuda13x>=14", "nvidia-cuda-nvrtc>=13", "nvidia-cuda-runtime>=13"],
        "emulate": emulate,
        "mpi": mpi,
        "test": test,
        "dev": [*test, "ruff>=0.9"],
    },
    entry_points={"console_scripts": ["minigan = minigan.__main__:main"]},
)
