// The plan executed as plainly as it can be written: the oracle of exact mode. Every faster engine
// is tested for equal bits against it; nothing else calls it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/inference_plan.hpp"

namespace smoothcert {

/// Logits (plan.classes) of one image (CHW floats).
std::vector<float> reference_forward(const InferencePlan& plan, std::span<const float> image);

/// Values of all steps, in step order; the last one is the logits.
std::vector<std::vector<float>> reference_activations(const InferencePlan& plan,
                                                      std::span<const float> image);

/// The vote of these logits: the lowest index of the largest, −1 when any is NaN.
int reference_vote(std::span<const float> logits);

}  // namespace smoothcert
