// Losses forward and backward in one go: one thread an image, since a row of logits is short.
// Training's reports the step's mean loss and accuracy as well.
#pragma once

#include "cuda/runtime/reduce.cuh"
#include "cuda/runtime/simt.cuh"
#include "gpu/epoch_state.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/losses.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

enum class LossFunction { cross_entropy, margin };

/// logits and gradient: n × classes; gradient = scale · ∂loss/∂logit.
static __global__ void __launch_bounds__(256)
    loss_kernel(LossFunction loss, const float* __restrict__ logits,
                const Label* __restrict__ labels, std::uint32_t n, int classes, float scale,
                float* __restrict__ gradient) {
  const std::uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const float* row = logits + std::size_t{i} * static_cast<std::size_t>(classes);
  float* grad = gradient + std::size_t{i} * static_cast<std::size_t>(classes);
  const int label = labels[i];
  if (loss == LossFunction::cross_entropy) {
    device::cross_entropy(row, classes, label, scale, grad);
  } else {
    device::margin_loss(row, classes, label, scale, grad);
  }
}

/// Where a pass of a training step reports.
struct StepReportTo {
  float weight = 1.0f;  ///< of the pass in the step's loss
  bool add = false;     ///< a second pass of the same step, whose loss is added to the first one's
  bool last = true;     ///< the step's last pass: the state goes on to the next step
  EpochState* state = nullptr;
  float* loss = nullptr;  ///< of each step
  float* accuracy = nullptr;
};

/// Cross-entropy of n images, its gradient, and the step's weighted mean loss and accuracy (a NaN
/// logit is wrong). One block.
static __global__ void __launch_bounds__(256)
    training_loss_kernel(const float* __restrict__ logits, const Label* __restrict__ labels,
                         std::uint32_t n, int classes, float scale, float* __restrict__ gradient,
                         StepReportTo to) {
  float loss = 0.0f, right = 0.0f;
  for (std::uint32_t i = threadIdx.x; i < n; i += blockDim.x) {
    const float* row = logits + std::size_t{i} * static_cast<std::size_t>(classes);
    float* grad = gradient + std::size_t{i} * static_cast<std::size_t>(classes);
    loss += device::cross_entropy(row, classes, labels[i], scale, grad);
    right += device::argmax_or_invalid(row, classes) == labels[i] ? 1.0f : 0.0f;
  }
  const TwoSums total = block_sums(loss, right);
  if (threadIdx.x > 0) return;
  const float share = 1.0f / static_cast<float>(n);
  const std::uint32_t step = to.state->step;
  const float mean = to.weight * (total.a * share);
  to.loss[step] = to.add ? to.loss[step] + mean : mean;
  to.accuracy[step] = total.b * share;
  if (!to.last) return;
  to.state->updating = step;
  to.state->step = step + 1;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
