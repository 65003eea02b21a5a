// Results of at most four columns (a logit, the one or three channels of an image): a tile of 64 columns would be
// waste.
//
// A warp takes eight rows and shares out the depth: each lane multiplies its 16 bytes of each row by up to four columns
// of b, fetched once for all eight. Then 31 shuffles add up all 32 sums over all lanes at once. The windows come from
// the caches, each value of the image from memory once: bound by memory, or by the caches where windows overlap much.
#include "conv.cuh"

constexpr int WARPS = 8, WARP_ROWS = 8, MAX_COLUMNS = 4;

// Sum each of 32 values over the lanes; lane i gets the sum of values[i]. Each round a lane keeps half of its values
// and gives the others to the lane across, which keeps those.
__device__ float sum_over_lanes(float (&values)[32])
{
    const int lane = threadIdx.x % 32;
#pragma unroll
    for (int half = 16; half > 0; half /= 2)
#pragma unroll
        for (int i = 0; i < half; ++i) {
            const bool upper = lane & half;
            const float given = upper ? values[i] : values[i + half], kept = upper ? values[i + half] : values[i];
            values[i] = kept + __shfl_xor_sync(0xffffffff, given, half);
        }
    return values[0];
}

template <class Face, int VEC>
__global__ void __launch_bounds__(WARPS * 32)
    conv_few_columns(const float* __restrict__ a, const float* __restrict__ b, float* __restrict__ out,
                     long long part_size, int part_depth, int phases, CONVOLUTION)
{
    const int phase = blockIdx.z % phases, part = blockIdx.z / phases, lane = threadIdx.x % 32;
    const Face face({n, h, w, c, k, kh, kw, sh, sw, top, left, p, q}, a, b, phase);
    const int row0 = (blockIdx.x * WARPS + threadIdx.x / 32) * WARP_ROWS;
    if (row0 >= face.rows) return;
    decltype(face.a.outer(0)) rows[WARP_ROWS];
#pragma unroll
    for (int r = 0; r < WARP_ROWS; ++r) rows[r] = face.a.outer(row0 + r);

    float sums[WARP_ROWS * MAX_COLUMNS] = {};
    const int depth0 = part * part_depth, depth1 = depth0 + min(face.depth - depth0, part_depth);
    auto inner = face.a.inner(depth0 + lane * VEC);
    for (int d = depth0 + lane * VEC; d < depth1; d += 32 * VEC) {
        float columns[MAX_COLUMNS][VEC];
#pragma unroll
        for (int column = 0; column < MAX_COLUMNS; ++column) {
            if constexpr (Face::B_DEPTH_INNER) {
                load<VEC>(columns[column], face.b.at(column, inner));
            } else {
#pragma unroll
                for (int e = 0; e < VEC; ++e) {
                    const Source from = face.b.at(d + e, column);
                    columns[column][e] = from.inside ? *from.address : 0;
                }
            }
        }
#pragma unroll
        for (int r = 0; r < WARP_ROWS; ++r) {
            float row[VEC];
            load<VEC>(row, face.a.at(rows[r], inner));
#pragma unroll
            for (int column = 0; column < MAX_COLUMNS; ++column)
#pragma unroll
                for (int e = 0; e < VEC; ++e) sums[r * MAX_COLUMNS + column] += row[e] * columns[column][e];
        }
        face.a.advance(inner, 32 * VEC);
    }
    const float sum = sum_over_lanes(sums);
    const int r = lane / MAX_COLUMNS, column = lane % MAX_COLUMNS;
    if (row0 + r < face.rows && column < face.columns) out[part * part_size + face.line(row0 + r) + column] = sum;
}
