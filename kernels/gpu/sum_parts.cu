// Where a product's depth was cut into parts: their sum, always in the same order, so that the bits are the same; and
// the bias and the leaky ReLU, which cost nothing here. Reads the parts once and writes the result once: bound by
// memory. Of many parts each has few values, too few for a thread a value to keep memory busy: there eight rows of a
// block share them out.

__global__ void __launch_bounds__(256)
    sum_parts(const float* __restrict__ parts, const float* __restrict__ bias, float slope, float* __restrict__ out,
              int count, long long size, int columns)
{
    __shared__ float sums[256];
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    float sum = 0;
    if (i < size)
#pragma unroll 8
        for (int part = threadIdx.y; part < count; part += blockDim.y) sum += parts[part * size + i];
    sums[threadIdx.y * blockDim.x + threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.y > 0 || i >= size) return;
    for (int y = 1; y < blockDim.y; ++y) sum += sums[y * blockDim.x + threadIdx.x];
    if (bias) sum += bias[i % columns];
    out[i] = sum > 0 ? sum : slope * sum;
}
