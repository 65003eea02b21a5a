// Accesses whose cost is known: each stride has its number of bank passes and of sectors.
template <int STRIDE>
__global__ void strided_shared(float* y) {
  __shared__ float tile[32 * STRIDE];
  tile[threadIdx.x * STRIDE] = threadIdx.x;  // shared store
  __syncwarp();
  y[threadIdx.x] = tile[threadIdx.x * STRIDE];
}

template <int WIDTH>
__global__ void column(float* y) {  // read down a column of a tile; one more column cures it
  __shared__ float tile[32][WIDTH];
  for (int r = 0; r < 32; ++r) tile[r][threadIdx.x] = r;
  __syncwarp();
  y[threadIdx.x] = tile[threadIdx.x][0];  // column
}

__global__ void vectors(float4* y) {
  __shared__ float4 tile[32];
  tile[threadIdx.x] = make_float4(1, 2, 3, 4);  // vector store
  __syncwarp();
  y[threadIdx.x] = tile[31 - threadIdx.x];
}

__global__ void strided_global(const float* x, float* y, int stride, int offset) {
  y[threadIdx.x] = x[threadIdx.x * stride + offset];  // global load
}
