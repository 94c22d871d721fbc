// Layers of one value at a time, forward and backward, NCHW. Backward kernels write the gradient of
// their input or, with `add`, add to what other readers of that value have left there.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

__device__ __forceinline__ std::size_t flat_index() {
  return std::size_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ __forceinline__ void store_gradient(float* to, float value, bool add) {
  *to = add ? *to + value : value;
}

static __global__ void __launch_bounds__(256)
    relu_kernel(const float* __restrict__ in, std::size_t count, float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i < count) out[i] = device::relu(in[i]);
}

/// relu(in + bias[c]): a convolution's bias on the way.
static __global__ void __launch_bounds__(256)
    bias_relu_kernel(const float* __restrict__ in, const float* __restrict__ bias,
                     std::size_t count, std::uint32_t channels, std::uint32_t area,
                     float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i < count) out[i] = device::relu(in[i] + bias[i / area % channels]);
}

/// The gradient passes where the output is positive.
static __global__ void __launch_bounds__(256)
    relu_backward_kernel(const float* __restrict__ out, const float* __restrict__ out_gradient,
                         std::size_t count, bool add, float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i < count) store_gradient(&in_gradient[i], out[i] > 0.0f ? out_gradient[i] : 0.0f, add);
}

static __global__ void __launch_bounds__(256)
    add_kernel(const float* __restrict__ a, const float* __restrict__ b, std::size_t count,
               float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i < count) out[i] = a[i] + b[i];
}

/// Gradient of one operand of an addition.
static __global__ void __launch_bounds__(256)
    pass_gradient_kernel(const float* __restrict__ out_gradient, std::size_t count, bool add,
                         float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i < count) store_gradient(&in_gradient[i], out_gradient[i], add);
}

static __global__ void __launch_bounds__(256)
    swap_kernel(float* __restrict__ a, float* __restrict__ b, std::size_t count) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const float was = a[i];
  a[i] = b[i];
  b[i] = was;
}

/// fmaf(x, scale[c], shift[c]): normalize, and BatchNorm folded for evaluation.
static __global__ void __launch_bounds__(256)
    affine_kernel(const float* __restrict__ in, const float* __restrict__ scale,
                  const float* __restrict__ shift, std::size_t count, std::uint32_t channels,
                  std::uint32_t area, float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const auto c = static_cast<std::uint32_t>(i / area % channels);
  out[i] = device::affine(in[i], scale[c], shift[c]);
}

static __global__ void __launch_bounds__(256)
    scale_gradient_kernel(const float* __restrict__ out_gradient, const float* __restrict__ scale,
                          std::size_t count, std::uint32_t channels, std::uint32_t area, bool add,
                          float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  store_gradient(&in_gradient[i], out_gradient[i] * scale[i / area % channels], add);
}

/// One thread a channel of an image; the sum in row-major order.
static __global__ void __launch_bounds__(256)
    average_kernel(const float* __restrict__ in, std::size_t planes, std::uint32_t area,
                   float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= planes) return;
  float sum = 0.0f;
  for (std::uint32_t p = 0; p < area; ++p) sum += in[i * area + p];
  out[i] = sum * (1.0f / static_cast<float>(area));
}

static __global__ void __launch_bounds__(256)
    average_backward_kernel(const float* __restrict__ out_gradient, std::size_t count,
                            std::uint32_t area, bool add, float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  store_gradient(&in_gradient[i], out_gradient[i / area] * (1.0f / static_cast<float>(area)), add);
}

/// out[…, c, …] += bias[c], for engines whose convolution has no bias of its own.
static __global__ void __launch_bounds__(256)
    add_bias_kernel(const float* __restrict__ bias, std::size_t count, std::uint32_t channels,
                    std::uint32_t area, float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i < count) out[i] = out[i] + bias[i / area % channels];
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
