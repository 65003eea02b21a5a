// The instructions of sm_80 and later that CUDA C++ has no words for, by name.
#pragma once
#include <cuda_bf16.h>

// --- copies from global to shared memory that do not pass through registers ----------------------------------------

// Start to copy VEC floats, or to write VEC zeros where there is nothing to copy. 16 bytes go past the L1 cache.
template <int VEC>
__device__ inline void cp_async(float* shared, const float* global_or_null)
{
    const unsigned to = __cvta_generic_to_shared(shared);
    const int bytes = global_or_null ? 4 * VEC : 0;  // the rest is filled with zeros
    if constexpr (VEC == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global_or_null), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global_or_null), "r"(bytes) : "memory");
}

// What was started since the last call is a group from now on.
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until at most NEWEST groups are under way: for this thread's copies; a barrier must follow for the others'.
template <int NEWEST>
__device__ inline void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(NEWEST) : "memory"); }

// --- products -------------------------------------------------------------------------------------------------------
// multiply: c (16 x 8) += a (16 x 16) b (16 x 8), by a warp. Lane 4 g + t holds, each rounded from four floats,
//
//   a_upper  a[g][4t .. 4t + 3]        b  b[4t .. 4t + 3][g]        c[0], c[1]  c[g][2t], c[g][2t + 1]
//   a_lower  a[g + 8][4t .. 4t + 3]                                 c[2], c[3]  c[g + 8][2t], c[g + 8][2t + 1]
//
// The hardware's own order of the depth is another (t, t + 4 or 2t, 2t + 1, 2t + 8, 2t + 9), but a sum does not mind its
// order, and so a lane can read its four values of a row by one 16-byte load.

// 10 bits of mantissa, 8 of exponent: an eighth of bfloat16's error, at half its speed.
struct Tf32 {
    using Rounded = uint4;

    static __device__ unsigned round(float f)  // to nearest, ties away from zero
    {
        unsigned bits;
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(f));
        return bits;
    }

    static __device__ Rounded round(float4 f) { return {round(f.x), round(f.y), round(f.z), round(f.w)}; }

    static __device__ void m16n8k8(float (&c)[4], unsigned a0, unsigned a1, unsigned a2, unsigned a3, unsigned b0,
                                   unsigned b1)
    {
        asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }

    static __device__ void multiply(float (&c)[4], const Rounded& a_upper, const Rounded& a_lower, const Rounded& b)
    {
        m16n8k8(c, a_upper.x, a_lower.x, a_upper.y, a_lower.y, b.x, b.y);
        m16n8k8(c, a_upper.z, a_lower.z, a_upper.w, a_lower.w, b.z, b.w);
    }
};

// 7 bits of mantissa, 8 of exponent.
struct Bfloat16 {
    using Rounded = uint2;  // four values, two a register

    static __device__ unsigned round(float low, float high)  // to nearest, ties to even
    {
        unsigned pair;
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
        return pair;
    }

    static __device__ Rounded round(float4 f) { return {round(f.x, f.y), round(f.z, f.w)}; }

    static __device__ void multiply(float (&c)[4], const Rounded& a_upper, const Rounded& a_lower, const Rounded& b)
    {
        asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                     "{%0,%1,%2,%3};"
                     : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                     : "r"(a_upper.x), "r"(a_lower.x), "r"(a_upper.y), "r"(a_lower.y), "r"(b.x), "r"(b.y));
    }
};
