// Each kernel has one fault, on the line that a comment marks with the kernel's name.
#include <cuda_fp16.h>

__global__ void missing_barrier(const float* x, float* y) {
  __shared__ float tile[64];
  const int t = threadIdx.x;
  tile[t] = x[t];
  y[t] = tile[63 - t];  // missing_barrier
}

__global__ void missing_second_barrier(const float* x, float* y) {
  __shared__ float tile[64];
  const int t = threadIdx.x;
  for (int k = 0; k < 2; ++k) {
    tile[t] = x[64 * k + t];
    __syncthreads();
    y[64 * k + t] = tile[63 - t];  // missing_second_barrier
  }
}

__global__ void reads_beyond(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] = x[i] + x[i + 1];  // reads_beyond
}

__global__ void writes_one_too_far(const float* x, float* y, int n) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= n) y[i] = x[0];  // writes_one_too_far
}

__global__ void negative_index(const float* x, float* y) {
  y[threadIdx.x] = x[(int)threadIdx.x - 1];  // negative_index
}

__global__ void next_array(const float* x, float* y, long long far) {
  y[threadIdx.x] = x[far + threadIdx.x];  // next_array
}

__global__ void next_shared_array(const float* x, float* y) {
  __shared__ float first[32], second[32];
  const int t = threadIdx.x;
  second[t] = x[t];
  first[t + 1] = x[t];  // next_shared_array
  __syncthreads();
  y[t] = first[t] + second[t];
}

__global__ void before_dynamic(const float* x, float* y) {
  extern __shared__ float tile[];
  tile[(int)threadIdx.x - 1] = x[threadIdx.x];  // before_dynamic
  __syncthreads();
  y[threadIdx.x] = tile[threadIdx.x];
}

__global__ void misaligned(const float* x, float4* y) {
  y[threadIdx.x] = *(const float4*)(x + 4 * threadIdx.x + 1);  // misaligned
}

__global__ void misaligned_shared(const float* x, float* y) {
  __shared__ float tile[128];  // promises 4 bytes
  const int t = threadIdx.x;
  *(float4*)(tile + 4 * t) = ((const float4*)x)[t / 2];  // misaligned_shared
  __syncthreads();
  y[t] = tile[127 - t];
}

__global__ void null_pointer(float* y, unsigned long long zero) {
  y[threadIdx.x] = *(const float*)zero;  // null_pointer
}

__global__ void writes_const(const float* x, float* y) {
  ((float*)x)[threadIdx.x] = 1;  // writes_const
  y[threadIdx.x] = 0;
}

__global__ void stale_cache(const float* x, float* y) {  // one array passed twice
  y[threadIdx.x] = 2;
  __syncthreads();
  y[threadIdx.x + 32] = __ldg(x + (threadIdx.x ^ 1));  // stale_cache
}

__global__ void unwritten_half(const __half2* x, __half2* y) {
  y[threadIdx.x] = __hadd2(x[threadIdx.x], y[threadIdx.x]);  // unwritten_half
}

__global__ void unwritten_shared(const float* x, float* y) {
  __shared__ float tile[64];
  const int t = threadIdx.x;
  if (t < 60) tile[t] = x[t];
  __syncthreads();
  y[t] = tile[t];  // unwritten_shared
}

__global__ void unwritten_output(const float* x, float* y) {
  y[threadIdx.x] += x[threadIdx.x];  // unwritten_output
}

__global__ void race_of_blocks(const float* x, float* y) {
  y[threadIdx.x] = x[blockIdx.x];  // race_of_blocks
}

__global__ void race_of_threads(const float* x, float* y) {
  y[0] = x[threadIdx.x];  // race_of_threads
}

__global__ void race_of_warps(const float* x, float* y) {  // lanes of a warp are in step here, warps are not
  __shared__ float tile[64];
  const int t = threadIdx.x;
  tile[t] = x[t];
  __syncwarp();
  y[t] = tile[t ^ 32];  // race_of_warps
}

__global__ void race_with_atomic(const float* x, float* y) {
  atomicAdd(y, x[threadIdx.x]);
  if (threadIdx.x == 0) y[1] = y[0];  // race_with_atomic
}

__global__ void no_fence(const float* x, float* parts, unsigned* arrived, float* sum) {
  parts[blockIdx.x] = x[blockIdx.x];
  if (atomicAdd(arrived, 1u) == gridDim.x - 1) *sum = parts[0] + parts[1];  // no_fence
}

__global__ void fence_before_write(const float* x, float* parts, unsigned* arrived, float* sum) {
  __threadfence();
  parts[blockIdx.x] = x[blockIdx.x];
  if (atomicAdd(arrived, 1u) == gridDim.x - 1) *sum = parts[0] + parts[1];  // fence_before_write
}

__global__ void one_fence_for_two(const float* x, float* parts, unsigned* arrived, float* sum) {
  for (int round = 0; round < 2; ++round) {
    parts[2 * round + blockIdx.x] = x[blockIdx.x];
    if (round == 0) __threadfence();
    if (atomicAdd(arrived + round, 1u) == gridDim.x - 1) sum[round] = parts[2 * round] + parts[2 * round + 1];  // one_fence_for_two
  }
}

__global__ void fence_of_another_thread(const float* x, float* parts, unsigned* arrived, float* sum) {
  __shared__ unsigned before;
  const int t = threadIdx.x;
  parts[32 * blockIdx.x + t] = x[t];
  if (t == 0) {
    __threadfence();
    before = atomicAdd(arrived, 1u);
  }
  __syncthreads();
  if (before == gridDim.x - 1) sum[t] = parts[t] + parts[32 + t];  // fence_of_another_thread
}

__global__ void halves_that_never_met(const float* x, float* y) {
  __shared__ float tile[32];
  const int t = threadIdx.x;
  tile[t] = 0;
  __syncthreads();
  if (t >= 16) {
    tile[t] = x[t];
  } else {
    __syncwarp(0xffff);
    y[t] = tile[t + 16];  // halves_that_never_met
  }
}

__global__ void readers_that_never_met(const float* x, float* y) {
  __shared__ float tile[32];
  const int t = threadIdx.x;
  tile[t] = x[t];
  __syncthreads();
  if (t >= 16) {
    y[t] = tile[3];
  } else {
    __syncwarp(0xffff);
    tile[t] = x[t + 16];  // readers_that_never_met
  }
}

__global__ void ordered_by_shuffle(const float* x, float* y) {
  __shared__ float tile[32];
  const int t = threadIdx.x;
  tile[t] = x[t];
  const float other = __shfl_xor_sync(~0u, x[t], 1);
  y[t] = tile[31 - t] + other;  // ordered_by_shuffle
}

__global__ void ordered_by_vote(const float* x, float* y) {
  __shared__ float tile[32];
  const int t = threadIdx.x;
  tile[t] = x[t];
  const bool any = __any_sync(~0u, x[t] > 0);
  y[t] = tile[31 - t] + any;  // ordered_by_vote
}

__global__ void divergent_barrier(const float* x, float* y) {
  if (threadIdx.x < 32) {
    __syncthreads();
    y[threadIdx.x] = x[0];
  } else {
    y[threadIdx.x] = x[1];
    __syncthreads();  // divergent_barrier
  }
}

__global__ void half_a_warp(const float* x, float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_down_sync(0xffffffffu, x[threadIdx.x], 1);  // half_a_warp
}

__global__ void half_a_warp_before_barrier(const float* x, float* y) {
  const int t = threadIdx.x;
  if (t < 16) y[t] = __shfl_down_sync(0xffffffffu, x[t], 1);  // half_a_warp_before_barrier
  __syncthreads();
}

__global__ void not_in_mask(const float* x, float* y) {
  y[threadIdx.x] = __shfl_xor_sync(0x0000ffffu, x[threadIdx.x], 1);  // not_in_mask
}

__global__ void absent_lane(const float* x, float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, x[threadIdx.x], threadIdx.x + 8);  // absent_lane
}

__global__ void different_collectives(const float* x, float* y) {
  const float v = x[threadIdx.x];
  if (threadIdx.x % 2) y[threadIdx.x] = __shfl_xor_sync(~0u, v, 2);
  else y[threadIdx.x] = __any_sync(~0u, v > 0);  // different_collectives
}

__global__ void different_shuffles(const float* x, float* y) {
  const float v = x[threadIdx.x];
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_up_sync(~0u, v, 1);
  else y[threadIdx.x] = __shfl_down_sync(~0u, v, 1);  // different_shuffles
}

__device__ void multiply(float (&c)[4], unsigned a) {
  asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %4, %4, %4}, {%4, %4}, "
               "{%0, %1, %2, %3};" : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a));
}

__global__ void divergent_mma(const float* x, float* y) {
  float c[4] = {};
  if (threadIdx.x < 16) multiply(c, __float_as_uint(x[0]));
  else multiply(c, __float_as_uint(x[1]));  // divergent_mma
  y[threadIdx.x] = c[0];
}

__global__ void divides_by_zero(const int* x, int* y) {
  y[threadIdx.x] = 100 / x[threadIdx.x];  // divides_by_zero
}

__global__ void beyond_local(const float* x, float* y, int k) {
  float row[8];
  for (int i = 0; i < 8; ++i) row[i] = x[i];
  for (int i = 0; i < 8; ++i) row[(k + i) & 1023] += 1;  // beyond_local
  for (int i = 0; i < 8; ++i) y[i] = row[(k * i) & 7];
}

__global__ void misaligned_local(const float* x, float* y, int k) {
  float row[8];
  for (int i = 0; i < 8; ++i) row[i * k & 7] = x[i];
  const float4 v = *(float4*)(row + k);  // misaligned_local
  y[0] = v.x + v.w;
}

__device__ float deep(const float* x) {
  return x[threadIdx.x];  // in_a_function
}

__global__ void in_a_function(const float* x, float* y) {
  y[threadIdx.x] = deep(x);  // calls_a_function
}
