// Losses forward and backward in one go: one thread an image, since a row of logits is short.
#pragma once

#include "simt.cuh"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/losses.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

enum class LossFunction { cross_entropy, margin };

/// logits and gradient: n × classes; gradient = scale · ∂loss/∂logit. `losses` (unscaled) and
/// `correct` (0 or 1; a NaN logit is wrong) may be null.
static __global__ void __launch_bounds__(256)
    loss_kernel(LossFunction loss, const float* __restrict__ logits,
                const std::uint8_t* __restrict__ labels, std::uint32_t n, int classes, float scale,
                float* __restrict__ gradient, float* __restrict__ losses,
                std::uint8_t* __restrict__ correct) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float* row = logits + std::size_t{i} * static_cast<std::size_t>(classes);
  float* grad = gradient + std::size_t{i} * static_cast<std::size_t>(classes);
  const int label = labels[i];
  const float value = loss == LossFunction::cross_entropy
                          ? device::cross_entropy(row, classes, label, scale, grad)
                          : device::margin_loss(row, classes, label, scale, grad);
  if (losses) losses[i] = value;
  if (correct) correct[i] = device::argmax_or_invalid(row, classes) == label ? 1 : 0;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
