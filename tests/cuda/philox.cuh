// Philox 4x32-10 (Salmon et al. 2011): random numbers from a counter and a key.
#pragma once

__device__ inline uint4 philox(unsigned long long counter, unsigned long long key) {
  uint4 c = make_uint4((unsigned)counter, (unsigned)(counter >> 32), 0, 0);
  unsigned k0 = (unsigned)key, k1 = (unsigned)(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
    const unsigned high0 = __umulhi(0xD2511F53u, c.x), high1 = __umulhi(0xCD9E8D57u, c.z);
    c = make_uint4(high1 ^ c.y ^ k0, 0xCD9E8D57u * c.z, high0 ^ c.w ^ k1, 0xD2511F53u * c.x);
  }
  return c;
}
