// What a kernel may be written with: templates, lambdas, local arrays, calls, tables, vectors, variables, printf,
// assert.
#include "philox.cuh"

__constant__ float weights[4] = {1, 10, 100, 1000};
__device__ int launches;

template <class T, int N>
__global__ void dot(const T* __restrict__ x, T* y, int n) {  // a local array with a computed index
  T row[N];
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  for (int k = 0; k < N; ++k) row[k] = x[i * N + k];
  auto pick = [&](int k) { return row[(i + k) % N]; };
  T sum = 0;
  for (int k = 0; k < N; ++k) sum += pick(k) * weights[k % 4];
  y[i] = sum;
}

__device__ __noinline__ int fibonacci(int n) { return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2); }

__global__ void recursion(int* y) { y[threadIdx.x] = fibonacci(threadIdx.x); }

__device__ __noinline__ int endless(int n) { return n < 0 ? 0 : endless(n + 1) * n + 1; }  // marked: endless

__global__ void too_deep(int* y) { y[0] = endless(y[0]); }

__global__ void table(const int* x, int* y) {  // a dense switch becomes a jump table
  int r;
  switch (x[threadIdx.x]) {
    case 0: r = y[0] + 7; break;
    case 1: r = x[1] * 3; break;
    case 2: r = -x[2]; break;
    case 3: r = x[3] << 4; break;
    case 4: r = x[4] / 3; break;
    case 5: r = x[5] ^ 99; break;
    case 6: r = 1 - x[6]; break;
    default: r = -1;
  }
  __syncthreads();
  y[threadIdx.x] = r;
}

__global__ void vectors(const float4* x, float4* y, const int2* a, int2* b, const uchar4* p, uchar4* q, int n) {
  const int i = threadIdx.x;
  if (i >= n) return;
  const float4 v = __ldg(&x[i]);
  y[i] = make_float4(v.w, v.z, v.y, v.x);
  b[i] = make_int2(a[i].y, a[i].x);
  q[i] = make_uchar4(p[i].y, p[i].x, p[i].w, p[i].z);
}

__global__ void indices(int* y) {
  const int block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const int thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  y[block * blockDim.x * blockDim.y * blockDim.z + thread] = 1000 * block + thread;
}

__global__ void reversed(const float* x, float* y) {
  extern __shared__ float tile[];
  const int i = blockIdx.x * blockDim.x, t = threadIdx.x;
  tile[t] = x[i + t];
  __syncthreads();
  y[i + t] = tile[blockDim.x - 1 - t];
}

__global__ void transpose(const float* x, unsigned short* y, int rows, int columns) {
  __shared__ float tile[32][33];
  const int r0 = blockIdx.y * 32, c0 = blockIdx.x * 32, t = threadIdx.x;
  for (int j = threadIdx.y; j < 32; j += blockDim.y)
    if (r0 + j < rows && c0 + t < columns) tile[j][t] = x[(size_t)(r0 + j) * columns + c0 + t];
  __syncthreads();
  for (int j = threadIdx.y; j < 32; j += blockDim.y)
    if (c0 + j < columns && r0 + t < rows) y[(size_t)(c0 + j) * rows + r0 + t] = tile[t][j];
}

__global__ void count_launches(int* y) {
  launches += 1;
  *y = launches;
}

__global__ void random_words(uint4* y, unsigned long long key, unsigned long long counter) {
  y[threadIdx.x] = philox(counter + threadIdx.x, key);
}

__global__ void say(int n) { printf("thread %d of %s: %5.2f, 100%%\n", threadIdx.x, "this block", 1.5 * n); }

__global__ void insist(const int* x) {
  if (x[threadIdx.x] >= 3) __trap();  // marked: trap
}

__global__ void sure(const int* x) {
  assert(x[threadIdx.x] < 3);  // marked: assert
}

extern "C" __global__ void untyped(int* x) { x[0] = 1; }

template <int BYTES>
__global__ void fixed_size(float* y) {
  __shared__ float tile[BYTES / 4];
  tile[threadIdx.x] = y[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

// What each thread finds in local memory, before it writes there.
__global__ void unwritten_local(float* y, int written, int other) {
  float row[8];
  row[written] = 1;
  y[blockIdx.x] = row[other];
  row[other] = 2;
  y[gridDim.x + blockIdx.x] = row[written] + row[other];
}

__global__ void forever(volatile int* x) {
  while (x[0] == 0) {}  // marked: forever
}

__global__ void takes_a_clock(long long* y) { *y = clock64(); }  // marked: clock
