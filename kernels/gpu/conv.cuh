// The three faces of a convolution, each a product of two matrices, out (rows x columns) = a (rows x depth) b:
//
//   face        out                     rows     columns  depth    a                     b
//   Forward     y  (N, P, Q, K)         n, p, q  k        i, j, c  windows of x          filters
//   GradInput   dx (N, H, W, C)         n, h, w  c        i, j, k  windows of dy         filters, turned
//   GradWeight  dw (kh, kw, C, K)       i, j, c  k        n, p, q  windows of x, turned  dy
//
// The windows overlap, so a is up to kh kw times larger than its image, and is never stored: a kernel gathers each tile
// of it from the image when it needs it ("implicit GEMM"). A dense layer is the convolution of 1x1 images.
#pragma once

// A kernel's last parameters are these numbers, in this order: N, H, W, C, K, the window, its strides, the padding
// above and to the left, and the map P, Q. (Launching passes arrays and numbers, no structs.)
#define CONVOLUTION \
    int n, int h, int w, int c, int k, int kh, int kw, int sh, int sw, int top, int left, int p, int q

struct Convolution {
    int n, h, w, c, k, kh, kw, sh, sw, top, left, p, q;
};

// --- operands -------------------------------------------------------------------------------------------------------
// A matrix, outer x inner, whose inner neighbours lie side by side in memory (as far as the channels go). Positions are
// cursors, so that a step costs an addition where an index would cost divisions. at() branches nowhere: where a value
// is outside, and counts as zero, its address means nothing.

struct Source {
    const float* address;
    bool inside;
};

// A place within a window: row and column of the filter, and the channel.
struct Tap {
    int i, j, channel;

    static __device__ Tap from(int index, int kw, int channels)
    {
        const int tap = index / channels;
        return {tap / kw, tap % kw, index % channels};
    }

    __device__ void advance(int by, int kw, int channels)
    {
        channel += by;
        while (channel >= channels) {
            channel -= channels;
            if (++j == kw) {
                j = 0;
                ++i;
            }
        }
    }
};

// Outer: the windows of all images, n, p, q. Inner: what a window sees, i, j, channel.
struct Windows {
    const float* image;
    int n, h, w, channels;
    int kh, kw;                                // of the window
    int maps_h, maps_w;                        // windows of an image
    int stride_h, stride_w, start_h, start_w;  // window p begins in row p * stride_h + start_h, maybe outside the image

    struct alignas(16) Outer {  // read as one from shared memory
        int n, h, w;            // the image, and the place where the window begins
        int pixel;              // (n H + h) W + w
    };
    using Inner = Tap;

    __device__ Outer outer(int index) const
    {
        const int line = index / maps_w, image = line / maps_h;
        const int row = line % maps_h * stride_h + start_h, column = index % maps_w * stride_w + start_w;
        return {image, row, column, (image * h + row) * w + column};
    }

    __device__ void advance(Outer& o, int by) const
    {
        const int span_w = maps_w * stride_w, span_h = maps_h * stride_h;
        o.w += by * stride_w;
        o.pixel += by * stride_w;
        while (o.w >= start_w + span_w) {
            o.w -= span_w;
            o.h += stride_h;
            o.pixel += stride_h * w - span_w;
            if (o.h >= start_h + span_h) {
                o.h -= span_h;
                ++o.n;
                o.pixel += (h - span_h) * w;
            }
        }
    }

    __device__ Inner inner(int index) const { return Tap::from(index, kw, channels); }
    __device__ void advance(Inner& tap, int by) const { tap.advance(by, kw, channels); }

    __device__ Source at(const Outer& o, const Inner& tap) const
    {
        const bool row_inside = (unsigned)(o.h + tap.i) < (unsigned)h & tap.i < kh;
        const bool inside = row_inside & (unsigned)(o.w + tap.j) < (unsigned)w & o.n < n;
        return {image + (long long)(o.pixel + tap.i * w + tap.j) * channels + tap.channel, inside};
    }
};

// A matrix as it lies in memory.
struct Matrix {
    const float* values;
    int outers, inners;

    using Outer = int;
    using Inner = int;

    __device__ Outer outer(int index) const { return index; }
    __device__ Inner inner(int index) const { return index; }
    __device__ void advance(int& index, int by) const { index += by; }

    __device__ Source at(Outer o, Inner i) const
    {
        return {values + (long long)o * inners + i, bool(o < outers & i < inners)};
    }
};

// Outer: the input channels of the filters w (kh, kw, C, K). Inner: the taps that a phase of the input gradient meets,
// from the last to the first, and the channels K.
struct TurnedFilters {
    const float* w;
    int c, k, kw;                        // of w
    int taps_h, taps_w, last_i, last_j;  // of the phase
    int stride_h, stride_w;

    using Outer = int;
    using Inner = Tap;

    __device__ Outer outer(int index) const { return index; }
    __device__ Inner inner(int index) const { return Tap::from(index, taps_w, k); }
    __device__ void advance(Inner& tap, int by) const { tap.advance(by, taps_w, k); }

    __device__ Source at(Outer channel, const Inner& tap) const
    {
        const int i = last_i - stride_h * tap.i, j = last_j - stride_w * tap.j;
        const bool inside = channel < c & tap.i < taps_h;
        return {w + (long long)((i * kw + j) * c + channel) * k + tap.channel, inside};
    }
};

// --- faces ----------------------------------------------------------------------------------------------------------
// A_DEPTH_INNER, B_DEPTH_INNER: whether the depth is the inner index of the operand.

struct Forward {
    static constexpr bool A_DEPTH_INNER = true, B_DEPTH_INNER = false;

    Windows a;
    Matrix b;
    int rows, columns, depth;

    __device__ Forward(const Convolution& g, const float* x, const float* filters, int /* phase */)
        : a{x, g.n, g.h, g.w, g.c, g.kh, g.kw, g.p, g.q, g.sh, g.sw, -g.top, -g.left},
          b{filters, g.kh * g.kw * g.c, g.k},
          rows(g.n * g.p * g.q),
          columns(g.k),
          depth(g.kh * g.kw * g.c)
    {
    }

    // Where a row of the result begins.
    __device__ long long line(int row) const { return (long long)row * columns; }
};

struct GradWeight {
    static constexpr bool A_DEPTH_INNER = false, B_DEPTH_INNER = false;

    Windows a;
    Matrix b;
    int rows, columns, depth;

    __device__ GradWeight(const Convolution& g, const float* x, const float* dy, int /* phase */)
        : a{x, g.n, g.h, g.w, g.c, g.kh, g.kw, g.p, g.q, g.sh, g.sw, -g.top, -g.left},
          b{dy, g.n * g.p * g.q, g.k},
          rows(g.kh * g.kw * g.c),
          columns(g.k),
          depth(g.n * g.p * g.q)
    {
    }

    __device__ long long line(int row) const { return (long long)row * columns; }
};

// Pixel h of dx meets tap i of window p where p S + i = h + top. So the pixels with equal (h + top) mod S, a "phase",
// meet the taps i = phase, phase + S, ..., each one window further up: for them dx is a convolution of dy at stride 1
// with every S-th tap, in reverse. S S phases without a wasted product, where zeros put between the values of dy would
// cost S S times as many.
struct PhaseAxis {
    int first, size;        // its first pixel, and how many there are
    int taps, last, start;  // how many taps, the last one, and the p that meets it at the first pixel

    __device__ PhaseAxis(int phase, int pixels, int window, int stride, int before)
    {
        first = ((phase - before) % stride + stride) % stride;
        size = first < pixels ? (pixels - first + stride - 1) / stride : 0;
        taps = phase < window ? (window - phase + stride - 1) / stride : 0;
        last = phase + stride * (taps - 1);
        start = (first + before - last) / stride;  // exact
    }
};

struct GradInput {
    static constexpr bool A_DEPTH_INNER = true, B_DEPTH_INNER = true;

    PhaseAxis vertical, horizontal;
    Windows a;
    TurnedFilters b;
    int rows, columns, depth;
    int h, w, sh, sw;

    __device__ GradInput(const Convolution& g, const float* dy, const float* filters, int phase)
        : vertical(phase / g.sw, g.h, g.kh, g.sh, g.top),
          horizontal(phase % g.sw, g.w, g.kw, g.sw, g.left),
          a{dy, g.n, g.p, g.q, g.k, vertical.taps, max(horizontal.taps, 1), vertical.size, horizontal.size,
            1, 1, vertical.start, horizontal.start},  // max: where there is no tap the depth is 0, but 1 can divide
          b{filters, g.c, g.k, g.kw, vertical.taps, max(horizontal.taps, 1), vertical.last, horizontal.last,
            g.sh, g.sw},
          rows(g.n * vertical.size * horizontal.size),
          columns(g.c),
          depth(vertical.taps * horizontal.taps * g.k),
          h(g.h), w(g.w), sh(g.sh), sw(g.sw)
    {
    }

    __device__ long long line(int row) const
    {
        const int column = row % horizontal.size, above = row / horizontal.size;
        const int image = above / vertical.size, y = vertical.first + above % vertical.size * sh;
        return (long long)((image * h + y) * w + horizontal.first + column * sw) * columns;
    }
};

// VEC neighbours; zeros where they are outside.
template <int VEC>
__device__ inline void load(float (&values)[VEC], const Source& from)
{
    if constexpr (VEC == 4) {
        const float4 v = from.inside ? *reinterpret_cast<const float4*>(from.address) : float4{0, 0, 0, 0};
        values[0] = v.x, values[1] = v.y, values[2] = v.z, values[3] = v.w;
    } else {
        values[0] = from.inside ? *from.address : 0;
    }
}

// Neighbours of a row of the result, of which some may lie beyond its end.
__device__ inline void store2(float* line, int column, int columns, float2 v)
{
    if (columns % 2 == 0) {
        if (column < columns) *reinterpret_cast<float2*>(line + column) = v;
    } else {
        if (column < columns) line[column] = v.x;
        if (column + 1 < columns) line[column + 1] = v.y;
    }
}

__device__ inline void store4(float* line, int column, int columns, float4 v)
{
    if (columns % 4 == 0) {
        if (column < columns) *reinterpret_cast<float4*>(line + column) = v;
    } else {
        store2(line, column, columns, {v.x, v.y});
        store2(line, column + 2, columns, {v.z, v.w});
    }
}
