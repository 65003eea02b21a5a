// The convolution as a matrix product, tile by tile through shared memory: each value that a block of 32 x 32 threads
// fetches serves 32 of them. 1/16 byte from the caches for a FLOP, 4 bytes in the direct kernel. What bounds it now is
// shared memory: two reads for every two FLOP.
#include "conv.cuh"

constexpr int TILE = 32;

// One value of an operand; side is the row of a, the column of b.
template <bool DEPTH_INNER, class Operand>
__device__ float fetch(const Operand& operand, int side, int depth)
{
    const int outer = DEPTH_INNER ? side : depth, inner = DEPTH_INNER ? depth : side;
    float value[1];
    load<1>(value, operand.at(operand.outer(outer), operand.inner(inner)));
    return value[0];
}

template <class Face>
__global__ void __launch_bounds__(TILE * TILE)
    conv_tiles(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out, CONVOLUTION)
{
    __shared__ float a_tile[TILE][TILE + 1], b_tile[TILE][TILE + 1];  // + 1: columns, too, are in 32 different banks
    const Face face({n, h, w, c, k, kh, kw, sh, sw, top, left, p, q}, a, b, blockIdx.z);
    const int row0 = blockIdx.x * TILE, column0 = blockIdx.y * TILE, x = threadIdx.x, y = threadIdx.y;
    if (row0 >= face.rows) return;  // a phase may have fewer rows than the grid

    float sum = 0;
    for (int k0 = 0; k0 < face.depth; k0 += TILE) {
        // Neighbouring threads fetch neighbours in memory, whichever index that is.
        if (Face::A_DEPTH_INNER) a_tile[y][x] = fetch<true>(face.a, row0 + y, k0 + x);
        else a_tile[x][y] = fetch<false>(face.a, row0 + x, k0 + y);
        if (Face::B_DEPTH_INNER) b_tile[x][y] = fetch<true>(face.b, column0 + y, k0 + x);
        else b_tile[y][x] = fetch<false>(face.b, column0 + x, k0 + y);
        __syncthreads();
        float of_tile = 0;  // short sums of short sums keep their digits
        for (int d = 0; d < TILE; ++d) of_tile += a_tile[y][d] * b_tile[d][x];
        sum += of_tile;
        __syncthreads();
    }
    if (row0 + y < face.rows && column0 + x < face.columns) out[face.line(row0 + y) + column0 + x] = sum;
}
