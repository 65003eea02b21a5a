// Activations and their gradients: each a single pass. The comments count the bytes and FLOP of a value.
//
// A comparison with NaN is false: NaN takes the branch that multiplies it by the slope, and stays NaN.
#include "columns.cuh"

__device__ float leaky(float value, float sign, float slope) { return sign > 0 ? value : slope * value; }

// 8 bytes, 1 FLOP.
__global__ void __launch_bounds__(THREADS) leaky_relu(const float* x, float slope, float* y, long long n) {
    elementwise(n, [=](float x, float& y) { y = leaky(x, x, slope); }, x, fresh(y));
}

// 12 bytes, 1 FLOP.
__global__ void __launch_bounds__(THREADS)
    leaky_relu_grad(const float* dy, const float* y, float slope, float* dx, long long n) {
    elementwise(n, [=](float dy, float y, float& dx) { dx = leaky(dy, y, slope); }, dy, y, fresh(dx));
}

// 8 bytes, 2 FLOP; a thread keeps the biases of its channels.
__global__ void __launch_bounds__(THREADS)
    bias_leaky_relu(const float* x, const float* b, float slope, float* y, int channels, int stride, long long n) {
    const float4 four = of_channels(b, channels);
    const float bias[4] = {four.x, four.y, four.z, four.w};
    channelwise(n, stride, [&](int j, float x, float& y) { y = leaky(x + bias[j], x + bias[j], slope); }, x, fresh(y));
}

// 12 bytes, 2 FLOP: dx and the sums for db in the same pass.
__global__ void __launch_bounds__(THREADS)
    bias_leaky_relu_grad(const float* dy, const float* y, float slope, float* dx, float* partial, int channels,
                         int stride, long long n) {
    Sums<1> db[4];
    auto body = [&](int j, float dy, float y, float& dx) {
        dx = leaky(dy, y, slope);
        db[j].part[0] += dx;
    };
    channelwise(n, stride, body, dy, y, fresh(dx));
    write_partial(db, partial, channels, stride);
}

__global__ void __launch_bounds__(MERGE_THREADS)
    bias_grad(const float* partial, float* db, int channels, int width, int splits) {
    const auto sum = merge_partial<Sums<1>>(partial, channels, width, splits);
    if (owns_channel(channels)) db[merged_channel()] = sum.part[0];
}

// 8 bytes; tanhf takes some 20 instructions, as long as a third of the memory's time.
__global__ void __launch_bounds__(THREADS) tanh_forward(const float* x, float* y, long long n) {
    elementwise(n, [=](float x, float& y) { y = tanhf(x); }, x, fresh(y));
}

// 12 bytes, 3 FLOP.
__global__ void __launch_bounds__(THREADS) tanh_grad(const float* dy, const float* y, float* dx, long long n) {
    elementwise(n, [=](float dy, float y, float& dx) { dx = dy * (1 - y * y); }, dy, y, fresh(dx));
}

// 8 bytes, 4 FLOP and an exponential, whose exponent is never positive.
__global__ void __launch_bounds__(THREADS) sigmoid(const float* x, float* y, long long n) {
    auto body = [=](float x, float& y) {
        const float e = expf(-fabsf(x));
        y = (x >= 0 ? 1 : e) / (1 + e);
    };
    elementwise(n, body, x, fresh(y));
}

// 12 bytes, 3 FLOP.
__global__ void __launch_bounds__(THREADS) sigmoid_grad(const float* dy, const float* y, float* dx, long long n) {
    elementwise(n, [=](float dy, float y, float& dx) { dx = dy * y * (1 - y); }, dy, y, fresh(dx));
}
