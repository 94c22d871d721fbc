// Steps of the inference plan beyond those of LeNet and ResNet: one thread an output of one sample,
// or one sample of a group that is normalised together. The arithmetic is the leaves' of
// smoothcert/device, the same that the CPU runs, so that exact mode has the same bits.
#pragma once

#include "cuda/runtime/sample_column.cuh"
#include "cuda/runtime/simt.cuh"
#include "cuda/votes/launch_general.hpp"
#include "smoothcert/device/activations.hpp"
#include "smoothcert/device/arithmetic.hpp"
#include "smoothcert/device/windows.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// The sample of this thread; blockIdx.y is the group of samples.
static __device__ __forceinline__ std::uint32_t sample_index() {
  return blockIdx.y * blockDim.x + threadIdx.x;
}
static __device__ __forceinline__ SampleColumn column_of(const StepValues& values,
                                                         std::uint32_t sample) {
  return {values.base + sample * values.sample_pitch, values.value_pitch};
}
static __device__ __forceinline__ float& value_of(const StepValues& values, std::uint32_t sample,
                                                  std::size_t value) {
  return values.base[sample * values.sample_pitch + value * values.value_pitch];
}

/// An output's channel, row and column; blockIdx.x is the output.
struct OutputPlace {
  int channel, y, x;
};
static __device__ __forceinline__ OutputPlace output_place(int height, int width) {
  const int value = static_cast<int>(blockIdx.x), area = height * width;
  return {value / area, value % area / width, value % width};
}

static __global__ void __launch_bounds__(256)
    window_conv_step_kernel(WindowShape s, std::uint32_t samples, const float* __restrict__ weights,
                            const float* __restrict__ bias, StepValues in, StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  const OutputPlace at = output_place(s.y.out, s.x.out);
  value_of(out, sample, blockIdx.x) = device::window_conv(s, column_of(in, sample), weights,
                                                          bias[at.channel], at.channel, at.y, at.x);
}

static __global__ void __launch_bounds__(256)
    window_pool_step_kernel(WindowShape s, bool maximum, std::uint32_t samples, StepValues in,
                            StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  const OutputPlace at = output_place(s.y.out, s.x.out);
  const SampleColumn column = column_of(in, sample);
  value_of(out, sample, blockIdx.x) = maximum
                                          ? device::window_max(s, column, at.channel, at.y, at.x)
                                          : device::window_mean(s, column, at.channel, at.y, at.x);
}

static __global__ void __launch_bounds__(256)
    activation_step_kernel(Activation kind, float alpha, std::uint32_t samples, StepValues in,
                           StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  value_of(out, sample, blockIdx.x) =
      device::activate<device::ScalarMath>(kind, value_of(in, sample, blockIdx.x), alpha);
}

static __global__ void __launch_bounds__(256)
    prelu_step_kernel(std::uint32_t area, std::uint32_t samples, const float* __restrict__ slopes,
                      StepValues in, StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  value_of(out, sample, blockIdx.x) = device::leaky_relu<device::ScalarMath>(
      value_of(in, sample, blockIdx.x), slopes[blockIdx.x / area]);
}

/// blockIdx.x is the position; over the channels in order.
static __global__ void __launch_bounds__(256)
    softmax_step_kernel(int channels, int area, std::uint32_t samples, StepValues in,
                        StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  const SampleColumn column = column_of(in, sample);
  const int position = static_cast<int>(blockIdx.x);
  float top = column[position], sum = 0.0f;
  for (int c = 1; c < channels; ++c) top = device::max_or_nan(top, column[c * area + position]);
  for (int c = 0; c < channels; ++c) {
    const float e = device::exp_nonpositive<device::ScalarMath>(column[c * area + position] - top);
    value_of(out, sample, static_cast<std::size_t>(c * area + position)) = e;
    sum += e;
  }
  for (int c = 0; c < channels; ++c) {
    float& value = value_of(out, sample, static_cast<std::size_t>(c * area + position));
    value = value / sum;
  }
}

struct NormShape {
  std::uint32_t count, area;  ///< values of a group, of a channel
  float eps;
  bool value_weights;
};

/// blockIdx.x is the group of channels; its values in row-major order.
static __global__ void __launch_bounds__(256)
    norm_step_kernel(NormShape s, std::uint32_t samples, const float* __restrict__ scale,
                     const float* __restrict__ shift, StepValues in, StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  const std::size_t first = std::size_t{blockIdx.x} * s.count;
  const float share = 1.0f / static_cast<float>(s.count);
  float sum = 0.0f, squares = 0.0f;
  for (std::uint32_t i = 0; i < s.count; ++i) sum += value_of(in, sample, first + i);
  const float mean = sum * share;
  for (std::uint32_t i = 0; i < s.count; ++i) {
    const float d = value_of(in, sample, first + i) - mean;
    squares = device::fused_multiply_add(d, d, squares);
  }
  const float inverse = 1.0f / device::ScalarMath::sqrt(squares * share + s.eps);
  for (std::uint32_t i = 0; i < s.count; ++i) {
    const std::size_t value = first + i;
    const std::size_t parameter = s.value_weights ? value : value / s.area;
    value_of(out, sample, value) = device::fused_multiply_add(
        (value_of(in, sample, value) - mean) * inverse, scale[parameter], shift[parameter]);
  }
}

static __global__ void __launch_bounds__(256)
    arithmetic_step_kernel(ArithmeticShape s, std::uint32_t samples, StepValues a, StepValues b,
                           StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  const OutputPlace at = output_place(s.height, s.width);
  value_of(out, sample, blockIdx.x) = device::combine(
      s.kind, value_of(a, sample, static_cast<std::size_t>(s.a.at(at.channel, at.y, at.x))),
      value_of(b, sample, static_cast<std::size_t>(s.b.at(at.channel, at.y, at.x))));
}

/// out[first + value] = in[value]: one input of a concatenation.
static __global__ void __launch_bounds__(256)
    copy_step_kernel(std::size_t first, std::uint32_t samples, StepValues in, StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  value_of(out, sample, first + blockIdx.x) = value_of(in, sample, blockIdx.x);
}

static __global__ void __launch_bounds__(256)
    constant_step_kernel(std::uint32_t samples, const float* __restrict__ values, StepValues out) {
  const std::uint32_t sample = sample_index();
  if (sample >= samples) return;
  value_of(out, sample, blockIdx.x) = values[blockIdx.x];
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
