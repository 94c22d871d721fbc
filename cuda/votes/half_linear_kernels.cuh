// Linear layers of halves: sums = scale·x·Wᵀ onto floats by tensor cores, and what stands between
// two of them. The product is what runs where cuBLAS is missing, and cuBLAS's oracle.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "cuda/runtime/tensor_core.cuh"
#include "cuda/votes/half_engine.hpp"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// One warp does 16 samples × 8 outputs, k ascending in steps of 16. Pointers to pairs of halves.
static __global__ void __launch_bounds__(256)
    half_product_kernel(HalfProduct p, const std::uint32_t* __restrict__ x,
                        const std::uint32_t* __restrict__ weights, float* __restrict__ sums) {
  const unsigned lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  const auto columns = static_cast<unsigned>(p.out) / 8;
  const unsigned tile = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  if (tile >= columns * (static_cast<unsigned>(p.samples) / 16)) return;
  const std::size_t row = tile / columns * 16 + g, column = tile % columns * 8;
  const std::size_t pitch = static_cast<std::size_t>(p.in) / 2;  // in pairs
  const std::uint32_t *upper = x + row * pitch + t, *lower = upper + 8 * pitch;
  const std::uint32_t* w = weights + (column + g) * pitch + t;
  float sum[4] = {};
  for (std::size_t k = 0; k < pitch; k += 8) {
    const Half2 a[4] = {upper[k], lower[k], upper[k + 4], lower[k + 4]}, b[2] = {w[k], w[k + 4]};
    mma_f32(sum, a, b);
  }
  float* out = sums + row * static_cast<std::size_t>(p.out) + column + 2 * t;
  *reinterpret_cast<float2*>(out) = float2{p.scale * sum[0], p.scale * sum[1]};
  *reinterpret_cast<float2*>(out + std::size_t{8} * static_cast<std::size_t>(p.out)) =
      float2{p.scale * sum[2], p.scale * sum[3]};
}

/// relu(sums + bias) as halves, NaN kept: a thread two values.
static __global__ void __launch_bounds__(256)
    relu_to_halves_kernel(const float2* __restrict__ sums, const float2* __restrict__ bias,
                          unsigned pairs, std::size_t count, std::uint32_t* __restrict__ out) {
  const std::size_t i = std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i >= count) return;
  const float2 v = sums[i], b = bias[i % pairs];
  out[i] = pack_halves(device::relu(v.x + b.x), device::relu(v.y + b.y));
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
