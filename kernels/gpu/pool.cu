// Pooling: a thread for each result, or for four that are neighbours in the channels where these come in fours.
// Neighbouring threads take neighbouring channels: whole sectors, whatever the window. The comments say what is read
// and written: memory is all that these kernels wait for.
constexpr int THREADS = 256, TILE = 4 * THREADS, LANES = 32, WARPS = THREADS / LANES;
constexpr int RESIDENT = 5;  // blocks a multiprocessor; asked for none, the compiler makes room for eight, and spills

__device__ float not_a_number() { return __int_as_float(0x7fc00000); }

template <int W>
struct Width {
    static constexpr int value = W;
};

// Values of neighbouring channels, moved by one load or store.
template <int W, class T = float>
struct alignas(W * sizeof(T)) Vector {
    T at[W];
};

template <int W, class T>
__device__ Vector<W, T>& vector_at(T* array, long long i) {
    return *reinterpret_cast<Vector<W, T>*>(array + i);
}

template <int W, class T>
__device__ const Vector<W, T>& vector_at(const T* array, long long i) {
    return *reinterpret_cast<const Vector<W, T>*>(array + i);
}

// Whether arrays of these channels, which start here, can be cut into vectors of four.
__device__ bool in_fours(int channels, const void* x, const void* y) {
    const auto places = reinterpret_cast<unsigned long long>(x) | reinterpret_cast<unsigned long long>(y);
    return channels % 4 == 0 && places % 16 == 0;
}

// Calls body(width, n, first) for this thread's vectors: one of four, or four of one. A block covers 1,024 values of
// the n-th image, so that only the image's own offset needs 64 bits, and no division does.
template <class Body>
__device__ void each_vector(int values_of_image, bool fours, Body body) {
    const int tiles = (values_of_image + TILE - 1) / TILE, tile = blockIdx.x % tiles * TILE;
    const long long n = blockIdx.x / tiles;
    if (fours) {
        const int i = tile + 4 * threadIdx.x;
        if (i < values_of_image) body(Width<4>{}, n, i);
    } else {
        for (int i = tile + threadIdx.x; i < min(values_of_image, tile + TILE); i += THREADS) body(Width<1>{}, n, i);
    }
}

// Where the i-th value of an image (height, width, channels) is.
struct Place {
    int h, w, c;

    __device__ Place(int i, int width, int channels)
        : h(i / channels / width), w(i / channels % width), c(i % channels) {}
};

// Reads x once (windows that overlap find it in the cache), writes y and index.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    max_pool2d(const float* __restrict__ x, float* __restrict__ y, int* __restrict__ index, int kh, int kw, int sh,
               int sw, int height, int width, int out_h, int out_w, int channels) {
    const int results = out_h * out_w * channels;
    each_vector(results, in_fours(channels, x, y) && in_fours(channels, x, index), [&](auto lanes, long long n, int i) {
        constexpr int W = decltype(lanes)::value;
        const Place place(i, out_w, channels);
        const float* image = x + n * height * width * channels + place.c;
        const int top = place.h * sh, left = place.w * sw;
        auto best = vector_at<W>(image, (top * width + left) * channels);
        Vector<W, int> where;
        for (int j = 0; j < W; ++j) where.at[j] = top * width + left;
        for (int h = top; h < top + kh; ++h) {
            for (int w = left; w < left + kw; ++w) {
                const int pixel = h * width + w;
                const auto value = vector_at<W>(image, pixel * channels);
                for (int j = 0; j < W; ++j) {  // the first of equals stays, and a NaN beats every number
                    const float v = value.at[j], b = best.at[j];
                    if (v > b || (v != v && b == b)) best.at[j] = v, where.at[j] = pixel;
                }
            }
        }
        vector_at<W>(y, n * results + i) = best;
        vector_at<W>(index, n * results + i) = where;
    });
}

// Reads dy and index, writes dx. An index may name any pixel, several windows the same one: a thread therefore owns a
// range of one channel's pixels, clears it, and goes through all windows in order, adding those that chose one of its
// own. So sums have one order, without atomics. Eight warps share a channel's pixels: what all read is in the cache.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    max_pool2d_grad(const float* __restrict__ dy, const int* __restrict__ index, float* __restrict__ dx, int windows,
                    int pixels, int channels, long long planes) {
    const long long plane = blockIdx.x * static_cast<long long>(LANES) + threadIdx.x % LANES;
    if (plane >= planes) return;
    const long long n = plane / channels, c = plane % channels;
    const int share = (pixels + WARPS - 1) / WARPS, from = threadIdx.x / LANES * share, to = min(pixels, from + share);
    float* own = dx + n * pixels * channels + c;
    for (int pixel = from; pixel < to; ++pixel) own[static_cast<long long>(pixel) * channels] = 0;
#pragma unroll 4
    for (int k = 0; k < windows; ++k) {
        const long long at = (n * windows + k) * channels + c;
        const bool inside = index[at] >= 0 && index[at] < pixels;
        const int pixel = inside ? index[at] : 0;  // a pixel outside shows as NaN in the first one
        const float gradient = inside ? dy[at] : not_a_number();
        if (from <= pixel && pixel < to) own[static_cast<long long>(pixel) * channels] += gradient;
    }
}

// Reads index and as many values of x, writes y; a pixel outside gives NaN.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    max_pool2d_gather(const float* x, const int* index, float* y, int windows, int pixels, int channels) {
    const int results = windows * channels;
    each_vector(results, false, [&](auto, long long n, int i) {
        const int pixel = index[n * results + i];
        const bool inside = pixel >= 0 && pixel < pixels;
        y[n * results + i] = inside ? x[(n * pixels + pixel) * channels + i % channels] : not_a_number();
    });
}

// Reads x once, writes y.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    avg_pool2d(const float* __restrict__ x, float* __restrict__ y, int kh, int kw, int sh, int sw, int height,
               int width, int out_h, int out_w, int channels) {
    const int results = out_h * out_w * channels;
    each_vector(results, in_fours(channels, x, y), [&](auto lanes, long long n, int i) {
        constexpr int W = decltype(lanes)::value;
        const Place place(i, out_w, channels);
        const float* image = x + n * height * width * channels + place.c;
        Vector<W> mean = {};
        for (int h = place.h * sh; h < place.h * sh + kh; ++h) {
            for (int w = place.w * sw; w < place.w * sw + kw; ++w) {
                const auto value = vector_at<W>(image, (h * width + w) * channels);
                for (int j = 0; j < W; ++j) mean.at[j] += value.at[j];
            }
        }
        for (int j = 0; j < W; ++j) mean.at[j] /= kh * kw;
        vector_at<W>(y, n * results + i) = mean;
    });
}

// Reads dy once, writes dx: each pixel collects from the windows that it lies in, the first to the last.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    avg_pool2d_grad(const float* __restrict__ dy, float* __restrict__ dx, int kh, int kw, int sh, int sw, int height,
                    int width, int out_h, int out_w, int channels) {
    const int results = height * width * channels;
    each_vector(results, in_fours(channels, dy, dx), [&](auto lanes, long long n, int i) {
        constexpr int W = decltype(lanes)::value;
        const Place place(i, width, channels);
        const float* map = dy + n * out_h * out_w * channels + place.c;
        const int top = max(0, (place.h - kh + sh) / sh), left = max(0, (place.w - kw + sw) / sw);
        Vector<W> sum = {};
        for (int p = top; p <= min(place.h / sh, out_h - 1); ++p) {
            for (int q = left; q <= min(place.w / sw, out_w - 1); ++q) {
                const auto value = vector_at<W>(map, (p * out_w + q) * channels);
                for (int j = 0; j < W; ++j) sum.at[j] += value.at[j];
            }
        }
        for (int j = 0; j < W; ++j) sum.at[j] /= kh * kw;
        vector_at<W>(dx, n * results + i) = sum;
    });
}

// Reads x: 32 channels of one image a block, its pixels over eight warps. Blocks: ceil(C / 32) for each image.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    global_avg_pool2d(const float* x, float* y, int pixels, int channels) {
    __shared__ float slot[THREADS];
    const int tiles = (channels + LANES - 1) / LANES, c = blockIdx.x % tiles * LANES + threadIdx.x % LANES;
    const long long n = blockIdx.x / tiles;
    float sum = 0;
    if (c < channels) {
#pragma unroll 4
        for (int pixel = threadIdx.x / LANES; pixel < pixels; pixel += WARPS) {
            sum += x[(n * pixels + pixel) * channels + c];
        }
    }
    slot[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x >= LANES || c >= channels) return;
    for (int warp = 1; warp < WARPS; ++warp) sum += slot[warp * LANES + threadIdx.x];
    y[n * channels + c] = sum / pixels;
}

// Writes dx; dy comes from the cache.
__global__ void __launch_bounds__(THREADS, RESIDENT)
    global_avg_pool2d_grad(const float* __restrict__ dy, float* __restrict__ dx, int pixels, int channels) {
    const int results = pixels * channels;
    each_vector(results, in_fours(channels, dy, dx), [&](auto lanes, long long n, int i) {
        constexpr int W = decltype(lanes)::value;
        auto share = vector_at<W>(dy, n * channels + i % channels);
        for (int j = 0; j < W; ++j) share.at[j] /= pixels;
        vector_at<W>(dx, n * results + i) = share;
    });
}
