// Sums and maxima over a warp and over a block, in an order that the launch shape alone decides, so
// that the same launch gives the same bits every time.
#pragma once

#include "cuda/runtime/simt.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

inline constexpr unsigned kWholeWarp = 0xffffffffu;

/// The sum of the 32 lanes, on every lane. All lanes take part.
__device__ __forceinline__ float warp_sum(float v) {
  for (int m = 16; m > 0; m >>= 1) v += __shfl_xor_sync(kWholeWarp, v, m);
  return v;
}

__device__ __forceinline__ float warp_max(float v) {
  for (int m = 16; m > 0; m >>= 1) {
    const float other = __shfl_xor_sync(kWholeWarp, v, m);
    v = other > v ? other : v;
  }
  return v;
}

__device__ __forceinline__ int warp_min(int v) {
  for (int m = 16; m > 0; m >>= 1) {
    const int other = __shfl_xor_sync(kWholeWarp, v, m);
    v = other < v ? other : v;
  }
  return v;
}

struct TwoSums {
  float a, b;
};

/// Two sums over the block at once, on every thread. The block is whole warps, at most 32 of them.
__device__ __forceinline__ TwoSums block_sums(float a, float b) {
  SMOOTHCERT_SHARED(float, partial, 64);
  a = warp_sum(a);
  b = warp_sum(b);
  const unsigned warp = threadIdx.x / 32, warps = blockDim.x / 32;
  if (threadIdx.x % 32 == 0) {
    partial[2 * warp] = a;
    partial[2 * warp + 1] = b;
  }
  __syncthreads();
  TwoSums total{0.0f, 0.0f};
  for (unsigned w = 0; w < warps; ++w) {
    total.a += partial[2 * w];
    total.b += partial[2 * w + 1];
  }
  __syncthreads();  // the next sum writes to the same place
  return total;
}

__device__ __forceinline__ float block_sum(float v) { return block_sums(v, 0.0f).a; }

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
