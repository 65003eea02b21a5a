// Batch normalisation with the activation that follows it. Forward: moments, then y. Backward: two sums, then dx. The
// mathematics asks for two reads of x forward, and two of x and dy backward: y needs all of x first.
//
// The moments and the sums are reductions over the columns of (rows, C). Three kernels for each climb a ladder: by
// column, by tile, by pack. What follows them is shared. The value before the activation is always one expression, down
// to its rounding, so that forward and backward see the same sign.
#include "columns.cuh"

constexpr int TILE_COLUMNS = 32, TILE_ROWS = THREADS / TILE_COLUMNS;

__device__ float not_negative(float value) { return value < 0 ? 0 : value; }  // unlike fmaxf, NaN stays

// Count, mean and sum of squares about the mean of some values; means are counted from a column's first value, so that
// their rounding is relative to the spread of the values, not to their size.
struct Moments {
    static constexpr int PARTS = 3;
    float part[PARTS] = {};

    // Chan, Golub & LeVeque, Algorithms for computing the sample variance (1983). Nothing cancels, and where all values
    // are equal the sum of squares is exactly 0.
    __device__ void merge(const Moments& other) {
        const float count = part[0] + other.part[0];
        if (other.part[0] == 0) return;
        const float share = __fdividef(other.part[0], count), delta = other.part[1] - part[1];
        part[2] += other.part[2] + delta * delta * (part[0] * share);
        part[1] += delta * share;
        part[0] = count;
    }
};

// What a channel's values go through.
struct Channel {
    float mean, scale, beta;

    __device__ Channel() {}
    __device__ Channel(float gamma, float beta, float mean, float var, float eps)
        : mean(mean), scale(gamma / sqrtf(var + eps)), beta(beta) {}

    __device__ float before_activation(float x) const { return __fmaf_rn(x - mean, scale, beta); }
    __device__ float gradient(float dy, float x, float slope) const {
        return before_activation(x) > 0 ? dy : slope * dy;
    }
};

// The four channels of a thread in a channelwise pass.
struct FourChannels {
    Channel at[4];

    __device__ FourChannels(const float* gamma, const float* beta, const float* mean, const float* var, float eps,
                            int channels) {
        const float4 g = of_channels(gamma, channels), b = of_channels(beta, channels);
        const float4 m = of_channels(mean, channels), v = of_channels(var, channels);
        at[0] = {g.x, b.x, m.x, v.x, eps}, at[1] = {g.y, b.y, m.y, v.y, eps};
        at[2] = {g.z, b.z, m.z, v.z, eps}, at[3] = {g.w, b.w, m.w, v.w, eps};
    }
    __device__ const Channel& operator[](int j) const { return at[j]; }
};

// --- by column: a block walks down one column, so that each load brings 32 bytes for the sake of 4 -------------------

// The sum of a value of each thread, for all threads.
__device__ float block_sum(float value, float* slot) {
    __syncthreads();
    slot[threadIdx.x] = value;
    for (int kept = THREADS / 2; kept > 0; kept /= 2) {
        __syncthreads();
        if (threadIdx.x < kept) slot[threadIdx.x] += slot[threadIdx.x + kept];
    }
    __syncthreads();
    return slot[0];
}

// Two passes: the mean, then the squares about it.
__global__ void __launch_bounds__(THREADS)
    moments_by_column(const float* x, float* mean, float* var, int channels, long long rows) {
    __shared__ float slot[THREADS];
    const int c = blockIdx.x;
    const float first = x[c];
    float sum = 0, square = 0;
    for (long long r = threadIdx.x; r < rows; r += THREADS) sum += x[r * channels + c] - first;
    const float centre = block_sum(sum, slot) / rows;
    for (long long r = threadIdx.x; r < rows; r += THREADS) {
        const float d = x[r * channels + c] - first - centre;
        square += d * d;
    }
    square = block_sum(square, slot);
    if (threadIdx.x == 0) mean[c] = first + centre, var[c] = square / rows;
}

__global__ void __launch_bounds__(THREADS)
    gradient_by_column(const float* dy, const float* x, const float* gamma, const float* beta, const float* mean,
                       const float* var, float eps, float slope, float* dgamma, float* dbeta, int channels,
                       long long rows) {
    __shared__ float slot[THREADS];
    const int c = blockIdx.x;
    const Channel channel(gamma[c], beta[c], mean[c], var[c], eps);
    float sum = 0, product = 0;
    for (long long r = threadIdx.x; r < rows; r += THREADS) {
        const float g = channel.gradient(dy[r * channels + c], x[r * channels + c], slope);
        sum += g, product += g * (x[r * channels + c] - channel.mean);
    }
    sum = block_sum(sum, slot), product = block_sum(product, slot);
    if (threadIdx.x == 0) dbeta[c] = sum, dgamma[c] = product / sqrtf(var[c] + eps);
}

// --- by tile: 32 columns and 8 rows a block, whole sectors; the rows are split over blocks ---------------------------

// Merges the sums of the tile's rows and writes the block's partial result; the grid is (tiles of columns, splits).
template <class Sum>
__device__ void write_tile(Sum sum, float* partial, int channels) {
    __shared__ float slot[Sum::PARTS * THREADS];
    const int c = blockIdx.x * TILE_COLUMNS + threadIdx.x % TILE_COLUMNS, row = threadIdx.x / TILE_COLUMNS;
    write_sum(sum, slot + threadIdx.x, THREADS);
    __syncthreads();
    if (row > 0 || c >= channels) return;
    for (int r = 1; r < TILE_ROWS; ++r) sum.merge(read_sum<Sum>(slot + threadIdx.x + r * TILE_COLUMNS, THREADS));
    write_sum(sum, partial + static_cast<long long>(blockIdx.y) * channels + c,
              static_cast<long long>(gridDim.y) * channels);
}

// Welford's update, value by value, with a division for each.
__global__ void __launch_bounds__(THREADS)
    moments_by_tile(const float* x, float* partial, int channels, long long rows) {
    const int c = blockIdx.x * TILE_COLUMNS + threadIdx.x % TILE_COLUMNS, row = threadIdx.x / TILE_COLUMNS;
    Moments sum;
    if (c < channels) {
        const float first = x[c];
        for (long long r = blockIdx.y * TILE_ROWS + row; r < rows; r += gridDim.y * TILE_ROWS) {
            Moments value;
            value.part[0] = 1, value.part[1] = x[r * channels + c] - first;
            sum.merge(value);
        }
    }
    write_tile(sum, partial, channels);
}

__global__ void __launch_bounds__(THREADS)
    gradient_by_tile(const float* dy, const float* x, const float* gamma, const float* beta, const float* mean,
                     const float* var, float eps, float slope, float* partial, int channels, long long rows) {
    const int c = blockIdx.x * TILE_COLUMNS + threadIdx.x % TILE_COLUMNS, row = threadIdx.x / TILE_COLUMNS;
    Sums<2> sum;
    if (c < channels) {
        const Channel channel(gamma[c], beta[c], mean[c], var[c], eps);
        for (long long r = blockIdx.y * TILE_ROWS + row; r < rows; r += gridDim.y * TILE_ROWS) {
            const float value = x[r * channels + c], g = channel.gradient(dy[r * channels + c], value, slope);
            sum.part[0] += g, sum.part[1] += g * (value - channel.mean);
        }
    }
    write_tile(sum, partial, channels);
}

// --- by pack: loads of 16 bytes, two in flight, sums of four channels in registers -----------------------------------

// Reads 4 bytes a value, 4 FLOP. A thread counts its values from the first of them. That one's distance from their mean
// is at most their spread times the square root of their number, 64: cancellation costs at most a factor 64 of
// float32's precision, whatever the mean. No value needs a division, and equal values give exactly 0.
__global__ void __launch_bounds__(THREADS)
    moments_by_pack(const float* x, float* partial, int channels, int stride, long long n) {
    float first[4] = {}, count[4] = {}, sum[4] = {}, square[4] = {};
    auto body = [&](int j, float value) {
        if (count[j] == 0) first[j] = value;
        const float d = value - first[j];
        count[j] += 1, sum[j] += d, square[j] += d * d;
    };
    channelwise(n, stride, body, x);
    const float4 row = of_channels(x, channels);
    const float of_column[4] = {row.x, row.y, row.z, row.w};
    Moments moments[4];
    for (int j = 0; j < 4; ++j) {
        if (count[j] == 0) continue;
        const float mean = sum[j] / count[j];
        moments[j].part[0] = count[j];
        moments[j].part[1] = first[j] - of_column[j] + mean;
        moments[j].part[2] = not_negative(square[j] - sum[j] * mean);
    }
    write_partial(moments, partial, channels, stride);
}

// Reads 8 bytes a value, 7 FLOP.
__global__ void __launch_bounds__(THREADS)
    gradient_by_pack(const float* dy, const float* x, const float* gamma, const float* beta, const float* mean,
                     const float* var, float eps, float slope, float* partial, int channels, int stride, long long n) {
    const FourChannels channel(gamma, beta, mean, var, eps, channels);
    Sums<2> sum[4];
    auto body = [&](int j, float dy, float x) {
        const float g = channel[j].gradient(dy, x, slope);
        sum[j].part[0] += g, sum[j].part[1] += g * (x - channel[j].mean);
    };
    channelwise(n, stride, body, dy, x);
    write_partial(sum, partial, channels, stride);
}

// --- what follows the reductions -------------------------------------------------------------------------------------

__global__ void __launch_bounds__(MERGE_THREADS)
    finish_moments(const float* partial, const float* x, float* mean, float* var, int channels, int width, int splits) {
    const Moments total = merge_partial<Moments>(partial, channels, width, splits);
    if (!owns_channel(channels)) return;
    const int c = merged_channel();
    mean[c] = x[c] + total.part[1];
    var[c] = total.part[2] / total.part[0];
}

__global__ void __launch_bounds__(MERGE_THREADS)
    finish_gradient(const float* partial, const float* var, float eps, float* dgamma, float* dbeta, int channels,
                    int width, int splits) {
    const auto total = merge_partial<Sums<2>>(partial, channels, width, splits);
    if (!owns_channel(channels)) return;
    const int c = merged_channel();
    dbeta[c] = total.part[0];
    dgamma[c] = total.part[1] / sqrtf(var[c] + eps);
}

// Reads 4 bytes a value and writes 4; 4 FLOP.
__global__ void __launch_bounds__(THREADS)
    normalise(const float* x, const float* gamma, const float* beta, const float* mean, const float* var, float eps,
              float slope, float* y, int channels, int stride, long long n) {
    const FourChannels channel(gamma, beta, mean, var, eps, channels);
    auto body = [&](int j, float x, float& y) {
        const float value = channel[j].before_activation(x);
        y = value > 0 ? value : slope * value;
    };
    channelwise(n, stride, body, x, fresh(y));
}

// Reads 8 bytes a value and writes 4; 8 FLOP: dx = scale (g - dbeta / M - xhat dgamma / M).
__global__ void __launch_bounds__(THREADS)
    write_dx(const float* dy, const float* x, const float* gamma, const float* beta, const float* mean,
             const float* var, const float* dgamma, const float* dbeta, float eps, float slope, float* dx, int channels,
             int stride, long long n) {
    const FourChannels channel(gamma, beta, mean, var, eps, channels);
    const float4 b = of_channels(dbeta, channels), g = of_channels(dgamma, channels), v = of_channels(var, channels);
    const float share = 1 / static_cast<float>(n / channels);
    const float through_mean[4] = {b.x * share, b.y * share, b.z * share, b.w * share};
    const float through_var[4] = {g.x * share / sqrtf(v.x + eps), g.y * share / sqrtf(v.y + eps),
                                  g.z * share / sqrtf(v.z + eps), g.w * share / sqrtf(v.w + eps)};
    auto body = [&](int j, float dy, float x, float& dx) {
        const float g = channel[j].gradient(dy, x, slope);
        dx = channel[j].scale * (g - through_mean[j] - (x - channel[j].mean) * through_var[j]);
    };
    channelwise(n, stride, body, dy, x, fresh(dx));
}

// A vector a layer: what it costs is the launch, so both averages are moved in one.
__global__ void __launch_bounds__(THREADS)
    moving_averages(float* running_mean, float* running_var, const float* mean, const float* var, float momentum,
                    float unbiased, int channels) {
    const int c = blockIdx.x * THREADS + threadIdx.x;
    if (c >= channels) return;
    running_mean[c] += momentum * (mean[c] - running_mean[c]);
    running_var[c] += momentum * (var[c] * unbiased - running_var[c]);
}
