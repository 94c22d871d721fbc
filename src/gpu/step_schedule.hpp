// What the host works out before an epoch on a GPU: each step's optimiser numbers, and the moments
// as flat arrays.
#pragma once

#include <string>
#include <vector>

#include "gpu/epoch_state.hpp"
#include "gpu/train_plan.hpp"
#include "smoothcert/epoch.hpp"

namespace smoothcert::gpu {

/// Throws UsageError for a request that does not fit the network.
void check_epoch(const NetworkSpec& spec, const EpochRequest& request);

/// One entry per step of the epoch; `first` is the global number of the first one.
std::vector<OptimizerStep> step_schedule(const EpochRequest& request, std::uint64_t first);

/// Slot suffixes of an optimiser: {"m", "v"}, {"momentum"}.
std::vector<std::string> moment_names(const OptimizerSpec& spec);
/// A moment of all parameters as the plan lays them out; absent slots are zero.
std::vector<float> gather_moments(const TrainPlan& plan, const OptimizerState& state,
                                  const std::string& moment);
void scatter_moments(const TrainPlan& plan, const NetworkSpec& spec, const std::vector<float>& flat,
                     const std::string& moment, OptimizerState& state);

}  // namespace smoothcert::gpu
