// The matrix product on the tensor cores: inputs rounded to TF32 or bfloat16 on their way into them, sums in float32.
//
// What changes against conv_registers.cu: a warp multiplies 64 x 64 results at a time by mma.sync, at 8 to 16 times the
// arithmetic units' rate, so that fetching is the limit. Therefore tiles travel by cp.async, past the registers, into a
// ring of three stages: two tiles are on their way while one is multiplied.
//
// What bounds it, for blocks of 128 x 128 results and TF32:
//   shared memory   of each 16 of depth four warps read 32 KB and fetching writes 16 KB, without a bank conflict: 384
//                   cycles for 256 mma, which take about as long
//   the L2 cache    256 values for 16,384 products, 0.03 bytes a FLOP: some 170 TFLOP/s at 5.5 TB/s
//   instructions    some 600 a tile and warp (sm_90) for 128 mma; 128 of them round
// Two blocks a multiprocessor of sm_90: 99 KB of shared memory, up to 255 registers. (Blocks of 256 x 128, one a
// multiprocessor, ask a quarter less of the L2 cache, and were no faster on an H100.) Where the result has no
// more than 64 columns, blocks of 128 x 64, three a multiprocessor.
#include "conv_shares.cuh"
#include "tensor_cores.cuh"

constexpr int ROWS = 128, DEPTH = 32, STAGES = 3;

// Where a value lies within a tile of SIDE x DEPTH: as in memory, but with its 16-byte pieces exchanged (xor) such that
// all reads below are served without a bank conflict.
template <bool DEPTH_INNER, int SIDE>
constexpr __device__ int place(int side, int depth)
{
    if (DEPTH_INNER) return side * DEPTH + ((depth / 4) ^ ((side ^ (side / 8)) % 8)) * 4 + depth % 4;
    return depth * SIDE + ((side / 4) ^ (depth % 4 * 2)) * 4 + side % 4;
}

// The same place, moved by a step that shares no bits with it: place(s + s', d + d') == place(s, d) ^ place(s', d').
// Only the lowest bits can meet; so the compiler needs an instruction for each different end of a step, no more.
__device__ inline int moved(int place, int step) { return (place ^ step % 32) + step / 32 * 32; }

// The tensor cores' first operand is b, their second a, that is, they make the tile's transpose: then no face needs a
// register moved. From b a fragment takes 16 neighbouring lines, the even ones as its upper half, the odd ones as its
// lower, so that its two values of a depth, and at the end two of a row of the result, are neighbours in memory. (A
// lane's own place, and the steps from there, are parted as `moved` wants them.)
template <bool DEPTH_INNER, int SIDE>
__device__ void read16(float (&values)[2][4], const float* tile, int first, int line_step, int depth)
{
    const int lane = thread() % 32, g = lane / 4, t = lane % 4;
    const int side = first + (DEPTH_INNER ? lane % 8 * 2 + lane / 8 % 2 : 2 * g);
    const int own = place<DEPTH_INNER, SIDE>(side, DEPTH_INNER ? lane / 16 * 4 : t);
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        if constexpr (DEPTH_INNER) {
            ldmatrix(values[h], tile + moved(own, place<true, SIDE>(line_step, depth + 8 * h)));
        } else {
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                const int at = moved(own, place<false, SIDE>(line_step, depth + 8 * h + 4 * e));
                const float2 pair = *reinterpret_cast<const float2*>(tile + at);
                values[h][2 * e] = pair.x, values[h][2 * e + 1] = pair.y;
            }
        }
    }
}

// From a, 8 neighbouring lines in their order.
template <bool DEPTH_INNER, int SIDE>
__device__ void read8(float (&values)[2][2], const float* tile, int first, int line_step, int depth)
{
    const int lane = thread() % 32, g = lane / 4, t = lane % 4;
    const int side = first + (DEPTH_INNER ? lane % 8 : g);
    const int own = place<DEPTH_INNER, SIDE>(side, DEPTH_INNER ? lane / 8 * 4 : t);
    if constexpr (DEPTH_INNER) {
        float four[4];
        ldmatrix(four, tile + moved(own, place<true, SIDE>(line_step, depth)));
        values[0][0] = four[0], values[0][1] = four[1], values[1][0] = four[2], values[1][1] = four[3];
    } else {
#pragma unroll
        for (int h = 0; h < 2; ++h)
#pragma unroll
            for (int e = 0; e < 2; ++e)
                values[h][e] = tile[moved(own, place<false, SIDE>(line_step, depth + 8 * h + 4 * e))];
    }
}

// Start to copy a thread's share of a tile.
template <bool DEPTH_INNER, int SIDE, int VEC, class Share>
__device__ void fetch(float* tile, Share& share)
{
    const int own = place<DEPTH_INNER, SIDE>(share.side(), share.depth());
#pragma unroll 8
    for (int r = 0; r < Share::COUNT; ++r) {
        const Source from = share.at(r);
        const int step = place<DEPTH_INNER, SIDE>(share.side_step(r), share.depth_step(r));
        cp_async<VEC>(tile + moved(own, step), from.address, !from.inside);
    }
    share.next_tile();
}

// A warp's quarter of the tile of results, in pieces of 8 rows x 16 columns. Lane 4 g + t holds columns 2g and 2g + 1
// of rows 2t and 2t + 1 of each: sums[..][0] and [1] are column 2g of the two rows, [2] and [3] column 2g + 1.
template <class Face, int COLUMNS>
struct Quarter {
    static constexpr int EIGHTS = ROWS / 2 / 8, SIXTEENS = COLUMNS / 2 / 16;

    int row, column;  // where it begins within the tile
    float sums[EIGHTS][SIXTEENS][4] = {};

    __device__ Quarter() : row(thread() / 32 % 2 * (ROWS / 2)), column(thread() / 64 * (COLUMNS / 2)) {}

    template <class Precision>
    __device__ void multiply(const float* a_tile, const float* b_tile)
    {
        using Rows = typename Precision::template Fragment<2>;
        using Columns = typename Precision::template Fragment<4>;
#pragma unroll
        for (int depth = 0; depth < DEPTH; depth += 16) {
            Rows rows[EIGHTS];
            Columns columns[SIXTEENS];
#pragma unroll
            for (int i = 0; i < EIGHTS; ++i) {
                float values[2][2];
                read8<Face::A_DEPTH_INNER, ROWS>(values, a_tile, row, 8 * i, depth);
                rows[i] = Rows(values);
            }
#pragma unroll
            for (int j = 0; j < SIXTEENS; ++j) {
                float values[2][4];
                read16<Face::B_DEPTH_INNER, COLUMNS>(values, b_tile, column, 16 * j, depth);
                columns[j] = Columns(values);
            }
#pragma unroll
            for (int i = 0; i < EIGHTS; ++i)
#pragma unroll
                for (int j = 0; j < SIXTEENS; ++j) Precision::multiply(sums[i][j], columns[j], rows[i]);
        }
    }

    __device__ void store(float* out, const Face& face, int row0, int column0) const
    {
        const int g = thread() % 32 / 4, t = thread() % 4;
#pragma unroll
        for (int i = 0; i < EIGHTS; ++i)
#pragma unroll
            for (int odd = 0; odd < 2; ++odd) {
                const int r = row0 + row + 8 * i + 2 * t + odd;
                if (r >= face.rows) continue;
                float* line = out + face.line(r);
#pragma unroll
                for (int j = 0; j < SIXTEENS; ++j)
                    store2(line, column0 + column + 16 * j + 2 * g, face.columns,
                           {sums[i][j][odd], sums[i][j][2 + odd]});
            }
    }
};

template <class Face, class Precision, int COLUMNS, int A_VEC>
__global__ void __launch_bounds__(THREADS, COLUMNS == 64 ? 3 : 2)
    conv_tensor_cores(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out,
                      long long part_size, int part_depth, int phases, CONVOLUTION)
{
    using Share = Shares<Face, ROWS, COLUMNS, DEPTH, A_VEC, 4>;
    extern __shared__ __align__(16) float stages[];  // STAGES x (a's tile, b's tile)
    __shared__ typename Share::A::Outers a_outers;
    __shared__ typename Share::B::Outers b_outers;

    const Block block(ROWS, COLUMNS, phases);
    const Face face({n, h, w, c, k, kh, kw, sh, sw, top, left, p, q}, a, b, block.phase);
    if (block.row0 >= face.rows) return;
    const int depth0 = block.part * part_depth, depth1 = depth0 + min(face.depth - depth0, part_depth);
    const int tiles = max(0, (depth1 - depth0 + DEPTH - 1) / DEPTH);
    typename Share::A a_share(face.a, a_outers, block.row0, depth0);
    typename Share::B b_share(face.b, b_outers, block.column0, depth0);
    __syncthreads();

    auto a_tile = [&](int tile) { return stages + tile % STAGES * (ROWS + COLUMNS) * DEPTH; };
    auto b_tile = [&](int tile) { return a_tile(tile) + ROWS * DEPTH; };
    auto fetch_tile = [&](int tile) {
        if (tile < tiles) {
            fetch<Face::A_DEPTH_INNER, ROWS, A_VEC>(a_tile(tile), a_share);
            fetch<Face::B_DEPTH_INNER, COLUMNS, 4>(b_tile(tile), b_share);
        }
        cp_async_commit();  // an empty group where there is no tile left, so that counting groups counts tiles
    };

    Quarter<Face, COLUMNS> quarter;
    for (int tile = 0; tile < STAGES - 1; ++tile) fetch_tile(tile);
    for (int tile = 0; tile < tiles; ++tile) {
        cp_async_wait<STAGES - 2>();
        __syncthreads();  // this tile is complete, and nobody reads any more the one whose place the next fetch takes
        fetch_tile(tile + STAGES - 1);
        quarter.template multiply<Precision>(a_tile(tile), b_tile(tile));
    }
    quarter.store(out + block.part * part_size, face, block.row0, block.column0);
}
