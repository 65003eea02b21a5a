// Passes over whole arrays, in packs of four values: what all kernels that are bound by memory alone are made of.
//
//     elementwise(n, [=](float x, float& y) { y = x > 0 ? x : slope * x; }, x, fresh(y));
//
// An array of const is read, a fresh one written, any other read and written. A thread loads two packs of every array
// before it uses the first: with 2,048 threads a multiprocessor, 64 KiB of each are in flight, where bandwidth times
// latency asks for 25 to 30 KiB in all. (Channelwise passes get 768 threads, 24 KiB of each of their two or three
// arrays: what follows them merges a result of every block.) Neighbouring threads take neighbouring packs: 512 bytes in
// a row for a warp.
//
// `channelwise` goes over an array (..., C) so that a thread sees the same four channels in every pack, and keeps what
// belongs to them in registers. Packs and channels line up again after a period of C / gcd(C, 4) packs; a thread that
// moves on by a multiple of it (`stride`, in packs) stays with its channels, be C 64, 3 or 50. No row needs padding,
// and all loads but those of the last few values are of 16 bytes.
#pragma once

constexpr int THREADS = 256, PACKS = 2;

struct Fresh {
    float* at;
};

__device__ inline Fresh fresh(float* array) { return {array}; }

__device__ inline float4 load4(const float* array, long long i) { return *reinterpret_cast<const float4*>(array + i); }
__device__ inline float4 load4(Fresh, long long) { return {}; }
__device__ inline float load1(const float* array, long long i) { return array[i]; }
__device__ inline float load1(Fresh, long long) { return 0; }

__device__ inline void store4(const float*, long long, float4) {}
__device__ inline void store4(float* array, long long i, float4 v) { *reinterpret_cast<float4*>(array + i) = v; }
__device__ inline void store4(Fresh array, long long i, float4 v) { store4(array.at, i, v); }
__device__ inline void store1(const float*, long long, float) {}
__device__ inline void store1(float* array, long long i, float v) { array[i] = v; }
__device__ inline void store1(Fresh array, long long i, float v) { array.at[i] = v; }

__device__ inline bool aligned(const void* array) { return reinterpret_cast<unsigned long long>(array) % 16 == 0; }
__device__ inline bool aligned(Fresh array) { return aligned(array.at); }

// An array, and what a thread holds of it in registers.
template <class Array>
struct Held {
    Array array;
    float value[PACKS][4];

    __device__ void load(int p, long long i) {
        const float4 v = load4(array, i);
        value[p][0] = v.x, value[p][1] = v.y, value[p][2] = v.z, value[p][3] = v.w;
    }
    __device__ void store(int p, long long i) const {
        store4(array, i, {value[p][0], value[p][1], value[p][2], value[p][3]});
    }
};

// A pack that is cut off by the end of the arrays, or that does not lie at a multiple of 16 bytes, goes value by value.
// The loop is unrolled so that j is known: what f keeps for each channel could not stay in registers otherwise.
template <class F, class... Array>
__device__ void one_by_one(long long i, long long n, F& f, Held<Array>&... held) {
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        if (i + j >= n) break;
        ((held.value[0][0] = load1(held.array, i + j)), ...);
        f(j, held.value[0][0]...);
        (store1(held.array, i + j, held.value[0][0]), ...);
    }
}

// What block number `block` of so many does of n values.
template <class F, class... Array>
__device__ void over_packs(int block, int blocks, long long n, int stride, F& f, Held<Array>... held) {
    const int lane = blockIdx.y * THREADS + threadIdx.x;
    const long long step = 4ll * stride, reach = PACKS * step;
    const bool wide = (aligned(held.array) && ...);
    if (lane >= stride) return;
    for (long long i = block * reach + 4 * lane; i < n; i += blocks * reach) {
        bool whole[PACKS];
#pragma unroll
        for (int p = 0; p < PACKS; ++p) {
            whole[p] = wide && i + p * step + 4 <= n;
            if (whole[p]) (held.load(p, i + p * step), ...);
        }
#pragma unroll
        for (int p = 0; p < PACKS; ++p) {
            if (whole[p]) {
#pragma unroll
                for (int j = 0; j < 4; ++j) f(j, held.value[p][j]...);
                (held.store(p, i + p * step), ...);
            } else {
                one_by_one(i + p * step, n, f, held...);
            }
        }
    }
}

// Calls f(value of each array...) for those of n values that are the block's, of so many.
template <class F, class... Array>
__device__ void elementwise_of(int block, int blocks, long long n, F f, Array... arrays) {
    auto without_channel = [=](int, auto&... value) { f(value...); };
    over_packs(block, blocks, n, THREADS, without_channel, Held<Array>{arrays}...);
}

// Calls f(value of each array...) for all n values.
template <class F, class... Array>
__device__ void elementwise(long long n, F f, Array... arrays) {
    elementwise_of(blockIdx.x, gridDim.x, n, f, arrays...);
}

// Calls f(j, value of each array...) for all n values; j says which of the thread's four channels it belongs to.
template <class F, class... Array>
__device__ void channelwise(long long n, int stride, F f, Array... arrays) {
    over_packs(blockIdx.x, gridDim.x, n, stride, f, Held<Array>{arrays}...);
}

// What a vector (C,) holds for the four channels that this thread sees.
__device__ inline float4 of_channels(const float* vector, int channels) {
    const int first = 4 * (blockIdx.y * THREADS + threadIdx.x);
    if (channels % 4 == 0 && aligned(vector)) return load4(vector, first % channels);
    return {vector[first % channels], vector[(first + 1) % channels], vector[(first + 2) % channels],
            vector[(first + 3) % channels]};
}
