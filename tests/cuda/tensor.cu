// Tensor cores: matrices loaded, multiplied, and fetched ahead of time.
#include "tensor.cuh"

// One warp: d = a b + c for a (16, K), b (K, 8), c and d (16, 8), the operands by ldmatrix from shared memory.
template <class Kind>
__global__ void multiply(const unsigned short* a, const unsigned short* b, const float* c, float* d) {
  __shared__ __align__(16) unsigned short ta[16][16], tb[16][8];
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  for (int i = lane; i < 256; i += 32) ta[i / 16][i % 16] = a[i];
  for (int i = lane; i < 128; i += 32) tb[i / 8][i % 8] = b[i];
  __syncthreads();
  unsigned fa[4], fb[2];
  load_four(fa, &ta[lane % 16][8 * (lane / 16)]);
  load_two_transposed(fb, &tb[lane % 16][0]);
  float acc[4] = {c[g * 8 + 2 * t], c[g * 8 + 2 * t + 1], c[(g + 8) * 8 + 2 * t], c[(g + 8) * 8 + 2 * t + 1]};
  Kind::multiply(acc, fa, fb);
  d[g * 8 + 2 * t] = acc[0], d[g * 8 + 2 * t + 1] = acc[1];
  d[(g + 8) * 8 + 2 * t] = acc[2], d[(g + 8) * 8 + 2 * t + 1] = acc[3];
}

__global__ void multiply_tf32(const float* a, const float* b, float* d) {  // a (16, 8), b (8, 8)
  const int lane = threadIdx.x, g = lane / 4, t = lane % 4;
  const unsigned fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                          to_tf32(a[(g + 8) * 8 + t + 4])};
  const unsigned fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float acc[4] = {};
  mma_tf32(acc, fa, fb);
  d[g * 8 + 2 * t] = acc[0], d[g * 8 + 2 * t + 1] = acc[1];
  d[(g + 8) * 8 + 2 * t] = acc[2], d[(g + 8) * 8 + 2 * t + 1] = acc[3];
}

// Sums over tiles that are fetched two ahead; columns past n count as zero. BUG leaves one thing out.
template <int BUG>
__global__ void pipeline(const float* x, float* y, int rows, int n) {
  constexpr int STAGES = 3, WIDTH = 128;
  __shared__ __align__(16) float tile[STAGES][WIDTH];
  const int t = threadIdx.x, tiles = (n + WIDTH - 1) / WIDTH;
  const float* row = x + (size_t)blockIdx.x * n;
  auto fetch = [&](int k) {
    const int column = k * WIDTH + 4 * t, left = n - column;
    const int bytes = left >= 4 ? 16 : left > 0 ? 4 * left : 0;
    fetch_16(&tile[k % STAGES][4 * t], left > 0 ? row + column : row, bytes);  // marked: fetch
  };
  for (int k = 0; k < STAGES - 1; ++k) {
    if (k < tiles) fetch(k);
    end_group();
  }
  float sum = 0;
  for (int k = 0; k < tiles; ++k) {
    if (BUG != 1) wait_groups<STAGES - 2>();
    if (BUG != 2) __syncthreads();
    if (k + STAGES - 1 < tiles) fetch(k + STAGES - 1);
    end_group();
    for (int i = 0; i < 4; ++i) sum += tile[k % STAGES][4 * (blockDim.x - 1 - t) + i];  // marked: use
  }
  y[blockIdx.x * blockDim.x + t] = sum;
}
