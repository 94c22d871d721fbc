// Direct convolution, NCHW and OIHW: forward, input gradient, weight gradient, bias gradient. The
// oracle of the cuDNN path and what runs where cuDNN is missing. Every output is computed by one
// thread or one block in a fixed order: deterministic.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "gpu/slices.hpp"
#include "gpu/train_plan.hpp"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// One thread an output. `bias` may be null.
static __global__ void __launch_bounds__(256)
    conv_kernel(ConvShape s, const float* __restrict__ in, const float* __restrict__ weights,
                const float* __restrict__ bias, float* __restrict__ out) {
  const std::size_t i = flat_index();
  const std::size_t area = static_cast<std::size_t>(s.out_height) * s.out_width;
  const std::size_t per_image = area * s.out_channels;
  if (i >= per_image * s.images) return;
  const int channel = static_cast<int>(i % per_image / area);
  const int y = static_cast<int>(i % area) / s.out_width;
  const int x = static_cast<int>(i % area) % s.out_width;
  const float* image =
      in + i / per_image * (static_cast<std::size_t>(s.in_channels) * s.in_height * s.in_width);
  const float* w =
      weights + static_cast<std::size_t>(channel) * s.in_channels * s.kernel * s.kernel;
  out[i] =
      device::conv_output(image, w, bias ? bias[channel] : 0.0f, s.in_channels, s.in_height,
                          s.in_width, s.kernel, y * s.stride - s.padding, x * s.stride - s.padding);
}

/// One thread an input value: it gathers from the outputs whose window holds it.
static __global__ void __launch_bounds__(256)
    conv_input_gradient_kernel(ConvShape s, const float* __restrict__ out_gradient,
                               const float* __restrict__ weights, bool add,
                               float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  const std::size_t area = static_cast<std::size_t>(s.in_height) * s.in_width;
  const std::size_t per_image = area * s.in_channels;
  if (i >= per_image * s.images) return;
  const int channel = static_cast<int>(i % per_image / area);
  const int y = static_cast<int>(i % area) / s.in_width + s.padding;
  const int x = static_cast<int>(i % area) % s.in_width + s.padding;
  const float* image =
      out_gradient +
      i / per_image * (static_cast<std::size_t>(s.out_channels) * s.out_height * s.out_width);
  float acc = 0.0f;
  for (int o = 0; o < s.out_channels; ++o) {
    const float* plane = image + static_cast<std::size_t>(o) * s.out_height * s.out_width;
    const float* w =
        weights + (static_cast<std::size_t>(o) * s.in_channels + channel) * s.kernel * s.kernel;
    for (int ky = 0; ky < s.kernel; ++ky) {
      const int ty = y - ky, oy = ty / s.stride;
      if (ty < 0 || ty % s.stride != 0 || oy >= s.out_height) continue;
      for (int kx = 0; kx < s.kernel; ++kx) {
        const int tx = x - kx, ox = tx / s.stride;
        if (tx < 0 || tx % s.stride != 0 || ox >= s.out_width) continue;
        acc = device::fused_multiply_add(w[ky * s.kernel + kx], plane[oy * s.out_width + ox], acc);
      }
    }
  }
  store_gradient(&in_gradient[i], acc, add);
}

/// Σ over a slice of images and positions for the kernel × kernel weights of one pair of channels
/// at once: the output's gradient is loaded once for all of them. Grid: pairs × slices.
/// partial: [slice][weight], and for bias_partial (may be null) [slice][out channel].
template <int kernel>
static __global__ void __launch_bounds__(256)
    conv_weight_sums_kernel(ConvShape s, const float* __restrict__ in,
                            const float* __restrict__ out_gradient, float* __restrict__ partial,
                            float* __restrict__ bias_partial) {
  constexpr int kWindow = kernel * kernel;
  const int o = static_cast<int>(blockIdx.x) / s.in_channels;
  const int c = static_cast<int>(blockIdx.x) % s.in_channels;
  const auto area = static_cast<std::uint32_t>(s.out_height * s.out_width);
  const Slice slice = slice_of(static_cast<std::uint32_t>(s.images) * area, gridDim.y, blockIdx.y);
  float acc[kWindow + 1];  // the last one is the bias's
  SMOOTHCERT_UNROLL
  for (int t = 0; t <= kWindow; ++t) acc[t] = 0.0f;
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    const std::size_t image = k / area;
    const int at = static_cast<int>(k % area);
    const float g = out_gradient[(image * s.out_channels + o) * area + at];
    const int y0 = at / s.out_width * s.stride - s.padding;
    const int x0 = at % s.out_width * s.stride - s.padding;
    const float* plane = in + (image * s.in_channels + c) * s.in_height * s.in_width;
    acc[kWindow] += g;
    SMOOTHCERT_UNROLL
    for (int t = 0; t < kWindow; ++t) {
      const int y = y0 + t / kernel, x = x0 + t % kernel;
      const bool inside = y >= 0 && y < s.in_height && x >= 0 && x < s.in_width;
      acc[t] = device::fused_multiply_add(inside ? plane[y * s.in_width + x] : 0.0f, g, acc[t]);
    }
  }
  const std::size_t weights = std::size_t{gridDim.x} * kWindow;
  float* to = partial + blockIdx.y * weights + std::size_t{blockIdx.x} * kWindow;
  SMOOTHCERT_UNROLL
  for (int t = 0; t <= kWindow; t += 2) {
    const TwoSums sums = block_sums(acc[t], t < kWindow ? acc[t + 1] : 0.0f);
    if (threadIdx.x > 0) continue;
    const float pair[2] = {sums.a, sums.b};
    for (int e = 0; e < 2 && t + e <= kWindow; ++e) {
      if (t + e < kWindow) {
        to[t + e] = pair[e];
      } else if (bias_partial && c == 0) {
        bias_partial[std::size_t{blockIdx.y} * s.out_channels + o] = pair[e];
      }
    }
  }
}

/// One block a weight, over all images and positions: for windows that have no kernel of their own.
static __global__ void __launch_bounds__(256)
    conv_weight_gradient_kernel(ConvShape s, const float* __restrict__ in,
                                const float* __restrict__ out_gradient, bool add,
                                float* __restrict__ gradient) {
  const int window = s.kernel * s.kernel, weight = static_cast<int>(blockIdx.x);
  const int o = weight / (s.in_channels * window), c = weight / window % s.in_channels;
  const int dy = weight % window / s.kernel - s.padding, dx = weight % s.kernel - s.padding;
  const int area = s.out_height * s.out_width, count = s.images * area;
  float acc = 0.0f;
  for (int k = static_cast<int>(threadIdx.x); k < count; k += static_cast<int>(blockDim.x)) {
    const int image = k / area, at = k % area;
    const int y = at / s.out_width * s.stride + dy, x = at % s.out_width * s.stride + dx;
    if (y < 0 || y >= s.in_height || x < 0 || x >= s.in_width) continue;
    const float* plane =
        in + (static_cast<std::size_t>(image) * s.in_channels + c) * s.in_height * s.in_width;
    acc = device::fused_multiply_add(
        plane[y * s.in_width + x],
        out_gradient[(static_cast<std::size_t>(image) * s.out_channels + o) * area + at], acc);
  }
  acc = block_sum(acc);
  if (threadIdx.x == 0) store_gradient(&gradient[weight], acc, add);
}

/// Σ over a slice of images and positions, per channel: [slice][channel]. Grid: channels × slices.
/// One slice is the gradient.
static __global__ void __launch_bounds__(256)
    bias_sums_kernel(std::uint32_t images, std::uint32_t channels, std::uint32_t area,
                     const float* __restrict__ out_gradient, bool add, float* __restrict__ partial,
                     float* __restrict__ gradient) {
  const Slice slice = slice_of(images * area, gridDim.y, blockIdx.y);
  float acc = 0.0f;
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    acc += out_gradient[(std::size_t{k / area} * channels + blockIdx.x) * area + k % area];
  }
  acc = block_sum(acc);
  if (threadIdx.x > 0) return;
  if (gridDim.y == 1) {
    store_gradient(&gradient[blockIdx.x], acc, add);
  } else {
    partial[std::size_t{blockIdx.y} * channels + blockIdx.x] = acc;
  }
}

/// The slices' sums put together in their order; one thread a value.
static __global__ void __launch_bounds__(256)
    sum_slices_kernel(const float* __restrict__ partial, std::size_t count, std::uint32_t slices,
                      bool add, float* __restrict__ gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  float sum = 0.0f;
  for (std::uint32_t s = 0; s < slices; ++s) sum += partial[s * count + i];
  store_gradient(&gradient[i], sum, add);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
