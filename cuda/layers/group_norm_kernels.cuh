// Normalisation over groups of an image's channels (groupnorm, layernorm, instancenorm), forward
// and backward, NCHW, one block a group of an image.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct GroupNormShape {
  std::uint32_t images, groups;
  std::uint32_t count;  ///< values of a group
  std::uint32_t part;   ///< values that have scale and shift in common: a channel's, or one
  float eps;
};

/// Scale or shift of value i of an image.
__device__ __forceinline__ std::size_t norm_parameter(const GroupNormShape& s, std::uint32_t k,
                                                      std::uint32_t group) {
  return (std::size_t{group} * s.count + k) / s.part;
}

/// moments: mean, then 1/√(variance + eps), of each group of each image. scale and shift may be
/// null together.
static __global__ void __launch_bounds__(256)
    group_norm_kernel(GroupNormShape s, const float* __restrict__ in,
                      const float* __restrict__ scale, const float* __restrict__ shift,
                      float* __restrict__ moments, float* __restrict__ out) {
  const std::size_t first = std::size_t{blockIdx.x} * s.count;
  const std::uint32_t group = blockIdx.x % s.groups;
  const float share = 1.0f / static_cast<float>(s.count);
  float sum = 0.0f, squares = 0.0f;
  for (std::uint32_t k = threadIdx.x; k < s.count; k += blockDim.x) sum += in[first + k];
  const float mean = block_sum(sum) * share;
  for (std::uint32_t k = threadIdx.x; k < s.count; k += blockDim.x) {
    const float d = in[first + k] - mean;
    squares = fmaf(d, d, squares);
  }
  const float inverse = 1.0f / sqrtf(block_sum(squares) * share + s.eps);
  for (std::uint32_t k = threadIdx.x; k < s.count; k += blockDim.x) {
    const std::size_t p = norm_parameter(s, k, group);
    const float z = (in[first + k] - mean) * inverse;
    out[first + k] = scale ? fmaf(z, scale[p], shift[p]) : z;
  }
  if (threadIdx.x > 0) return;
  moments[2 * blockIdx.x] = mean;
  moments[2 * blockIdx.x + 1] = inverse;
}

/// With z the normalised values and s their scale: (s·dy − mean(s·dy) − z·mean(s·dy·z))/√(v + eps).
static __global__ void __launch_bounds__(256)
    group_norm_backward_kernel(GroupNormShape s, const float* __restrict__ in,
                               const float* __restrict__ scale, const float* __restrict__ moments,
                               const float* __restrict__ out_gradient, bool add,
                               float* __restrict__ in_gradient) {
  const std::size_t first = std::size_t{blockIdx.x} * s.count;
  const std::uint32_t group = blockIdx.x % s.groups;
  const float share = 1.0f / static_cast<float>(s.count);
  const float mean = moments[2 * blockIdx.x], inverse = moments[2 * blockIdx.x + 1];
  TwoSums sum{0.0f, 0.0f};
  for (std::uint32_t k = threadIdx.x; k < s.count; k += blockDim.x) {
    const float g = out_gradient[first + k] * (scale ? scale[norm_parameter(s, k, group)] : 1.0f);
    sum.a += g;
    sum.b = fmaf(g, (in[first + k] - mean) * inverse, sum.b);
  }
  sum = block_sums(sum.a, sum.b);
  const float a = sum.a * share, b = sum.b * share;
  for (std::uint32_t k = threadIdx.x; k < s.count; k += blockDim.x) {
    const float g = out_gradient[first + k] * (scale ? scale[norm_parameter(s, k, group)] : 1.0f);
    const float z = (in[first + k] - mean) * inverse;
    store_gradient(&in_gradient[first + k], (g - a - z * b) * inverse, add);
  }
}

/// One block a scale and its shift: Σ dy·z and Σ dy over the images.
static __global__ void __launch_bounds__(256)
    group_norm_parameters_kernel(GroupNormShape s, const float* __restrict__ in,
                                 const float* __restrict__ moments,
                                 const float* __restrict__ out_gradient, bool add,
                                 float* __restrict__ scale_gradient,
                                 float* __restrict__ shift_gradient) {
  const std::uint32_t first = blockIdx.x * s.part, group = first / s.count;
  const std::size_t size = std::size_t{s.groups} * s.count;
  TwoSums sum{0.0f, 0.0f};
  for (std::uint32_t k = threadIdx.x; k < s.images * s.part; k += blockDim.x) {
    const std::size_t image = k / s.part, i = image * size + first + k % s.part;
    const float* of = moments + 2 * (image * s.groups + group);
    sum.a = fmaf(out_gradient[i], (in[i] - of[0]) * of[1], sum.a);
    sum.b += out_gradient[i];
  }
  sum = block_sums(sum.a, sum.b);
  if (threadIdx.x > 0) return;
  store_gradient(&scale_gradient[blockIdx.x], sum.a, add);
  store_gradient(&shift_gradient[blockIdx.x], sum.b, add);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
