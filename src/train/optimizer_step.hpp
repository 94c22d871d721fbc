// The optimiser's numbers of one step, worked out once on the host, and what it keeps from step to
// step. Kernels include this: no more of an epoch than its name.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/device/updates.hpp"
#include "smoothcert/recipe.hpp"

namespace smoothcert {

struct EpochRequest;

/// Adam's and SGD's numbers of one step; which of the two is used the step's program says.
struct OptimizerStep {
  device::AdamStep adam;
  device::SgdStep sgd;
};

/// `step` is global, from 0: Adam's bias corrections are those of step + 1 updates.
OptimizerStep optimizer_step(const EpochRequest& request, std::uint64_t step);

/// The moments an optimiser keeps, as their slots' names end: {"/m", "/v"}, {"/momentum"}.
std::vector<std::string> moment_suffixes(OptimizerSpec::Kind kind);

}  // namespace smoothcert
