"""CUDA kernels: sources in ``.cu`` files, compiled by NVRTC, run by a GPU or, without one, by the emulator."""
