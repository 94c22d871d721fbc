// Training and input gradients on the CPU, one image per SIMD lane.
//
// A step is a few phases; between two of them all threads meet. A lane group (as many images as a
// vector has lanes) has gradient sums of its own, which are added in group order, so that the
// weights after an epoch depend on the seed and the instruction set, but not on the number of
// threads. Lanes that a short batch leaves empty contribute nothing.
//
// What a step does, of which regime, is its program (train/step_program.hpp).
#pragma once

#include <span>

#include "cpu/thread_pool.hpp"
#include "smoothcert/epoch.hpp"
#include "smoothcert/label.hpp"

namespace smoothcert::cpu {

/// One epoch of request.recipe: updates the parameters, running statistics and optimiser in place,
/// also when Interrupted is thrown (they are those of the last complete step). on_step runs on the
/// calling thread. Throws UsageError for data that do not fit and for a last batch of one image
/// that leaves BatchNorm a single value per channel.
EpochReport train_epoch(Network& net, OptimizerState& optimizer, ThreadPool& pool,
                        const EpochRequest& request);

/// See BackendModel::input_gradient. The logits are forward()'s, bit for bit, for images whose
/// values stay finite.
void input_gradient(const Network& net, ThreadPool& pool, std::span<const float> images,
                    std::span<const Label> labels, LossKind loss, std::span<float> gradient,
                    std::span<float> logits);

}  // namespace smoothcert::cpu
