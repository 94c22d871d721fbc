// Activation functions beyond relu, forward and backward, NCHW. The arithmetic is the leaves' of
// smoothcert/device.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/activation_gradients.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

static __global__ void __launch_bounds__(256)
    activation_kernel(Activation kind, float alpha, std::size_t count, const float* __restrict__ in,
                      float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i < count) out[i] = device::activate<device::ScalarMath>(kind, in[i], alpha);
}

static __global__ void __launch_bounds__(256)
    activation_backward_kernel(Activation kind, float alpha, std::size_t count,
                               const float* __restrict__ in, const float* __restrict__ out_gradient,
                               bool add, float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const float slope = device::activation_slope<device::ScalarMath>(kind, in[i], alpha);
  store_gradient(&in_gradient[i], out_gradient[i] * slope, add);
}

/// `part` values follow one another that have a slope in common: a channel, or all of an image.
struct PreluShape {
  std::size_t count, part;
  std::uint32_t slopes;
};

static __global__ void __launch_bounds__(256)
    prelu_kernel(PreluShape s, const float* __restrict__ slopes, const float* __restrict__ in,
                 float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= s.count) return;
  out[i] = device::leaky_relu<device::ScalarMath>(in[i], slopes[i / s.part % s.slopes]);
}

static __global__ void __launch_bounds__(256)
    prelu_backward_kernel(PreluShape s, const float* __restrict__ slopes,
                          const float* __restrict__ in, const float* __restrict__ out_gradient,
                          bool add, float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= s.count) return;
  const float slope = device::activation_slope<device::ScalarMath>(Activation::leaky_relu, in[i],
                                                                   slopes[i / s.part % s.slopes]);
  store_gradient(&in_gradient[i], out_gradient[i] * slope, add);
}

/// One block a slope: Σ gradient · min(x, 0).
static __global__ void __launch_bounds__(256)
    prelu_slopes_kernel(PreluShape s, const float* __restrict__ in,
                        const float* __restrict__ out_gradient, bool add,
                        float* __restrict__ gradient) {
  const std::size_t parts = s.count / s.part / s.slopes;
  float acc = 0.0f;
  for (std::size_t k = threadIdx.x; k < parts * s.part; k += blockDim.x) {
    const std::size_t i = (k / s.part * s.slopes + blockIdx.x) * s.part + k % s.part;
    if (in[i] < 0.0f) acc = fmaf(out_gradient[i], in[i], acc);
  }
  acc = block_sum(acc);
  if (threadIdx.x == 0) store_gradient(&gradient[blockIdx.x], acc, add);
}

/// One thread a position of an image; over the channels in order, as in exact mode.
static __global__ void __launch_bounds__(256)
    softmax_kernel(std::size_t positions, std::uint32_t channels, std::uint32_t area,
                   const float* __restrict__ in, float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= positions) return;
  const std::size_t first = i / area * channels * area + i % area;
  float top = in[first], sum = 0.0f;
  for (std::uint32_t c = 1; c < channels; ++c) {
    top = device::max_or_nan(top, in[first + std::size_t{c} * area]);
  }
  for (std::uint32_t c = 0; c < channels; ++c) {
    const std::size_t at = first + std::size_t{c} * area;
    out[at] = device::exp_nonpositive<device::ScalarMath>(in[at] - top);
    sum += out[at];
  }
  for (std::uint32_t c = 0; c < channels; ++c) {
    const std::size_t at = first + std::size_t{c} * area;
    out[at] = out[at] / sum;
  }
}

/// y·(dy − Σ y·dy) over the channels of a position.
static __global__ void __launch_bounds__(256)
    softmax_backward_kernel(std::size_t positions, std::uint32_t channels, std::uint32_t area,
                            const float* __restrict__ out, const float* __restrict__ out_gradient,
                            bool add, float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= positions) return;
  const std::size_t first = i / area * channels * area + i % area;
  float sum = 0.0f;
  for (std::uint32_t c = 0; c < channels; ++c) {
    const std::size_t at = first + std::size_t{c} * area;
    sum = fmaf(out[at], out_gradient[at], sum);
  }
  for (std::uint32_t c = 0; c < channels; ++c) {
    const std::size_t at = first + std::size_t{c} * area;
    store_gradient(&in_gradient[at], out[at] * (out_gradient[at] - sum), add);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
