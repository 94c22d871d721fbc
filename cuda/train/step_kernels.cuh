// Exact mode: one kernel a step of the inference plan, one thread an output of one sample.
//
// Values are stored value-major, sample innermost ([value][stride] with stride ≥ samples): the 32
// threads of a warp hold 32 samples, so loads of activations coalesce and weights are uniform.
// The arithmetic is device/layers.hpp, the same leaves that the CPU runs.
#pragma once

#include "cuda/runtime/sample_column.cuh"
#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct StepShape {
  int in_channels, in_height, in_width;
  int out_height, out_width;
  int kernel, stride, padding;
  std::uint32_t samples;
  std::size_t pitch;  ///< floats between two values of one sample
};

/// Convolution and linear layers; blockIdx.x = output value, blockIdx.y = group of samples.
static __global__ void __launch_bounds__(256)
    conv_step_kernel(StepShape s, const float* __restrict__ weights, const float* __restrict__ bias,
                     const float* __restrict__ in, float* __restrict__ out) {
  const std::uint32_t sample = blockIdx.y * blockDim.x + threadIdx.x;
  if (sample >= s.samples) return;
  const int value = static_cast<int>(blockIdx.x), area = s.out_height * s.out_width;
  const int channel = value / area, y = value % area / s.out_width, x = value % s.out_width;
  const float* w =
      weights + static_cast<std::size_t>(channel) * s.in_channels * s.kernel * s.kernel;
  out[static_cast<std::size_t>(value) * s.pitch + sample] = device::conv_output(
      SampleColumn{in + sample, s.pitch}, w, bias[channel], s.in_channels, s.in_height, s.in_width,
      s.kernel, y * s.stride - s.padding, x * s.stride - s.padding);
}

/// Windowed maximum in (ky, kx) order; taps in the padding are −∞, NaN propagates.
static __global__ void __launch_bounds__(256)
    maxpool_step_kernel(StepShape s, const float* __restrict__ in, float* __restrict__ out) {
  const std::uint32_t sample = blockIdx.y * blockDim.x + threadIdx.x;
  if (sample >= s.samples) return;
  const int value = static_cast<int>(blockIdx.x), area = s.out_height * s.out_width;
  const int channel = value / area, y = value % area / s.out_width, x = value % s.out_width;
  const SampleColumn column{in + sample, s.pitch};
  float best = -INFINITY;
  for (int ky = 0; ky < s.kernel; ++ky) {
    for (int kx = 0; kx < s.kernel; ++kx) {
      const int iy = y * s.stride - s.padding + ky, ix = x * s.stride - s.padding + kx;
      if (iy < 0 || iy >= s.in_height || ix < 0 || ix >= s.in_width) continue;
      best = device::max_or_nan(best, column[(channel * s.in_height + iy) * s.in_width + ix]);
    }
  }
  out[static_cast<std::size_t>(value) * s.pitch + sample] = best;
}

static __global__ void __launch_bounds__(256)
    affine_step_kernel(StepShape s, const float* __restrict__ scale,
                       const float* __restrict__ shift, const float* __restrict__ in,
                       float* __restrict__ out) {
  const std::uint32_t sample = blockIdx.y * blockDim.x + threadIdx.x;
  if (sample >= s.samples) return;
  const int channel = static_cast<int>(blockIdx.x) / (s.in_height * s.in_width);
  const std::size_t at = blockIdx.x * s.pitch + sample;
  out[at] = device::affine(in[at], scale[channel], shift[channel]);
}

static __global__ void __launch_bounds__(256)
    relu_step_kernel(StepShape s, const float* __restrict__ in, float* __restrict__ out) {
  const std::uint32_t sample = blockIdx.y * blockDim.x + threadIdx.x;
  if (sample >= s.samples) return;
  const std::size_t at = blockIdx.x * s.pitch + sample;
  out[at] = device::relu(in[at]);
}

static __global__ void __launch_bounds__(256)
    add_step_kernel(StepShape s, const float* __restrict__ a, const float* __restrict__ b,
                    float* __restrict__ out) {
  const std::uint32_t sample = blockIdx.y * blockDim.x + threadIdx.x;
  if (sample >= s.samples) return;
  const std::size_t at = blockIdx.x * s.pitch + sample;
  out[at] = a[at] + b[at];
}

/// Sum in row-major order times 1/(h·w); blockIdx.x = channel.
static __global__ void __launch_bounds__(256)
    average_step_kernel(StepShape s, const float* __restrict__ in, float* __restrict__ out) {
  const std::uint32_t sample = blockIdx.y * blockDim.x + threadIdx.x;
  if (sample >= s.samples) return;
  const int area = s.in_height * s.in_width;
  const SampleColumn column{in + sample, s.pitch};
  float sum = 0.0f;
  for (int i = 0; i < area; ++i) sum += column[static_cast<int>(blockIdx.x) * area + i];
  out[blockIdx.x * s.pitch + sample] = sum * (1.0f / static_cast<float>(area));
}

inline constexpr unsigned kTile = 32;

/// out[c·out_pitch + r] = in[r·in_pitch + c] for r < rows, c < columns: between image-major and
/// value-major. Blocks of kTile × (any divisor of kTile) threads.
static __global__ void __launch_bounds__(256)
    transpose_kernel(const float* __restrict__ in, float* __restrict__ out, std::uint32_t rows,
                     std::uint32_t columns, std::size_t in_pitch, std::size_t out_pitch) {
  SMOOTHCERT_SHARED(float, tile, kTile*(kTile + 1));
  const std::uint32_t r0 = blockIdx.y * kTile, c0 = blockIdx.x * kTile;
  for (std::uint32_t i = threadIdx.y; i < kTile; i += blockDim.y) {
    if (r0 + i < rows && c0 + threadIdx.x < columns) {
      tile[i * (kTile + 1) + threadIdx.x] = in[(r0 + i) * in_pitch + c0 + threadIdx.x];
    }
  }
  __syncthreads();
  for (std::uint32_t i = threadIdx.y; i < kTile; i += blockDim.y) {
    if (c0 + i < columns && r0 + threadIdx.x < rows) {
      out[(c0 + i) * out_pitch + r0 + threadIdx.x] = tile[threadIdx.x * (kTile + 1) + i];
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
