// Convolution and its gradients as their formula says: a thread an output, a loop a sum. The textbook. Threads share
// nothing but the caches: 8 bytes from there for every two FLOP, which bounds it.
#include "conv.cuh"

// The place of a thread in a four-dimensional result: neighbouring threads, neighbours on the last axis.
struct Place {
    int i0, i1, i2, i3;
    bool inside;
    long long index;

    __device__ Place(int n0, int n1, int n2, int n3)
    {
        const int line = blockIdx.x * blockDim.y + threadIdx.y;
        i0 = line / n2 / n1, i1 = line / n2 % n1, i2 = line % n2, i3 = blockIdx.y * blockDim.x + threadIdx.x;
        inside = i0 < n0 && i3 < n3;
        index = (long long)line * n3 + i3;
    }
};

// y[n,p,q,k] = sum over i, j, c of x[n, p S + i - top, q S + j - left, c] w[i,j,c,k]. Neighbouring threads:
// neighbouring k, so that they read w side by side, and the same x.
__global__ void __launch_bounds__(256, 4)
    conv2d_direct(const float* __restrict__ x, const float* __restrict__ filters,
                  float* __restrict__ y, CONVOLUTION)
{
    const Place at(n, p, q, k);
    if (!at.inside) return;
    float sum = 0;
    for (int i = 0; i < kh; ++i) {
        const int row = at.i1 * sh + i - top;
        if (row < 0 || row >= h) continue;
        for (int j = 0; j < kw; ++j) {
            const int column = at.i2 * sw + j - left;
            if (column < 0 || column >= w) continue;
            const float* pixel = x + (long long)((at.i0 * h + row) * w + column) * c;
            const float* tap = filters + (long long)(i * kw + j) * c * k + at.i3;
            for (int channel = 0; channel < c; ++channel) sum += pixel[channel] * tap[(long long)channel * k];
        }
    }
    y[at.index] = sum;
}

// dx[n,h,w,c] = sum over i, j, k of dy[n,p,q,k] w[i,j,c,k], where p S + i - top = h and q S + j - left = w.
__global__ void __launch_bounds__(256, 4)
    conv2d_grad_input_direct(const float* __restrict__ dy, const float* __restrict__ filters,
                             float* __restrict__ dx, CONVOLUTION)
{
    const Place at(n, h, w, c);
    if (!at.inside) return;
    float sum = 0;
    for (int i = (at.i1 + top) % sh; i < kh; i += sh) {
        const int row = (at.i1 + top - i) / sh;
        if (at.i1 + top < i || row >= p) continue;
        for (int j = (at.i2 + left) % sw; j < kw; j += sw) {
            const int column = (at.i2 + left - j) / sw;
            if (at.i2 + left < j || column >= q) continue;
            const float* value = dy + (long long)((at.i0 * p + row) * q + column) * k;
            const float* tap = filters + (long long)((i * kw + j) * c + at.i3) * k;
            for (int filter = 0; filter < k; ++filter) sum += value[filter] * tap[filter];
        }
    }
    dx[at.index] = sum;
}

// dw[i,j,c,k] = sum over n, p, q of x[n, p S + i - top, q S + j - left, c] dy[n,p,q,k]. Summed image by image: one sum
// over all N P Q terms would lose digits.
__global__ void __launch_bounds__(256, 4)
    conv2d_grad_weight_direct(const float* __restrict__ x, const float* __restrict__ dy,
                              float* __restrict__ dw, CONVOLUTION)
{
    const Place at(kh, kw, c, k);
    if (!at.inside) return;
    float sum = 0;
    for (int image = 0; image < n; ++image) {
        float of_image = 0;
        for (int i = 0; i < p; ++i) {
            const int row = i * sh + at.i0 - top;
            if (row < 0 || row >= h) continue;
            for (int j = 0; j < q; ++j) {
                const int column = j * sw + at.i1 - left;
                if (column < 0 || column >= w) continue;
                of_image += x[(long long)((image * h + row) * w + column) * c + at.i2]
                            * dy[(long long)((image * p + i) * q + j) * k + at.i3];
            }
        }
        sum += of_image;
    }
    dw[at.index] = sum;
}
