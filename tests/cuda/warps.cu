// Threads that exchange values: shuffles, votes, barriers, atomics, and the last block's duty.
__global__ void shuffles(const float* x, float* y, unsigned* votes) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x, n = gridDim.x * blockDim.x, lane = threadIdx.x % 32;
  const float v = x[i];
  float sum = v, prefix = v;
  for (int o = 16; o; o >>= 1) sum += __shfl_xor_sync(~0u, sum, o);
  for (int o = 1; o < 32; o <<= 1) {
    const float other = __shfl_up_sync(~0u, prefix, o);
    if (lane >= o) prefix += other;
  }
  y[i] = sum, y[n + i] = prefix;
  y[2 * n + i] = __shfl_sync(~0u, v, (lane * 7 + 3) % 32);
  y[3 * n + i] = __shfl_down_sync(~0u, v, 3, 8);
  const unsigned positive = __ballot_sync(~0u, v > 0);
  const int some = __any_sync(~0u, v > 2), all = __all_sync(~0u, v > -2);
  if (lane == 0) votes[3 * (i / 32)] = positive, votes[3 * (i / 32) + 1] = some, votes[3 * (i / 32) + 2] = all;
}

__global__ void two_halves(const int* x, int* y) {  // of a warp, each with a mask of its own
  const int lane = threadIdx.x;
  int v = x[lane];
  if (lane < 16) v = __shfl_xor_sync(0x0000ffffu, v, 1);
  else v = __shfl_xor_sync(0xffff0000u, v, 2);
  y[lane] = v;
}

__global__ void whole_warp(const int* x, int* sum, int* least, unsigned* same) {
  const int lane = threadIdx.x;
  sum[lane] = __reduce_add_sync(~0u, x[lane]);
  least[lane] = __reduce_min_sync(~0u, x[lane]);
  same[lane] = __match_any_sync(~0u, x[lane]);
}

template <class T>
__global__ void block_sums(const T* x, T* y, int n) {  // whole warps only
  __shared__ T parts[32];
  T sum = 0;
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) sum += x[i];
  for (int o = 16; o; o >>= 1) {
    const T other = __shfl_down_sync(~0u, sum, o);
    if (threadIdx.x % 32 + o < 32) sum += other;
  }
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int w = 1; w < (blockDim.x + 31) / 32; ++w) sum += parts[w];
    y[blockIdx.x] = sum;
  }
}

__global__ void count_at_barrier(const float* x, int* y) {
  const bool positive = x[threadIdx.x] > 0;
  const int count = __syncthreads_count(positive), some = __syncthreads_or(positive), all = __syncthreads_and(positive);
  if (threadIdx.x == 0) y[0] = count, y[1] = some, y[2] = all;
}

__global__ void histogram(const int* x, int* counts, int* most, int n) {
  __shared__ int bins[64];
  if (threadIdx.x < 64) bins[threadIdx.x] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
    atomicAdd(&bins[x[i] & 63], 1);
    atomicMax(most, x[i]);
  }
  __syncthreads();
  if (threadIdx.x < 64) atomicAdd(&counts[threadIdx.x], bins[threadIdx.x]);
}

__global__ void atomics(unsigned* u, float* f, double* d, unsigned long long* q, int n) {
  const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  atomicMin(&u[0], i + 5), atomicAnd(&u[1], ~(1u << i % 32)), atomicOr(&u[2], 1u << i % 20), atomicXor(&u[3], i);
  atomicInc(&u[4], 9), atomicDec(&u[5], 9), atomicSub(&u[6], 2);
  atomicAdd(f, 0.5f), atomicAdd(d, 0.25), atomicAdd(q, 1ull << 33);
  unsigned seen = u[8], wanted;  // u[8] is written by nobody
  do {
    wanted = seen;
    seen = atomicCAS(&u[7], wanted, wanted + 3);
  } while (seen != wanted);
}

// What the lower eight lanes write reaches lanes 16 to 23 through lanes 8 to 15, which meet first these, then those.
__global__ void passed_on(const float* x, float* y) {
  __shared__ float tile[32];
  const int t = threadIdx.x;
  tile[t] = x[t];
  if (t < 16) __syncwarp(0x0000ffff);
  if (t >= 8 && t < 24) __syncwarp(0x00ffff00);
  y[t] = t >= 16 && t < 24 ? tile[t - 16] : 0;
}

// Each block leaves a part; the block that comes last adds them up, in order. What it writes after the fence is its own.
__global__ void sum_by_last_block(const float* x, float* parts, unsigned* arrived, float* sum, bool* done) {
  __shared__ bool last;
  if (threadIdx.x == 0) {
    float part = 0;
    for (int i = 0; i < blockDim.x; ++i) part += x[blockIdx.x * blockDim.x + i];
    parts[blockIdx.x] = part;
    __threadfence();
    done[blockIdx.x] = true;
    last = atomicAdd(arrived, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float all = 0;
    for (int b = 0; b < gridDim.x; ++b) all += parts[b];
    *sum = all;
    *arrived = 0;
  }
}
