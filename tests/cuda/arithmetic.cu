// One thread an element; what each instruction of arithmetic gives, at the edges too.
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#define EACH(i, n) for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)

#define FUNCTIONS(X)                                                                                             \
  X(expf) X(exp2f) X(expm1f) X(logf) X(log2f) X(log1pf) X(tanhf) X(sqrtf) X(rsqrtf) X(sinf) X(cosf) X(erff) X(sinhf) \
  X(atanf) X(cbrtf) X(lgammaf)

enum Name {
#define X(f) the_##f,
  FUNCTIONS(X)
#undef X
};

template <Name name>
__global__ void math(const float* x, float* y, int n) {
  EACH(i, n) {
#define X(f) \
  if (name == the_##f) y[i] = f(x[i]);
    FUNCTIONS(X)
#undef X
  }
}

__global__ void powers(const float* x, const float* p, float* y, int n) {
  EACH(i, n) y[i] = powf(x[i], p[i]);
}

__global__ void sine_and_cosine(const float* x, float* s, float* c, int n) {
  EACH(i, n) sincosf(x[i], &s[i], &c[i]);
}

// The rounding intrinsics: down, up, to zero, of sum, product, quotient, root and fused product.
__global__ void directed(const float* a, const float* b, float* y, int n) {
  EACH(i, n) {
    float* o = y + i;
    o[0 * n] = __fadd_rd(a[i], b[i]), o[1 * n] = __fadd_ru(a[i], b[i]), o[2 * n] = __fadd_rz(a[i], b[i]);
    o[3 * n] = __fmul_rd(a[i], b[i]), o[4 * n] = __fmul_ru(a[i], b[i]), o[5 * n] = __fmul_rz(a[i], b[i]);
    o[6 * n] = __fdiv_rd(a[i], b[i]), o[7 * n] = __fdiv_ru(a[i], b[i]), o[8 * n] = __fdiv_rz(a[i], b[i]);
    o[9 * n] = __fsqrt_rd(fabsf(a[i])), o[10 * n] = __fsqrt_ru(fabsf(a[i])), o[11 * n] = __fsub_rd(a[i], b[i]);
    o[12 * n] = __fmaf_rd(a[i], b[i], 1), o[13 * n] = __fmaf_ru(a[i], b[i], 1), o[14 * n] = __frcp_rd(b[i]);
  }
}

__global__ void least_and_most(const float* a, const float* b, float* y, int n) {
  EACH(i, n) y[i] = fminf(a[i], b[i]), y[n + i] = fmaxf(a[i], b[i]), y[2 * n + i] = __saturatef(a[i]);
}

template <class F, class I>
__global__ void to_integer(const F* x, I* y, int n) {
  EACH(i, n) y[i] = (I)x[i];
}

template <class I>
__global__ void to_float(const I* x, float* f, double* d, int n) {
  EACH(i, n) f[i] = (float)x[i], d[i] = (double)x[i];
}

__global__ void rounded(const float* x, float* y, int n) {
  EACH(i, n) {
    y[i] = rintf(x[i]), y[n + i] = floorf(x[i]), y[2 * n + i] = ceilf(x[i]), y[3 * n + i] = truncf(x[i]);
    y[4 * n + i] = (float)__float2int_rn(x[i]);
  }
}

__global__ void halves(const float* x, __half* h, __nv_bfloat16* b, float* back, int n) {
  EACH(i, n) {
    h[i] = __float2half_rn(x[i]), b[i] = __float2bfloat16(x[i]);
    back[i] = __half2float(h[i]), back[n + i] = __bfloat162float(b[i]);
  }
}

__global__ void packed(const __half2* h, const __nv_bfloat162* b, __half2* hy, __nv_bfloat162* by, int n) {
  EACH(i, n) {
    hy[i] = __hadd2(__hmul2(h[i], h[i]), __float2half2_rn(0.5f)), hy[n + i] = __hmax2(h[i], __hneg2(h[i]));
    by[i] = __hfma2(b[i], b[i], b[i]), by[n + i] = __hsub2(b[i], __float2bfloat162_rn(2.0f));
  }
}

__global__ void fused(const __nv_bfloat16* a, const __nv_bfloat16* b, const __nv_bfloat16* c, __nv_bfloat16* y, int n) {
  EACH(i, n) y[i] = __hfma(a[i], b[i], c[i]);
}

template <class I>
__global__ void integers(const I* a, const I* b, I* y, int n) {
  EACH(i, n) {
    I p = a[i], q = b[i];
    y[i] = p + q, y[n + i] = p - q, y[2 * n + i] = p * q, y[3 * n + i] = p / q, y[4 * n + i] = p % q;
    y[5 * n + i] = p & q, y[6 * n + i] = p | q, y[7 * n + i] = p ^ q, y[8 * n + i] = ~p, y[9 * n + i] = -p;
    y[10 * n + i] = p < q ? p : q, y[11 * n + i] = p > q ? p : q;
    y[12 * n + i] = p << (q & (8 * sizeof(I) - 1)), y[13 * n + i] = p >> (q & (8 * sizeof(I) - 1));
  }
}

__global__ void high_products(const int* a, const int* b, int* s, unsigned* u, long long* s64, unsigned long long* u64,
                              int n) {
  EACH(i, n) {
    long long p = (long long)a[i] << 31 | 12345, q = (long long)b[i] << 30 | 54321;
    s[i] = __mulhi(a[i], b[i]), u[i] = __umulhi((unsigned)a[i], (unsigned)b[i]);
    s64[i] = __mul64hi(p, q), u64[i] = __umul64hi(p, q);
  }
}

__global__ void bits(const unsigned* a, const unsigned* b, unsigned* y, int n) {
  EACH(i, n) {
    unsigned p = a[i], q = b[i], *o = y + i, s;
    o[0 * n] = __popc(p), o[1 * n] = __clz(p), o[2 * n] = __brev(p), o[3 * n] = __ffs(p);
    o[4 * n] = __funnelshift_l(p, q, q), o[5 * n] = __funnelshift_r(p, q, q), o[6 * n] = __funnelshift_lc(p, q, q & 63);
    o[7 * n] = __byte_perm(p, q, 0x6240), o[9 * n] = (p & q) ^ (~p | (q >> 3));
    asm("prmt.b32 %0, %1, %2, 0x8f3a;" : "=r"(s) : "r"(p), "r"(q));
    o[8 * n] = s;
    asm("bfe.u32 %0, %1, %2, %3;" : "=r"(s) : "r"(p), "r"(q & 31), "r"((q >> 5) & 31));
    o[10 * n] = s;
    asm("bfe.s32 %0, %1, %2, %3;" : "=r"(s) : "r"(p), "r"(q & 31), "r"((q >> 5) & 31));
    o[11 * n] = s;
    asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(s) : "r"(p), "r"(q), "r"(p & 31), "r"((q >> 5) & 31));
    o[12 * n] = s;
    asm("lop3.b32 %0, %1, %2, %3, 0xCA;" : "=r"(s) : "r"(p), "r"(q), "r"(~p ^ (q << 7)));
    o[13 * n] = s;
    asm("shl.b32 %0, %1, %2;" : "=r"(s) : "r"(p), "r"(q & 63));
    o[14 * n] = s;
    asm("shr.s32 %0, %1, %2;" : "=r"(s) : "r"(p), "r"(q & 63));
    o[15 * n] = s;
    asm("bfind.u32 %0, %1;" : "=r"(s) : "r"(p));
    o[16 * n] = s;
  }
}

__global__ void doubles(const double* a, const double* b, double* y, int n) {
  EACH(i, n) {
    y[i] = a[i] + b[i], y[n + i] = a[i] * b[i], y[2 * n + i] = a[i] / b[i], y[3 * n + i] = sqrt(fabs(a[i]));
    y[4 * n + i] = fma(a[i], b[i], 1.0), y[5 * n + i] = exp(a[i]), y[6 * n + i] = log(fabs(a[i]) + 1);
  }
}

__global__ void comparisons(const float* a, const float* b, int* y, int n) {
  EACH(i, n) {
    float p = a[i], q = b[i];
    y[i] = (p < q) | (p <= q) << 1 | (p > q) << 2 | (p >= q) << 3 | (p == q) << 4 | (p != q) << 5 | !(p < q) << 6 |
           !(p >= q) << 7 | isnan(p) << 8 | isinf(q) << 9 | signbit(p) << 10;
  }
}

__global__ void flushed(const float* a, const float* b, float* y, int n) {
  EACH(i, n) y[i] = a[i] * b[i], y[n + i] = a[i] + b[i];
}
