// Batch normalisation, NCHW, in two launches: sums of slices of each channel, one block a slice,
// then the slices again with the sums put together in order. Grids are channels × slices.
#pragma once

#include "cuda/layers/elementwise_kernels.cuh"
#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "gpu/slices.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct NormShape {
  std::uint32_t images, channels, area;
};

/// Index of the channel's k-th value.
__device__ __forceinline__ std::size_t norm_index(const NormShape& s, std::uint32_t channel,
                                                  std::uint32_t k) {
  return (std::size_t{k / s.area} * s.channels + channel) * s.area + k % s.area;
}

/// The block's slice of the channel's values.
__device__ __forceinline__ Slice norm_slice(const NormShape& s) {
  return slice_of(s.images * s.area, gridDim.y, blockIdx.y);
}

/// Mean and Σ (x − mean)² of each slice: in two passes over the slice, so that nothing cancels.
/// moments: [channel][slice][2].
static __global__ void __launch_bounds__(256)
    norm_moments_kernel(NormShape s, const float* __restrict__ in, float* __restrict__ moments) {
  const std::uint32_t c = blockIdx.x;
  const Slice slice = norm_slice(s);
  float sum = 0.0f;
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    sum += in[norm_index(s, c, k)];
  }
  const float count = static_cast<float>(slice.last - slice.first);
  const float mean = block_sum(sum) / (count > 0.0f ? count : 1.0f);
  float squares = 0.0f;
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    const float d = in[norm_index(s, c, k)] - mean;
    squares += d * d;
  }
  squares = block_sum(squares);
  if (threadIdx.x > 0) return;
  float* to = moments + 2 * (std::size_t{c} * gridDim.y + blockIdx.y);
  to[0] = mean;
  to[1] = squares;
}

struct NormMoments {
  float mean, squares;
};

/// The whole channel's moments from its slices', in their order (Chan, Golub, LeVeque 1979).
__device__ __forceinline__ NormMoments combine_moments(const NormShape& s, std::uint32_t channel,
                                                       const float* moments) {
  const float* from = moments + 2 * (std::size_t{channel} * gridDim.y);
  NormMoments all{0.0f, 0.0f};
  float seen = 0.0f;
  for (std::uint32_t i = 0; i < gridDim.y; ++i) {
    const Slice slice = slice_of(s.images * s.area, gridDim.y, i);
    const float count = static_cast<float>(slice.last - slice.first);
    if (count == 0.0f) break;
    const float total = seen + count, d = from[2 * i] - all.mean;
    all.mean += d * (count / total);
    all.squares += from[2 * i + 1] + d * d * (seen * count / total);
    seen = total;
  }
  return all;
}

/// Normalises the block's slice: fmaf(x − mean, γ/√(var+eps), β).
__device__ __forceinline__ void normalise_slice(const NormShape& s, float mean, float scale,
                                                float shift, const float* in, float* out) {
  const Slice slice = norm_slice(s);
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    const std::size_t i = norm_index(s, blockIdx.x, k);
    out[i] = fmaf(in[i] - mean, scale, shift);
  }
}

/// Training mode: normalises by the batch's mean and biased variance, moves the running statistics
/// (unbiased variance) by `momentum`.
/// running, saved: means, then variances or 1/√(var+eps), `channels` each.
static __global__ void __launch_bounds__(256)
    batchnorm_train_kernel(NormShape s, float eps, float momentum, const float* __restrict__ in,
                           const float* __restrict__ gamma, const float* __restrict__ beta,
                           const float* __restrict__ moments, float* __restrict__ running,
                           float* __restrict__ saved, float* __restrict__ out) {
  const std::uint32_t c = blockIdx.x;
  const NormMoments all = combine_moments(s, c, moments);
  const float count = static_cast<float>(s.images * s.area);
  const float scale = 1.0f / sqrtf(all.squares / count + eps);
  normalise_slice(s, all.mean, gamma[c] * scale, beta[c], in, out);
  if (blockIdx.y > 0 || threadIdx.x > 0) return;
  saved[c] = all.mean;
  saved[s.channels + c] = scale;
  const float unbiased = all.squares / (count > 1.0f ? count - 1.0f : 1.0f);
  running[c] = (1.0f - momentum) * running[c] + momentum * all.mean;
  running[s.channels + c] = (1.0f - momentum) * running[s.channels + c] + momentum * unbiased;
}

/// Evaluation mode: the running statistics.
static __global__ void __launch_bounds__(256)
    batchnorm_eval_kernel(NormShape s, float eps, const float* __restrict__ in,
                          const float* __restrict__ gamma, const float* __restrict__ beta,
                          const float* __restrict__ running, float* __restrict__ saved,
                          float* __restrict__ out) {
  const std::uint32_t c = blockIdx.x;
  const float mean = running[c], scale = 1.0f / sqrtf(running[s.channels + c] + eps);
  normalise_slice(s, mean, gamma[c] * scale, beta[c], in, out);
  if (blockIdx.y > 0 || threadIdx.x > 0) return;
  saved[c] = mean;
  saved[s.channels + c] = scale;
}

/// Σ gradient and Σ gradient · normalised value of each slice: [channel][slice][2].
static __global__ void __launch_bounds__(256)
    norm_gradient_sums_kernel(NormShape s, const float* __restrict__ in,
                              const float* __restrict__ saved,
                              const float* __restrict__ out_gradient, float* __restrict__ sums) {
  const std::uint32_t c = blockIdx.x;
  const Slice slice = norm_slice(s);
  const float mean = saved[c], scale = saved[s.channels + c];
  TwoSums sum{0.0f, 0.0f};
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    const std::size_t i = norm_index(s, c, k);
    sum.a += out_gradient[i];
    sum.b += out_gradient[i] * ((in[i] - mean) * scale);
  }
  sum = block_sums(sum.a, sum.b);
  if (threadIdx.x > 0) return;
  float* to = sums + 2 * (std::size_t{c} * gridDim.y + blockIdx.y);
  to[0] = sum.a;
  to[1] = sum.b;
}

struct NormGradients {
  float* gamma = nullptr;  ///< may be null: not asked for
  float* beta = nullptr;
  bool add_parameters = false;
  float* in = nullptr;  ///< may be null
  bool add_in = false;
  bool through_relu = false;  ///< `in` is of the relu whose output was normalised
};

/// `train`: the batch's statistics depend on the input, and the gradient goes through them.
/// `sums` is read for `train` or for the gradients of γ and β.
static __global__ void __launch_bounds__(256)
    batchnorm_backward_kernel(NormShape s, bool train, const float* __restrict__ in,
                              const float* __restrict__ gamma, const float* __restrict__ saved,
                              const float* __restrict__ out_gradient,
                              const float* __restrict__ sums, NormGradients to) {
  const std::uint32_t c = blockIdx.x;
  const float mean = saved[c], scale = saved[s.channels + c];
  TwoSums total{0.0f, 0.0f};
  if (train || to.gamma) {
    const float* from = sums + 2 * (std::size_t{c} * gridDim.y);
    for (std::uint32_t i = 0; i < gridDim.y; ++i) {
      total.a += from[2 * i];
      total.b += from[2 * i + 1];
    }
  }
  if (to.gamma && blockIdx.y == 0 && threadIdx.x == 0) {
    store_gradient(&to.beta[c], total.a, to.add_parameters);
    store_gradient(&to.gamma[c], total.b, to.add_parameters);
  }
  if (!to.in) return;
  const float share = train ? 1.0f / static_cast<float>(s.images * s.area) : 0.0f;
  const float factor = gamma[c] * scale, a = total.a * share, b = total.b * share;
  const Slice slice = norm_slice(s);
  for (std::uint32_t k = slice.first + threadIdx.x; k < slice.last; k += blockDim.x) {
    const std::size_t i = norm_index(s, c, k);
    const float normalised = (in[i] - mean) * scale;
    const float gradient = factor * (out_gradient[i] - a - normalised * b);
    store_gradient(&to.in[i], to.through_relu && !(in[i] > 0.0f) ? 0.0f : gradient, to.add_in);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
