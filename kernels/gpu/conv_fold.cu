// The end of an input gradient of few channels, whose product was made the other way about.
//
// As a product of windows of dy (conv.cuh) each pixel of dy would be gathered once for every tap, for the sake of one
// to four columns. Multiplied by all taps of all channels at once, each pixel is read once, and makes as many shares of
// dx, shares (N, P, Q, kh, kw, C). Here each pixel of dx adds up the shares that fell to it: a row for each window that
// saw it. Reads and writes everything once: bound by memory.
#include "conv.cuh"

constexpr int MAX_CHANNELS = 4;

__global__ void __launch_bounds__(256)
    conv_fold(const float* __restrict__ shares, float* __restrict__ dx, CONVOLUTION)
{
    const int pixel = blockIdx.x * 256 + threadIdx.x;
    if (pixel >= n * h * w) return;
    const int column = pixel % w + left, row = pixel / w % h + top, image = pixel / w / h;
    float sums[MAX_CHANNELS] = {};
    for (int i = row % sh; i < kh; i += sh) {
        const int window_row = (row - i) / sh;
        if (row < i || window_row >= p) continue;
        for (int j = column % sw; j < kw; j += sw) {
            const int window_column = (column - j) / sw;
            if (column < j || window_column >= q) continue;
            const long long window = (long long)(image * p + window_row) * q + window_column;
            const float* share = shares + ((window * kh + i) * kw + j) * c;
#pragma unroll
            for (int channel = 0; channel < MAX_CHANNELS; ++channel)
                if (channel < c) sums[channel] += share[channel];
        }
    }
#pragma unroll
    for (int channel = 0; channel < MAX_CHANNELS; ++channel)
        if (channel < c) dx[(long long)pixel * c + channel] = sums[channel];
}
