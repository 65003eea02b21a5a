// A kernel as a user might bring it, a faulty one, and one whose result depends on the order of its threads.
#include <cuda_bf16.h>

template <class T>
__global__ void scale(const T* x, T* y, T by, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = by * x[i];
}

__global__ void scale_bf16(const __nv_bfloat16* x, __nv_bfloat16* y, unsigned char by, bool negate) {
  extern __shared__ float tile[];
  tile[threadIdx.x] = __bfloat162float(x[threadIdx.x]) * by;
  y[threadIdx.x] = __float2bfloat16(negate ? -tile[threadIdx.x] : tile[threadIdx.x]);
}

__global__ void beyond(const float* x, float* y) { y[threadIdx.x] = x[threadIdx.x]; }

__global__ void unordered(const float* x, float* sum) { atomicAdd(sum, x[threadIdx.x]); }

__global__ void talks(const float* x, float* y) {
  printf("%d of %s: %.1f, 100%%\n", (int)threadIdx.x, "two", x[threadIdx.x]);
  y[threadIdx.x] = 0;
}

__global__ void untyped(void* p) {}

#ifdef BROKEN
__global__ void broken(float* x) { x[0] = missing; }
#endif
