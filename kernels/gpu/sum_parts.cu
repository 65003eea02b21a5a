// Where a product's depth was cut into parts: their sum, in order, so that the bits are the same every time; and the
// bias, which costs nothing here. Reads the parts once, writes the result once, 4 bytes a thread: bound by memory.

__global__ void __launch_bounds__(256) sum_parts(const float* __restrict__ parts, const float* __restrict__ bias,
                                                 float* __restrict__ out, int count, long long size, int columns)
{
    const long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    if (i >= size) return;
    float sum = bias ? bias[i % columns] : 0;
#pragma unroll 4
    for (int part = 0; part < count; ++part) sum += parts[part * size + i];
    out[i] = sum;
}
