// Sums over the columns of a matrix (rows, C): per thread in registers, per block in shared memory, then over blocks.
//
// A sum is any type with floats `part[PARTS]`, zero at first, and `merge`. Each block writes one partial result for
// each of its columns, and a second kernel merges them: always in the same order, so that a result has the same bits in
// every run, which atomics could not promise. partial[part][split][slot]; slots c, c + C, c + 2C, ... hold column c.
#pragma once
#include "packs.cuh"

constexpr int MERGE_COLUMNS = 8, MERGE_ROWS = 64, MERGE_THREADS = MERGE_COLUMNS * MERGE_ROWS, MERGE_READS = 8;

template <int N>
struct Sums {
    static constexpr int PARTS = N;
    float part[N] = {};

    __device__ void merge(const Sums& other) {
        for (int q = 0; q < N; ++q) part[q] += other.part[q];
    }
};

template <class Sum>
__device__ Sum read_sum(const float* from, long long distance) {
    Sum sum;
#pragma unroll
    for (int q = 0; q < Sum::PARTS; ++q) sum.part[q] = from[q * distance];
    return sum;
}

template <class Sum>
__device__ void write_sum(const Sum& sum, float* to, long long distance) {
#pragma unroll
    for (int q = 0; q < Sum::PARTS; ++q) to[q * distance] = sum.part[q];
}

// Ends a channelwise pass: the threads' sums of their four channels become the block's partial result.
//
// Where the stride fits a block, its slots hold every channel 4 stride / C times; halves are merged until one is left.
template <class Sum>
__device__ void write_partial(const Sum (&sum)[4], float* partial, int channels, int stride) {
    __shared__ __align__(16) float slot[Sum::PARTS * 4 * THREADS];  // written as float4
    const int width = stride <= THREADS ? channels : 4 * stride;
    const long long distance = static_cast<long long>(gridDim.x) * width;
    float* own = partial + static_cast<long long>(blockIdx.x) * width;
    if (stride > THREADS) {
        const int lane = blockIdx.y * THREADS + threadIdx.x;
        for (int j = 0; j < 4 && lane < stride; ++j) write_sum(sum[j], own + 4 * lane + j, distance);
        return;
    }
    for (int q = 0; q < Sum::PARTS; ++q) {
        const float4 four = {sum[0].part[q], sum[1].part[q], sum[2].part[q], sum[3].part[q]};
        *reinterpret_cast<float4*>(slot + 4 * (q * THREADS + threadIdx.x)) = four;
    }
    __syncthreads();
    for (int copies = 4 * stride / channels; copies > 1;) {
        const int kept = (copies + 1) / 2;
        for (int f = threadIdx.x; f < (copies - kept) * channels; f += THREADS) {
            Sum total = read_sum<Sum>(slot + f, 4 * THREADS);
            total.merge(read_sum<Sum>(slot + f + kept * channels, 4 * THREADS));
            write_sum(total, slot + f, 4 * THREADS);
        }
        __syncthreads();
        copies = kept;
    }
    for (int c = threadIdx.x; c < channels; c += THREADS) {
        write_sum(read_sum<Sum>(slot + c, 4 * THREADS), own + c, distance);
    }
}

// The second kernel: blocks of 8 columns, a sector of memory. What it costs is waiting for memory, so its threads are
// many to a column, and each has several partial results on their way before it merges the first.
__device__ inline int merged_channel() { return blockIdx.x * MERGE_COLUMNS + threadIdx.x % MERGE_COLUMNS; }

__device__ inline bool owns_channel(int channels) {
    return threadIdx.x < MERGE_COLUMNS && merged_channel() < channels;
}

// A column's partial results, merged; the thread that owns the channel gets it.
template <class Sum>
__device__ Sum merge_partial(const float* partial, int channels, int width, int splits) {
    __shared__ float slot[Sum::PARTS * MERGE_THREADS];
    const int c = merged_channel(), first = threadIdx.x / MERGE_COLUMNS, copies = width / channels;
    const long long distance = static_cast<long long>(splits) * width;
    Sum total;
    if (c < channels) {
        for (int i = first; i < splits * copies; i += MERGE_READS * MERGE_ROWS) {
            Sum found[MERGE_READS];
#pragma unroll
            for (int r = 0; r < MERGE_READS; ++r) {
                const int row = i + r * MERGE_ROWS;
                const long long at = static_cast<long long>(row / copies) * width + row % copies * channels + c;
                if (row < splits * copies) found[r] = read_sum<Sum>(partial + at, distance);
            }
#pragma unroll
            for (int r = 0; r < MERGE_READS; ++r) total.merge(found[r]);
        }
    }
    write_sum(total, slot + threadIdx.x, MERGE_THREADS);
    for (int rows = MERGE_ROWS / 2; rows > 0; rows /= 2) {
        __syncthreads();
        if (first < rows) {
            total.merge(read_sum<Sum>(slot + threadIdx.x + rows * MERGE_COLUMNS, MERGE_THREADS));
            write_sum(total, slot + threadIdx.x, MERGE_THREADS);
        }
    }
    return total;
}
