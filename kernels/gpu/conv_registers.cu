// The matrix product again, with two levels of tiles: a block's 128 x 64 results, a thread's 8 x 8 of them in
// registers.
//
// What changes against conv_tiles.cu: a thread reads 16 values from shared memory for 64 products (it was 2 for 1), in
// 16-byte pieces, so that the arithmetic units are the limit: 512 of the 655 instructions of a tile are multiply-adds.
// Memory is read in 16-byte pieces, by cursors instead of divisions, and the next tile is on its way from memory while
// this one is multiplied (two tiles in shared memory, one barrier a tile). 192 values fetched for 8,192 products: 0.05
// bytes from the caches a FLOP. Up to 168 registers and 15 KB of shared memory: three blocks, 12 warps a
// multiprocessor.
#include "conv_shares.cuh"

constexpr int ROWS = 128, COLUMNS = 64, DEPTH = 8, PAD = 4;

// What a thread fetches of a tile, on its way to shared memory. There, what one depth needs lies side by side; PAD
// more, so that vectors along the depth are written to different banks.
template <class Share, int VEC>
struct Fetched {
    float values[Share::COUNT][VEC];

    __device__ void fetch(Share& share)
    {
#pragma unroll
        for (int r = 0; r < Share::COUNT; ++r) load<VEC>(values[r], share.at(r));
        share.next_tile();
    }

    template <bool DEPTH_INNER, int LINE>
    __device__ void put(float (&tile)[DEPTH][LINE]) const
    {
#pragma unroll
        for (int r = 0; r < Share::COUNT; ++r) {
            const int side = Share::side() + Share::side_step(r), depth = Share::depth() + Share::depth_step(r);
            if constexpr (VEC == 4 && !DEPTH_INNER) {
                *reinterpret_cast<float4*>(&tile[depth][side]) =
                    float4{values[r][0], values[r][1], values[r][2], values[r][3]};
            } else {
#pragma unroll
                for (int e = 0; e < VEC; ++e) tile[depth + e][side] = values[r][e];
            }
        }
    }
};

// Eight values of a line of a tile: four from `first` on, four more in the tile's other half.
template <int LINE>
__device__ void read8(float (&values)[8], const float (&line)[LINE], int first)
{
#pragma unroll
    for (int half = 0; half < 2; ++half) {
        const float4 v = *reinterpret_cast<const float4*>(&line[first + half * (LINE - PAD) / 2]);
        values[4 * half] = v.x, values[4 * half + 1] = v.y, values[4 * half + 2] = v.z, values[4 * half + 3] = v.w;
    }
}

// A thread's results: 8 rows and 8 columns, each four neighbours in one half of the tile and four in the other.
struct Eights {
    int row, column;  // where they begin
    float sums[8][8] = {};

    __device__ Eights() : row(thread() / 8 * 4), column(thread() % 8 * 4) {}

    __device__ void multiply(const float (&a_tile)[DEPTH][ROWS + PAD], const float (&b_tile)[DEPTH][COLUMNS + PAD])
    {
#pragma unroll
        for (int d = 0; d < DEPTH; ++d) {
            float rows[8], columns[8];
            read8(rows, a_tile[d], row);
            read8(columns, b_tile[d], column);
#pragma unroll
            for (int i = 0; i < 8; ++i)
#pragma unroll
                for (int j = 0; j < 8; ++j) sums[i][j] += rows[i] * columns[j];
        }
    }

    template <class Face>
    __device__ void store(float* out, const Face& face, int row0, int column0) const
    {
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            const int r = row0 + row + i % 4 + i / 4 * (ROWS / 2);
            if (r >= face.rows) continue;
            float* line = out + face.line(r);
#pragma unroll
            for (int j = 0; j < 8; j += 4)
                store4(line, column0 + column + j / 4 * (COLUMNS / 2), face.columns,
                       {sums[i][j], sums[i][j + 1], sums[i][j + 2], sums[i][j + 3]});
        }
    }
};

template <class Face, int VEC>
__global__ void __launch_bounds__(THREADS, 3)
    conv_registers(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out,
                   long long part_size, int part_depth, int phases, CONVOLUTION)
{
    using Share = Shares<Face, ROWS, COLUMNS, DEPTH, VEC, VEC>;
    __shared__ __align__(16) float a_tiles[2][DEPTH][ROWS + PAD], b_tiles[2][DEPTH][COLUMNS + PAD];
    __shared__ typename Share::A::Outers a_outers;
    __shared__ typename Share::B::Outers b_outers;

    const Block block(ROWS, COLUMNS, phases);
    const Face face({n, h, w, c, k, kh, kw, sh, sw, top, left, p, q}, a, b, block.phase);
    if (block.row0 >= face.rows) return;
    const int depth0 = block.part * part_depth, depth1 = depth0 + min(face.depth - depth0, part_depth);
    typename Share::A a_share(face.a, a_outers, block.row0, depth0);
    typename Share::B b_share(face.b, b_outers, block.column0, depth0);
    __syncthreads();

    Fetched<typename Share::A, VEC> a_next;
    Fetched<typename Share::B, VEC> b_next;
    auto put = [&](int buffer) {
        a_next.template put<Face::A_DEPTH_INNER>(a_tiles[buffer]);
        b_next.template put<Face::B_DEPTH_INNER>(b_tiles[buffer]);
    };
    if (depth0 < depth1) {  // a phase may meet no tap at all
        a_next.fetch(a_share);
        b_next.fetch(b_share);
        put(0);
    }
    Eights eights;
    int buffer = 0;
    for (int k0 = depth0; k0 < depth1; k0 += DEPTH, buffer ^= 1) {
        __syncthreads();  // this tile is complete, and nobody reads the other any more
        const bool more = k0 + DEPTH < depth1;
        if (more) {
            a_next.fetch(a_share);
            b_next.fetch(b_share);
        }
        eights.multiply(a_tiles[buffer], b_tiles[buffer]);
        if (more) put(buffer ^ 1);
    }
    eights.store(out + block.part * part_size, face, block.row0, block.column0);
}
