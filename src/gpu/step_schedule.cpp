// What the host works out before an epoch on a GPU: each step's optimiser numbers, and the moments
// as flat arrays.
#include "gpu/step_schedule.hpp"

#include <algorithm>

#include "smoothcert/error.hpp"
#include "train/epoch_request.hpp"

namespace smoothcert::gpu {

std::vector<OptimizerStep> step_schedule(const EpochRequest& request, std::uint64_t first) {
  std::vector<OptimizerStep> steps(EpochSteps(request).count());
  for (std::size_t s = 0; s < steps.size(); ++s) steps[s] = optimizer_step(request, first + s);
  return steps;
}

std::vector<float> gather_moments(const BackwardPlan& plan, const OptimizerState& state,
                                  const std::string& moment) {
  std::vector<float> flat(plan.parameters, 0.0f);
  for (const PlanTensor& t : plan.tensors) {
    if (!t.trainable) continue;
    const auto found = state.slots.find(t.name + moment);
    if (found == state.slots.end()) continue;
    if (found->second.data.size() != t.count) {
      throw Error("optimiser state: '" + found->first + "' holds " +
                  std::to_string(found->second.data.size()) + " values, the parameter has " +
                  std::to_string(t.count));
    }
    std::copy(found->second.data.begin(), found->second.data.end(),
              flat.begin() + static_cast<std::ptrdiff_t>(t.offset));
  }
  return flat;
}

void scatter_moments(const BackwardPlan& plan, const NetworkSpec& spec,
                     const std::vector<float>& flat, const std::string& moment,
                     OptimizerState& state) {
  for (const TensorSlot& slot : tensor_slots(spec)) {
    if (!slot.trainable) continue;
    const auto t = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                [&](const PlanTensor& p) { return p.name == slot.name; });
    if (t == plan.tensors.end()) continue;
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(t->offset);
    state.slots[slot.name + moment] = {slot.shape,
                                       {first, first + static_cast<std::ptrdiff_t>(t->count)}};
  }
}

}  // namespace smoothcert::gpu
