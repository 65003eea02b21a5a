// Losses of logits: no exponent is ever positive, no logarithm ever meets a zero. The comments count a value's bytes.
#include "packs.cuh"

constexpr int ROWS = THREADS / 32;  // of a softmax, that a block computes: one a warp

// 12 bytes: |x| times the weight of the wrong side (max(x, 0) - x t without its cancellation) + ln(1 + e^-|x|).
__global__ void __launch_bounds__(THREADS)
    sigmoid_cross_entropy(const float* logits, const float* targets, float* y, long long n) {
    auto body = [=](float x, float t, float& y) {
        const float wrong_side = x >= 0 ? 1 - t : t;
        y = fabsf(x) * wrong_side + log1pf(expf(-fabsf(x)));
    };
    elementwise(n, body, logits, targets, fresh(y));
}

// 16 bytes: dy ((1 - t) s(x) - t s(-x)), both sigmoids from one exponential.
__global__ void __launch_bounds__(THREADS)
    sigmoid_cross_entropy_grad(const float* dy, const float* logits, const float* targets, float* dx, long long n) {
    auto body = [=](float dy, float x, float t, float& dx) {
        const float e = expf(-fabsf(x)), likely = 1 / (1 + e), unlikely = e * likely;
        dx = dy * ((1 - t) * (x >= 0 ? likely : unlikely) - t * (x >= 0 ? unlikely : likely));
    };
    elementwise(n, body, dy, logits, targets, fresh(dx));
}

// 16 bytes.
__global__ void __launch_bounds__(THREADS)
    gaussian_nll(const float* x, const float* mean, const float* std, float* y, long long n) {
    auto body = [=](float x, float mean, float std, float& y) {
        const float z = (x - mean) / std, half_ln_2pi = 0.918938533f;
        y = logf(std) + 0.5f * z * z + half_ln_2pi;
    };
    elementwise(n, body, x, mean, std, fresh(y));
}

// 12 bytes.
__global__ void __launch_bounds__(THREADS) squared_error(const float* x, const float* targets, float* y, long long n) {
    elementwise(n, [=](float x, float t, float& y) { y = (x - t) * (x - t); }, x, targets, fresh(y));
}

// --- softmax: a warp for each row ------------------------------------------------------------------------------------
// Rows are short (a code's classes): memory is read once, and again from the cache. The lanes' sums are exchanged in
// pairs, in the same order always. A NaN is no largest logit, but makes the sum NaN, and with it the row.

template <class Combine>
__device__ float over_lanes(float value, Combine combine) {
    for (int distance = 16; distance > 0; distance /= 2) {
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, distance));
    }
    return value;
}

__device__ float largest_of_row(const float* x, int classes) {
    float largest = __int_as_float(0xff800000);  // -infinity: some finite logits are below -3.4e38
    for (int k = threadIdx.x % 32; k < classes; k += 32) largest = fmaxf(largest, x[k]);
    return over_lanes(largest, [](float a, float b) { return fmaxf(a, b); });
}

__device__ float sum_of_exponentials(const float* x, int classes, float largest) {
    float sum = 0;
    for (int k = threadIdx.x % 32; k < classes; k += 32) sum += expf(x[k] - largest);
    return over_lanes(sum, [](float a, float b) { return a + b; });
}

__device__ long long row_of_warp() { return blockIdx.x * static_cast<long long>(ROWS) + threadIdx.x / 32; }

// 8 bytes.
__global__ void __launch_bounds__(THREADS) softmax(const float* logits, float* y, int classes, long long rows) {
    const long long row = row_of_warp();
    if (row >= rows) return;
    const float* x = logits + row * classes;
    const float largest = largest_of_row(x, classes), sum = sum_of_exponentials(x, classes, largest);
    for (int k = threadIdx.x % 32; k < classes; k += 32) y[row * classes + k] = expf(x[k] - largest) / sum;
}

// 8 bytes: sum of t (ln sum e^x - x), with x counted from the row's largest.
__global__ void __launch_bounds__(THREADS)
    softmax_cross_entropy(const float* logits, const float* targets, float* y, int classes, long long rows) {
    const long long row = row_of_warp();
    if (row >= rows) return;
    const float *x = logits + row * classes, *t = targets + row * classes;
    const float largest = largest_of_row(x, classes), log_sum = logf(sum_of_exponentials(x, classes, largest));
    float surprise = 0;
    for (int k = threadIdx.x % 32; k < classes; k += 32) surprise += t[k] * (log_sum - (x[k] - largest));
    surprise = over_lanes(surprise, [](float a, float b) { return a + b; });
    if (threadIdx.x % 32 == 0) y[row] = surprise;
}
