// The matrix product on the tensor cores: inputs rounded to TF32 or bfloat16 on their way into them, sums in float32.
//
// What changes against conv_registers.cu: a warp multiplies 64 x 64 results at a time by mma.sync, 8 to 16 times the
// arithmetic units' rate, so that fetching is the limit. Therefore tiles travel by cp.async, past the registers, into a
// ring of three stages: two tiles are on their way while one is multiplied. All reads of shared memory are of 16 bytes
// and free of conflicts. For a depth of 16 a block of four warps takes 32 KB from shared memory and puts 16 KB there,
// some 390 cycles of its bandwidth for 256 mma's of TF32, which take about as long. From the caches come 256 values for
// 16,384 products, 0.03 bytes a FLOP: at 5.5 TB/s of an H200's L2 cache that bounds it to about 170 TFLOP/s.
// Blocks of 128 x 128 results, two a multiprocessor of sm_90 (99 KB of shared memory, up to 255 registers), or, where the
// result has no more than 64 columns, of 128 x 64, three a multiprocessor.
#include "conv_shares.cuh"
#include "tensor_cores.cuh"

constexpr int ROWS = 128, DEPTH = 32, STAGES = 3;

// Where a value lies within a tile of SIDE x DEPTH: as in memory, but with its 16-byte pieces exchanged (xor) such that
// the eight lanes that are served at a time (t = 0 .. 3 at two neighbouring g, see read_strips) meet eight groups of banks.
template <bool DEPTH_INNER, int SIDE>
__device__ int place(int side, int depth)
{
    if (DEPTH_INNER) return side * DEPTH + ((depth / 4) ^ (side / 16 % 2 * 4)) * 4 + depth % 4;
    return depth * SIDE + ((side / 4) ^ (depth / 4 % 4)) * 4 + side % 4;
}

// Which of a warp's lines (rows of a, columns of b) is line g of strip s. Four strips are interleaved so that a 16-byte
// read across the side serves all four, and that a 16-byte write does at the end; even g come first, then odd ones, so
// that four lanes write 64 neighbouring bytes.
__device__ int strip_line(int s, int g) { return s / 4 * 32 + (g / 2 + g % 2 * 4) * 4 + s % 4; }

// Read lines `first` and following of a tile, depths from `depth0` on, as multiply wants them: strips[s] is, for lane
// 4 g + t, line g of strip s at depths 4t .. 4t + 3.
template <bool DEPTH_INNER, int SIDE, int STRIPS>
__device__ void read_strips(float4 (&strips)[STRIPS], const float* tile, int first, int depth0)
{
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    if constexpr (DEPTH_INNER) {
#pragma unroll
        for (int s = 0; s < STRIPS; ++s) {
            const int at = place<true, SIDE>(first + strip_line(s, g), depth0 + 4 * t);
            strips[s] = *reinterpret_cast<const float4*>(tile + at);
        }
    } else {
#pragma unroll
        for (int s = 0; s < STRIPS; s += 4) {
            float4 across[4];  // across[e]: strips s .. s + 3 at depth 4t + e
#pragma unroll
            for (int e = 0; e < 4; ++e) {
                const int at = place<false, SIDE>(first + strip_line(s, g), depth0 + 4 * t + e);
                across[e] = *reinterpret_cast<const float4*>(tile + at);
            }
            strips[s] = {across[0].x, across[1].x, across[2].x, across[3].x};
            strips[s + 1] = {across[0].y, across[1].y, across[2].y, across[3].y};
            strips[s + 2] = {across[0].z, across[1].z, across[2].z, across[3].z};
            strips[s + 3] = {across[0].w, across[1].w, across[2].w, across[3].w};
        }
    }
}

template <class Precision, int STRIPS>
__device__ void round_strips(typename Precision::Rounded (&rounded)[STRIPS], const float4 (&strips)[STRIPS])
{
#pragma unroll
    for (int s = 0; s < STRIPS; ++s) rounded[s] = Precision::round(strips[s]);
}

template <class Face, class Precision, int COLUMNS, int A_VEC>
__global__ void __launch_bounds__(THREADS, COLUMNS == 64 ? 3 : 2)
    conv_tensor_cores(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out,
                      long long part_size, int part_depth, int phases, CONVOLUTION)
{
    using Fetch = Shares<Face, ROWS, COLUMNS, DEPTH, A_VEC, 4>;
    extern __shared__ __align__(16) float stages[];  // STAGES x (a's tile, b's tile)
    __shared__ typename Fetch::A::Outers a_outers;
    __shared__ typename Fetch::B::Outers b_outers;

    const Block block(ROWS, COLUMNS, phases);
    const Face face({n, h, w, c, k, kh, kw, sh, sw, top, left, p, q}, a, b, block.phase);
    if (block.row0 >= face.rows) return;
    const int depth0 = block.part * part_depth, depth1 = min(face.depth, depth0 + part_depth);
    const int tiles = max(0, (depth1 - depth0 + DEPTH - 1) / DEPTH);
    typename Fetch::A a_share(face.a, a_outers, block.row0, depth0);
    typename Fetch::B b_share(face.b, b_outers, block.column0, depth0);
    __syncthreads();

    auto a_tile = [&](int tile) { return stages + tile % STAGES * (ROWS + COLUMNS) * DEPTH; };
    auto b_tile = [&](int tile) { return a_tile(tile) + ROWS * DEPTH; };
    auto fetch = [&](int tile) {
        if (tile < tiles) {
#pragma unroll 8
            for (int r = 0; r < Fetch::A::COUNT; ++r)
                cp_async<A_VEC>(a_tile(tile) + place<Face::A_DEPTH_INNER, ROWS>(a_share.side(r), a_share.depth(r)),
                                a_share.at(r));
#pragma unroll 8
            for (int r = 0; r < Fetch::B::COUNT; ++r)
                cp_async<4>(b_tile(tile) + place<Face::B_DEPTH_INNER, COLUMNS>(b_share.side(r), b_share.depth(r)),
                            b_share.at(r));
            a_share.next_tile();
            b_share.next_tile();
        }
        cp_async_commit();  // an empty group where there is no tile left, so that counting groups counts tiles
    };

    constexpr int A_STRIPS = ROWS / 2 / 8, B_STRIPS = COLUMNS / 2 / 8;  // a warp's part of the tile, in strips of 8
    const int warp = threadIdx.x / 32, warp_row = warp % 2 * (ROWS / 2), warp_column = warp / 2 * (COLUMNS / 2);
    float sums[A_STRIPS / 2][B_STRIPS][4] = {};
    for (int tile = 0; tile < STAGES - 1; ++tile) fetch(tile);
    for (int tile = 0; tile < tiles; ++tile) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();  // this tile is complete, and nobody reads any more the one whose place the next fetch takes
        fetch(tile + STAGES - 1);
#pragma unroll
        for (int d = 0; d < DEPTH; d += 16) {
            float4 a_strips[A_STRIPS], b_strips[B_STRIPS];
            read_strips<Face::A_DEPTH_INNER, ROWS>(a_strips, a_tile(tile), warp_row, d);
            read_strips<Face::B_DEPTH_INNER, COLUMNS>(b_strips, b_tile(tile), warp_column, d);
            typename Precision::Rounded a_rounded[A_STRIPS], b_rounded[B_STRIPS];
            round_strips<Precision>(a_rounded, a_strips);
            round_strips<Precision>(b_rounded, b_strips);
#pragma unroll
            for (int i = 0; i < A_STRIPS / 2; ++i)
#pragma unroll
                for (int j = 0; j < B_STRIPS; ++j)
                    Precision::multiply(sums[i][j], a_rounded[2 * i], a_rounded[2 * i + 1], b_rounded[j]);
        }
    }

    // A lane's sums are, in strips 2i (lower = 0) and 2i + 1 of the rows, columns 2t (odd = 0) and 2t + 1 of each strip.
    out += block.part * part_size;
    const int g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < A_STRIPS / 2; ++i)
#pragma unroll
        for (int lower = 0; lower < 2; ++lower) {
            const int row = block.row0 + warp_row + strip_line(2 * i + lower, g);
            if (row >= face.rows) continue;
            float* line = out + face.line(row);
#pragma unroll
            for (int j = 0; j < B_STRIPS; j += 4)
#pragma unroll
                for (int odd = 0; odd < 2; ++odd) {
                    const int column = block.column0 + warp_column + strip_line(j, 2 * t + odd), e = 2 * lower + odd;
                    store4(line, column, face.columns,
                           {sums[i][j][e], sums[i][j + 1][e], sums[i][j + 2][e], sums[i][j + 3][e]});
                }
        }
}
