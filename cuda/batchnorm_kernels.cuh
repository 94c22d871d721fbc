// Batch normalisation, NCHW, one block a channel: the block's threads stride over the channel's
// values, so that every sum has one order.
#pragma once

#include "elementwise_kernels.cuh"
#include "reduce.cuh"
#include "simt.cuh"

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

/// Training mode: normalises by the batch's mean and biased variance, moves the running statistics
/// (unbiased variance) by `momentum`. Variance in a second pass over the values: no cancellation.
/// running, saved: means, then variances or 1/√(var+eps), `channels` each.
static __global__ void __launch_bounds__(512)
    batchnorm_train_kernel(NormShape s, float eps, float momentum, const float* __restrict__ in,
                           const float* __restrict__ gamma, const float* __restrict__ beta,
                           float* __restrict__ running, float* __restrict__ saved,
                           float* __restrict__ out) {
  const std::uint32_t c = blockIdx.x, count = s.images * s.area;
  float sum = 0.0f;
  for (std::uint32_t k = threadIdx.x; k < count; k += blockDim.x) sum += in[norm_index(s, c, k)];
  const float mean = block_sum(sum) / static_cast<float>(count);
  float squares = 0.0f;
  for (std::uint32_t k = threadIdx.x; k < count; k += blockDim.x) {
    const float d = in[norm_index(s, c, k)] - mean;
    squares += d * d;
  }
  squares = block_sum(squares);
  const float variance = squares / static_cast<float>(count);
  const float scale = 1.0f / sqrtf(variance + eps);
  const float g = gamma[c] * scale, b = beta[c];
  for (std::uint32_t k = threadIdx.x; k < count; k += blockDim.x) {
    const std::size_t i = norm_index(s, c, k);
    out[i] = fmaf(in[i] - mean, g, b);
  }
  if (threadIdx.x > 0) return;
  saved[c] = mean;
  saved[s.channels + c] = scale;
  const float unbiased = squares / static_cast<float>(count > 1 ? count - 1 : 1);
  running[c] = (1.0f - momentum) * running[c] + momentum * mean;
  running[s.channels + c] = (1.0f - momentum) * running[s.channels + c] + momentum * unbiased;
}

/// Evaluation mode: the running statistics.
static __global__ void __launch_bounds__(512)
    batchnorm_eval_kernel(NormShape s, float eps, const float* __restrict__ in,
                          const float* __restrict__ gamma, const float* __restrict__ beta,
                          const float* __restrict__ running, float* __restrict__ saved,
                          float* __restrict__ out) {
  const std::uint32_t c = blockIdx.x, count = s.images * s.area;
  const float mean = running[c], scale = 1.0f / sqrtf(running[s.channels + c] + eps);
  const float g = gamma[c] * scale, b = beta[c];
  for (std::uint32_t k = threadIdx.x; k < count; k += blockDim.x) {
    const std::size_t i = norm_index(s, c, k);
    out[i] = fmaf(in[i] - mean, g, b);
  }
  if (threadIdx.x > 0) return;
  saved[c] = mean;
  saved[s.channels + c] = scale;
}

struct NormGradients {
  float* gamma = nullptr;  ///< may be null: not asked for
  float* beta = nullptr;
  bool add_parameters = false;
  float* in = nullptr;  ///< may be null
  bool add_in = false;
};

/// `train`: the batch's statistics depend on the input, and the gradient goes through them.
static __global__ void __launch_bounds__(512)
    batchnorm_backward_kernel(NormShape s, bool train, const float* __restrict__ in,
                              const float* __restrict__ gamma, const float* __restrict__ saved,
                              const float* __restrict__ out_gradient, NormGradients to) {
  const std::uint32_t c = blockIdx.x, count = s.images * s.area;
  const float mean = saved[c], scale = saved[s.channels + c];
  TwoSums sums{0.0f, 0.0f};
  if (train || to.gamma) {
    for (std::uint32_t k = threadIdx.x; k < count; k += blockDim.x) {
      const std::size_t i = norm_index(s, c, k);
      sums.a += out_gradient[i];
      sums.b += out_gradient[i] * ((in[i] - mean) * scale);
    }
    sums = block_sums(sums.a, sums.b);
  }
  if (to.gamma && threadIdx.x == 0) {
    store_gradient(&to.beta[c], sums.a, to.add_parameters);
    store_gradient(&to.gamma[c], sums.b, to.add_parameters);
  }
  if (!to.in) return;
  const float share = train ? 1.0f / static_cast<float>(count) : 0.0f;
  const float factor = gamma[c] * scale, a = sums.a * share, b = sums.b * share;
  for (std::uint32_t k = threadIdx.x; k < count; k += blockDim.x) {
    const std::size_t i = norm_index(s, c, k);
    const float normalised = (in[i] - mean) * scale;
    store_gradient(&to.in[i], factor * (out_gradient[i] - a - normalised * b), to.add_in);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
