// Linear layers: y = x·Wᵀ + b with x images × in, W out × in. What runs where cuBLAS is missing,
// and its oracle.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct LinearShape {
  std::uint32_t images, in, out;
};

/// One warp an output: its lanes stride over the features. `bias` may be null.
static __global__ void __launch_bounds__(256)
    linear_kernel(LinearShape s, const float* __restrict__ x, const float* __restrict__ weights,
                  const float* __restrict__ bias, float* __restrict__ y) {
  const std::size_t i = std::size_t{blockIdx.x} * (blockDim.x / 32) + threadIdx.x / 32;
  if (i >= std::size_t{s.images} * s.out) return;
  const std::uint32_t o = static_cast<std::uint32_t>(i % s.out), lane = threadIdx.x % 32;
  const float* row = x + i / s.out * s.in;
  const float* w = weights + std::size_t{o} * s.in;
  float acc = 0.0f;
  for (std::uint32_t f = lane; f < s.in; f += 32) {
    acc = device::fused_multiply_add(w[f], row[f], acc);
  }
  acc = warp_sum(acc);
  if (lane == 0) y[i] = acc + (bias ? bias[o] : 0.0f);
}

/// One thread an input feature of an image.
static __global__ void __launch_bounds__(256)
    linear_input_gradient_kernel(LinearShape s, const float* __restrict__ y_gradient,
                                 const float* __restrict__ weights, bool add,
                                 float* __restrict__ x_gradient) {
  const std::size_t i = flat_index();
  if (i >= std::size_t{s.images} * s.in) return;
  const float* row = y_gradient + i / s.in * s.out;
  float acc = 0.0f;
  for (std::uint32_t o = 0; o < s.out; ++o) {
    acc = device::fused_multiply_add(weights[std::size_t{o} * s.in + i % s.in], row[o], acc);
  }
  store_gradient(&x_gradient[i], acc, add);
}

/// A block does 32 features of one output: its warps share the images out and add in order.
/// Grid: feature groups × outputs.
static __global__ void __launch_bounds__(256)
    linear_weight_gradient_kernel(LinearShape s, const float* __restrict__ x,
                                  const float* __restrict__ y_gradient, bool add,
                                  float* __restrict__ gradient) {
  SMOOTHCERT_SHARED(float, partial, 32 * 32);
  const std::uint32_t lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const std::uint32_t f = blockIdx.x * 32 + lane, o = blockIdx.y;
  float acc = 0.0f;
  for (std::uint32_t n = warp; n < s.images && f < s.in; n += warps) {
    acc = device::fused_multiply_add(x[std::size_t{n} * s.in + f],
                                     y_gradient[std::size_t{n} * s.out + o], acc);
  }
  partial[threadIdx.x] = acc;
  __syncthreads();
  if (warp > 0 || f >= s.in) return;
  for (std::uint32_t w = 1; w < warps; ++w) acc += partial[w * 32 + lane];
  store_gradient(&gradient[std::size_t{o} * s.in + f], acc, add);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
