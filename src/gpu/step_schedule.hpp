// What the host works out before an epoch on a GPU: each step's optimiser numbers, and the moments
// as flat arrays.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/epoch.hpp"
#include "train/backward_plan.hpp"
#include "train/optimizer_step.hpp"

namespace smoothcert::gpu {

/// One entry per step of the epoch; `first` is the global number of the first one.
std::vector<OptimizerStep> step_schedule(const EpochRequest& request, std::uint64_t first);

/// A moment of all parameters as the plan lays them out, by the suffix of its slots (see
/// moment_suffixes()); absent slots are zero.
std::vector<float> gather_moments(const BackwardPlan& plan, const OptimizerState& state,
                                  const std::string& moment);
void scatter_moments(const BackwardPlan& plan, const NetworkSpec& spec,
                     const std::vector<float>& flat, const std::string& moment,
                     OptimizerState& state);

}  // namespace smoothcert::gpu
