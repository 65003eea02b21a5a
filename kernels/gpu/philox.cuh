// Philox4x32-10: four random words for each counter and key, with no state to share between threads.
//
// Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC 2011. Ten rounds of two 32 x 32 -> 64 bit products.
#pragma once

__device__ inline uint4 philox4x32(uint4 counter, uint2 key) {
#pragma unroll
    for (int round = 0; round < 10; ++round) {
        const unsigned long long product0 = 0xD2511F53ull * counter.x, product1 = 0xCD9E8D57ull * counter.z;
        counter = {static_cast<unsigned>(product1 >> 32) ^ counter.y ^ key.x, static_cast<unsigned>(product1),
                   static_cast<unsigned>(product0 >> 32) ^ counter.w ^ key.y, static_cast<unsigned>(product0)};
        key.x += 0x9E3779B9u, key.y += 0xBB67AE85u;
    }
    return counter;
}

// The words of a block, counted from the one that the state names; state = (key, counter).
__device__ inline uint4 philox_block(const unsigned long long* state, long long block) {
    const unsigned long long key = state[0], counter = state[1] + block;
    return philox4x32({static_cast<unsigned>(counter), static_cast<unsigned>(counter >> 32), 0, 0},
                      {static_cast<unsigned>(key), static_cast<unsigned>(key >> 32)});
}
