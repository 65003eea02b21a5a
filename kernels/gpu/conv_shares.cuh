// What one thread of a block fetches of each tile of an operand: the same places in every tile, in vectors of VEC
// neighbours (16 bytes, or 4 where the channels are no multiple of 4). Threads beside each other fetch vectors beside
// each other.
//
//   at(r)        the r-th vector in memory; called once for each r = 0, 1, ... COUNT - 1 of a tile
//   side(), depth()              where the 0-th lies within the tile: the row (of a) or column (of b), and the depth
//   side_step(r), depth_step(r)  how much further the r-th does
//   next_tile()  moves on by DEPTH
#pragma once
#include "conv.cuh"

constexpr int THREADS = 128;  // of a block

// The thread's number, and the compiler's knowledge that it is small: that folds most of the arithmetic on places.
__device__ inline int thread()
{
    __builtin_assume(threadIdx.x < THREADS);
    return threadIdx.x;
}

template <bool DEPTH_INNER, class Operand, int SIDE, int DEPTH, int VEC>
struct Share;

// The depth is the inner index: a thread keeps to its one place within the depth, on COUNT outers. Those are the same
// in all tiles: the block works them out once (divisions) and leaves them in shared memory, for registers are scarce.
template <class Operand, int SIDE, int DEPTH, int VEC>
struct Share<true, Operand, SIDE, DEPTH, VEC> {
    static constexpr int PER_LINE = DEPTH / VEC, STEP = THREADS / PER_LINE, COUNT = SIDE / STEP;

    struct Outers {
        typename Operand::Outer at[SIDE];
    };

    const Operand& operand;
    const Outers& outers;
    typename Operand::Inner inner;

    // Synchronise the block before the first at().
    __device__ Share(const Operand& operand, Outers& outers, int side0, int depth0)
        : operand(operand), outers(outers), inner(operand.inner(depth0 + depth()))
    {
        for (int s = thread(); s < SIDE; s += THREADS) outers.at[s] = operand.outer(side0 + s);
    }

    static __device__ int side() { return thread() / PER_LINE; }
    static __device__ int depth() { return thread() % PER_LINE * VEC; }
    static constexpr __device__ int side_step(int r) { return r * STEP; }
    static constexpr __device__ int depth_step(int) { return 0; }
    __device__ Source at(int r) const { return operand.at(outers.at[side() + side_step(r)], inner); }
    __device__ void next_tile() { operand.advance(inner, DEPTH); }
};

// The depth is the outer index: a thread keeps to its one place within the side, and walks down the depth.
template <class Operand, int SIDE, int DEPTH, int VEC>
struct Share<false, Operand, SIDE, DEPTH, VEC> {
    static constexpr int PER_LINE = SIDE / VEC, STEP = THREADS / PER_LINE, COUNT = DEPTH / STEP;

    struct Outers {};

    const Operand& operand;
    typename Operand::Outer outer;
    typename Operand::Inner inner;

    __device__ Share(const Operand& operand, Outers&, int side0, int depth0)
        : operand(operand), outer(operand.outer(depth0 + depth())), inner(operand.inner(side0 + side()))
    {
    }

    static __device__ int side() { return thread() % PER_LINE * VEC; }
    static __device__ int depth() { return thread() / PER_LINE; }
    static constexpr __device__ int side_step(int) { return 0; }
    static constexpr __device__ int depth_step(int r) { return r * STEP; }

    __device__ Source at(int)
    {
        const Source here = operand.at(outer, inner);
        operand.advance(outer, STEP);
        return here;
    }

    __device__ void next_tile() {}
};

// How the tiles of a face's operands are fetched.
template <class Face, int ROWS, int COLUMNS, int DEPTH, int A_VEC, int B_VEC>
struct Shares {
    using A = Share<Face::A_DEPTH_INNER, decltype(Face::a), ROWS, DEPTH, A_VEC>;
    using B = Share<Face::B_DEPTH_INNER, decltype(Face::b), COLUMNS, DEPTH, B_VEC>;
};

// Which tile of the result is a block's: the grid is tiles of rows, tiles of columns, and phases x parts. A long depth
// is cut into parts, so that there are blocks enough for the machine; sum_parts.cu adds up their results.
struct Block {
    int row0, column0, phase, part;

    __device__ Block(int rows, int columns, int phases)
        : row0(blockIdx.x * rows), column0(blockIdx.y * columns), phase(blockIdx.z % phases), part(blockIdx.z / phases)
    {
    }
};
