// The instructions of sm_80 and later that CUDA C++ has no words for, by name.
#pragma once

// --- memory ---------------------------------------------------------------------------------------------------------

// Start to copy VEC floats from global to shared memory, not by way of registers; or to write VEC zeros. 16 bytes at a
// time go past the L1 cache.
template <int VEC>
__device__ inline void cp_async(float* shared, const float* global, bool zeros)
{
    const unsigned to = __cvta_generic_to_shared(shared);
    const int bytes = zeros ? 0 : 4 * VEC;  // the rest is filled with zeros; of 0 bytes the address does not matter
    if constexpr (VEC == 4)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(global), "r"(bytes) : "memory");
}

// What was started since the last call is a group from now on.
__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Wait until at most NEWEST groups are under way: for this thread's copies; a barrier must follow for the others'.
template <int NEWEST>
__device__ inline void cp_async_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(NEWEST) : "memory"); }

// Read four blocks of 8 rows x 4 floats from shared memory, a whole warp together: lane 8 m + r says where row r of
// block m lies (16 bytes, aligned), and lane 4 g + t gets float t of row g of each block.
__device__ inline void ldmatrix(float (&values)[4], const float* row)
{
    const unsigned from = __cvta_generic_to_shared(row);
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=f"(values[0]), "=f"(values[1]), "=f"(values[2]), "=f"(values[3])
                 : "r"(from)
                 : "memory");
}

// --- products -------------------------------------------------------------------------------------------------------
// multiply: c (16 x 8) += a (16 x 16) b (16 x 8), a whole warp together. A warp holds its operands as fragments: lane
// 4 g + t has, of each half (h = 0, 1) of the depth,
//
//   a, Fragment<4>   a[g][8h + t], a[g + 8][8h + t], a[g][8h + t + 4], a[g + 8][8h + t + 4]
//   b, Fragment<2>   b[8h + t][g], b[8h + t + 4][g]
//   c                c[g][2t], c[g][2t + 1], c[g + 8][2t], c[g + 8][2t + 1]

// 10 bits of mantissa, 8 of exponent: an eighth of bfloat16's error, at half its speed.
struct Tf32 {
    // To the nearest. sm_90 has an instruction for it, ties to even; before, it takes two, ties away from zero.
    static __device__ unsigned rounded(float value)
    {
        unsigned bits;
#if __CUDA_ARCH__ >= 900
        asm("cvt.rn.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
#else
        asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(value));
#endif
        return bits;
    }

    template <int N>
    struct Fragment {
        unsigned bits[2][N];

        __device__ Fragment() {}

        __device__ explicit Fragment(const float (&values)[2][N])
        {
#pragma unroll
            for (int h = 0; h < 2; ++h)
#pragma unroll
                for (int i = 0; i < N; ++i) bits[h][i] = rounded(values[h][i]);
        }
    };

    static __device__ void multiply(float (&c)[4], const Fragment<4>& a, const Fragment<2>& b)
    {
#pragma unroll
        for (int h = 0; h < 2; ++h)
            asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
                "{%0,%1,%2,%3};"
                : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                : "r"(a.bits[h][0]), "r"(a.bits[h][1]), "r"(a.bits[h][2]), "r"(a.bits[h][3]),
                  "r"(b.bits[h][0]), "r"(b.bits[h][1]));
    }
};

// 7 bits of mantissa, 8 of exponent. The hardware wants other depths in a lane (2t, 2t + 1, ...) than Tf32's order
// gives it; but a sum does not mind its order, as long as both operands keep the same.
struct Bfloat16 {
    template <int N>
    struct Fragment {
        unsigned bits[N];  // two values each

        __device__ Fragment() {}

        __device__ explicit Fragment(const float (&values)[2][N])
        {
#pragma unroll
            for (int i = 0; i < N; ++i)  // to nearest, ties to even
                asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits[i]) : "f"(values[1][i]), "f"(values[0][i]));
        }
    };

    static __device__ void multiply(float (&c)[4], const Fragment<4>& a, const Fragment<2>& b)
    {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a.bits[0]), "r"(a.bits[1]), "r"(a.bits[2]), "r"(a.bits[3]), "r"(b.bits[0]), "r"(b.bits[1]));
    }
};
