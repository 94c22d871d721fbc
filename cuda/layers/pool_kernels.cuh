// Max pooling, NCHW. Forward remembers which pixel won, backward gathers: each input pixel looks at
// the windows that contain it, so that no two threads write to the same place.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct PoolShape {
  int in_height, in_width, out_height, out_width;
  int kernel, stride, padding;
};

/// What is pooled: the values themselves, or the relu of them, with a bias a channel or without.
struct PoolInput {
  const float* values = nullptr;
  const float* bias = nullptr;  ///< may be null
  std::uint32_t channels = 1;   ///< of the bias
  bool relu = false;
};

/// The first largest in (ky, kx) order; NaN wins. `winner` (index within the input plane, −1 for a
/// window of padding) may be null. planes = images × channels.
static __global__ void __launch_bounds__(256)
    maxpool_kernel(PoolShape s, std::size_t planes, PoolInput in, float* __restrict__ out,
                   int* __restrict__ winner) {
  const std::size_t i = flat_index(), area = static_cast<std::size_t>(s.out_height) * s.out_width;
  if (i >= planes * area) return;
  const int y0 = static_cast<int>(i % area) / s.out_width * s.stride - s.padding;
  const int x0 = static_cast<int>(i % area) % s.out_width * s.stride - s.padding;
  const float* plane = in.values + i / area * static_cast<std::size_t>(s.in_height * s.in_width);
  const float bias = in.bias ? in.bias[i / area % in.channels] : 0.0f;
  float best = -INFINITY;
  int at = -1;
  for (int ky = 0; ky < s.kernel; ++ky) {
    for (int kx = 0; kx < s.kernel; ++kx) {
      const int y = y0 + ky, x = x0 + kx;
      if (y < 0 || y >= s.in_height || x < 0 || x >= s.in_width) continue;
      float v = plane[y * s.in_width + x];
      if (in.bias) v = v + bias;
      if (in.relu) v = device::relu(v);
      if (at < 0 || v > best || v != v) at = y * s.in_width + x;
      best = device::max_or_nan(best, v);
    }
  }
  out[i] = best;
  if (winner) winner[i] = at;
}

/// With `pooled`, the outputs, through the relu before the pooling as well: the winner's gradient
/// passes where it is positive.
static __global__ void __launch_bounds__(256)
    maxpool_backward_kernel(PoolShape s, std::size_t planes, const int* __restrict__ winner,
                            const float* __restrict__ pooled,
                            const float* __restrict__ out_gradient, bool add,
                            float* __restrict__ in_gradient) {
  const std::size_t i = flat_index(), area = static_cast<std::size_t>(s.in_height) * s.in_width;
  if (i >= planes * area) return;
  const int here = static_cast<int>(i % area);
  const int y = here / s.in_width + s.padding, x = here % s.in_width + s.padding;
  const std::size_t plane = i / area * static_cast<std::size_t>(s.out_height * s.out_width);
  // Windows oy·stride … oy·stride + kernel − 1 that hold y.
  const int oy0 = y < s.kernel ? 0 : (y - s.kernel) / s.stride + 1;
  const int ox0 = x < s.kernel ? 0 : (x - s.kernel) / s.stride + 1;
  float sum = 0.0f;
  for (int oy = oy0; oy <= y / s.stride && oy < s.out_height; ++oy) {
    for (int ox = ox0; ox <= x / s.stride && ox < s.out_width; ++ox) {
      const std::size_t at = plane + static_cast<std::size_t>(oy * s.out_width + ox);
      if (winner[at] == here && (!pooled || pooled[at] > 0.0f)) sum += out_gradient[at];
    }
  }
  store_gradient(&in_gradient[i], sum, add);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
