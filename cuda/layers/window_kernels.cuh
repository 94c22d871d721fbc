// Convolutions and poolings of any windows (groups, dilation, rectangles, ceil_mode, adaptive),
// forward and backward, NCHW, one thread a value: what the kernels of conv_kernels.cuh and
// pool_kernels.cuh do not know. The arithmetic is the leaves' of smoothcert/device.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/scalar_math.hpp"
#include "smoothcert/device/window_gradients.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Value i of a batch of C × H × W activations.
struct BatchPlace {
  std::size_t image;
  int channel, y, x;
};
__device__ __forceinline__ BatchPlace batch_place(std::size_t i, int channels, int height,
                                                  int width) {
  const std::size_t size = static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
                           static_cast<std::size_t>(width);
  const int value = static_cast<int>(i % size);
  return {i / size, value / (height * width), value % (height * width) / width, value % width};
}
__device__ __forceinline__ std::size_t window_in_size(const WindowShape& s) {
  return static_cast<std::size_t>(s.in_channels) * static_cast<std::size_t>(s.y.in) *
         static_cast<std::size_t>(s.x.in);
}
__device__ __forceinline__ std::size_t window_out_size(const WindowShape& s) {
  return static_cast<std::size_t>(s.out_channels) * static_cast<std::size_t>(s.y.out) *
         static_cast<std::size_t>(s.x.out);
}

/// `bias` may be null.
static __global__ void __launch_bounds__(256)
    window_conv_kernel(WindowShape s, std::size_t count, const float* __restrict__ in,
                       const float* __restrict__ weights, const float* __restrict__ bias,
                       float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace at = batch_place(i, s.out_channels, s.y.out, s.x.out);
  out[i] = device::window_conv(s, in + at.image * window_in_size(s), weights,
                               bias ? bias[at.channel] : 0.0f, at.channel, at.y, at.x);
}

static __global__ void __launch_bounds__(256)
    window_conv_input_kernel(WindowShape s, std::size_t count,
                             const float* __restrict__ out_gradient,
                             const float* __restrict__ weights, bool add,
                             float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace at = batch_place(i, s.in_channels, s.y.in, s.x.in);
  store_gradient(
      &in_gradient[i],
      device::window_conv_gradient<device::ScalarMath>(
          s, out_gradient + at.image * window_out_size(s), weights, at.channel, at.y, at.x),
      add);
}

/// One block a weight.
static __global__ void __launch_bounds__(256)
    window_conv_weight_kernel(WindowShape s, std::uint32_t images, const float* __restrict__ in,
                              const float* __restrict__ out_gradient, bool add,
                              float* __restrict__ gradient) {
  const int channels = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  int rest = static_cast<int>(blockIdx.x);
  const int kx = rest % s.x.kernel;
  rest /= s.x.kernel;
  const int ky = rest % s.y.kernel;
  rest /= s.y.kernel;
  const int o = rest / channels;
  const int c = o / outputs * channels + rest % channels;
  const std::uint32_t area = static_cast<std::uint32_t>(s.y.out * s.x.out);
  float acc = 0.0f;
  for (std::uint32_t k = threadIdx.x; k < images * area; k += blockDim.x) {
    const int p = static_cast<int>(k % area);
    const int y = p / s.x.out * s.y.stride - s.y.padding + ky * s.y.dilation;
    const int x = p % s.x.out * s.x.stride - s.x.padding + kx * s.x.dilation;
    if (y < 0 || y >= s.y.in || x < 0 || x >= s.x.in) continue;
    const std::size_t image = k / area;
    acc = fmaf(
        out_gradient[image * window_out_size(s) + static_cast<std::size_t>(o) * area +
                     static_cast<std::size_t>(p)],
        in[image * window_in_size(s) + static_cast<std::size_t>((c * s.y.in + y) * s.x.in + x)],
        acc);
  }
  acc = block_sum(acc);
  if (threadIdx.x == 0) store_gradient(&gradient[blockIdx.x], acc, add);
}

/// The first largest of each window in (ky, kx) order; NaN wins. winner: index within the input
/// plane, −1 for an empty window.
static __global__ void __launch_bounds__(256)
    window_max_kernel(WindowShape s, std::size_t count, const float* __restrict__ in,
                      float* __restrict__ out, int* __restrict__ winner) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace place = batch_place(i, s.out_channels, s.y.out, s.x.out);
  const float* plane = in + place.image * window_in_size(s) +
                       static_cast<std::size_t>(place.channel * s.y.in * s.x.in);
  const device::WindowTaps ty = device::taps_of(s.y, place.y, s.adaptive);
  const device::WindowTaps tx = device::taps_of(s.x, place.x, s.adaptive);
  float best = -INFINITY;
  int at = -1;
  for (int ky = 0; ky < ty.count; ++ky) {
    for (int kx = 0; kx < tx.count; ++kx) {
      const int here = (ty.first + ky * s.y.dilation) * s.x.in + tx.first + kx * s.x.dilation;
      const float v = plane[here];
      if (at < 0 || v > best || v != v) at = here;
      best = device::max_or_nan(best, v);
    }
  }
  out[i] = best;
  winner[i] = at;
}

static __global__ void __launch_bounds__(256)
    window_max_backward_kernel(WindowShape s, std::size_t count, const int* __restrict__ winner,
                               const float* __restrict__ out_gradient, bool add,
                               float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace at = batch_place(i, s.in_channels, s.y.in, s.x.in);
  const device::WindowRange ry = device::windows_at(s.y, at.y, s.adaptive);
  const device::WindowRange rx = device::windows_at(s.x, at.x, s.adaptive);
  const std::size_t plane =
      at.image * window_out_size(s) + static_cast<std::size_t>(at.channel * s.y.out * s.x.out);
  float sum = 0.0f;
  for (int oy = ry.first; oy < ry.end; ++oy) {
    for (int ox = rx.first; ox < rx.end; ++ox) {
      const std::size_t from = plane + static_cast<std::size_t>(oy * s.x.out + ox);
      if (winner[from] == at.y * s.x.in + at.x) sum += out_gradient[from];
    }
  }
  store_gradient(&in_gradient[i], sum, add);
}

static __global__ void __launch_bounds__(256)
    window_mean_kernel(WindowShape s, std::size_t count, const float* __restrict__ in,
                       float* __restrict__ out) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace at = batch_place(i, s.out_channels, s.y.out, s.x.out);
  out[i] = device::window_mean(s, in + at.image * window_in_size(s), at.channel, at.y, at.x);
}

static __global__ void __launch_bounds__(256)
    window_mean_backward_kernel(WindowShape s, std::size_t count,
                                const float* __restrict__ out_gradient, bool add,
                                float* __restrict__ in_gradient) {
  const std::size_t i = flat_index();
  if (i >= count) return;
  const BatchPlace at = batch_place(i, s.in_channels, s.y.in, s.x.in);
  store_gradient(&in_gradient[i],
                 device::window_mean_gradient<device::ScalarMath>(
                     s, out_gradient + at.image * window_out_size(s), at.channel, at.y, at.x),
                 add);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
