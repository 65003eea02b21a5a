// Random numbers from a key and a counter in device memory: a captured graph draws new ones each time.
//
// A draw only reads the state; `advance`, launched after it, moves the counter on. So no block of a draw can see a
// counter that another has moved, and nothing is counted by atomics.
#include "philox.cuh"

constexpr int THREADS = 256, ROWS = 128;

__global__ void __launch_bounds__(1) advance(unsigned long long* state, unsigned long long blocks) {
    state[1] += blocks;
}

// The four values of a thread, written in one piece where all of them are wanted.
__device__ void store_up_to_4(float* out, long long i, long long n, float4 v) {
    if (i + 4 <= n) {
        *reinterpret_cast<float4*>(out + i) = v;
    } else {
        if (i < n) out[i] = v.x;
        if (i + 1 < n) out[i + 1] = v.y;
        if (i + 2 < n) out[i + 2] = v.z;
    }
}

__device__ long long this_thread() { return blockIdx.x * static_cast<long long>(blockDim.x) + threadIdx.x; }

// The products are rounded before the sum, as every table does: the same bits everywhere.
__device__ float uniform_value(unsigned word, float low, float width) {
    const float u = ((word >> 9) + 0.5f) * 0x1p-23f;
    return __fadd_rn(low, __fmul_rn(width, u));
}

// Writes 4 bytes a value; some 25 instructions a value, which takes about as long.
__global__ void __launch_bounds__(THREADS)
    uniform(const unsigned long long* state, float* out, float low, float width, long long n) {
    const long long block = this_thread();
    if (4 * block >= n) return;
    const uint4 w = philox_block(state, block);
    store_up_to_4(out, 4 * block, n,
                  {uniform_value(w.x, low, width), uniform_value(w.y, low, width), uniform_value(w.z, low, width),
                   uniform_value(w.w, low, width)});
}

// Box & Muller: u within (0, 1], so that the logarithm is finite; sincospi needs no reduction of its argument.
__device__ float2 normal_pair(unsigned v, unsigned w) {
    const float u = __fadd_rn(__fmul_rn(v, 0x1p-32f), 0x1p-33f), radius = sqrtf(-2 * logf(u));
    float sine, cosine;
    sincospif((w >> 8) * 0x1p-23f, &sine, &cosine);
    return {radius * cosine, radius * sine};
}

// Writes 4 bytes a value; bound by arithmetic: logarithm, root, sine and cosine for two values.
__global__ void __launch_bounds__(THREADS) normal(const unsigned long long* state, float* out, long long n) {
    const long long block = this_thread();
    if (4 * block >= n) return;
    const uint4 w = philox_block(state, block);
    const float2 a = normal_pair(w.x, w.y), b = normal_pair(w.z, w.w);
    store_up_to_4(out, 4 * block, n, {a.x, a.y, b.x, b.y});
}

// A block draws the classes of 128 rows, one a thread, then writes its rows as one run of values.
__global__ void __launch_bounds__(ROWS)
    categorical(const unsigned long long* state, float* out, int classes, long long n) {
    __shared__ int chosen[ROWS];
    const long long row = this_thread(), first = row - threadIdx.x;
    if (row < n) {
        const uint4 w = philox_block(state, row / 4);
        const unsigned word = row % 4 == 0 ? w.x : row % 4 == 1 ? w.y : row % 4 == 2 ? w.z : w.w;
        chosen[threadIdx.x] = __umulhi(word, classes);
    }
    __syncthreads();
    const long long values = min(static_cast<long long>(ROWS), n - first) * classes;
    for (long long i = threadIdx.x; i < values; i += ROWS) {
        const int of_row = i / classes, k = i % classes;
        out[first * classes + i] = chosen[of_row] == k;
    }
}
