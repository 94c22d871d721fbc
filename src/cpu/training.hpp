// Training and input gradients on the CPU, one image per SIMD lane.
#pragma once

#include <span>

#include "cpu/thread_pool.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert::cpu {

/// One epoch of request.recipe: updates the parameters, running statistics and optimiser in place.
EpochReport train_epoch(Network& net, OptimizerState& optimizer, ThreadPool& pool,
                        const EpochRequest& request);

/// See BackendModel::input_gradient.
void input_gradient(const Network& net, ThreadPool& pool, std::span<const float> images,
                    std::span<const std::uint8_t> labels, LossKind loss, std::span<float> gradient,
                    std::span<float> logits);

}  // namespace smoothcert::cpu
