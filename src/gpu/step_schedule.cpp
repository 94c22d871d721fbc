// What the host works out before an epoch on a GPU: each step's optimiser numbers, and the moments
// as flat arrays.
#include "gpu/step_schedule.hpp"

#include <algorithm>
#include <cmath>

#include "smoothcert/error.hpp"

namespace smoothcert::gpu {

namespace {

/// BatchNorm has no variance to train with where the last batch leaves it one value a channel.
void check_batch_statistics(const NetworkSpec& spec, const EpochRequest& request) {
  const auto batch = static_cast<std::size_t>(request.recipe.batch_size);
  if (request.order.empty() || (request.order.size() - 1) % batch != 0) return;
  for (const Layer& layer : spec.layers) {
    if (layer.kind == LayerKind::batchnorm && layer.out.height * layer.out.width == 1) {
      throw UsageError("training: a batch of one image leaves BatchNorm '" + layer.name +
                       "' a single value per channel; choose another batch size");
    }
  }
}

}  // namespace

void check_epoch(const NetworkSpec& spec, const EpochRequest& request) {
  const Dataset& data = request.data;
  if (!(data.shape == spec.input) || data.classes > spec.classes) {
    throw UsageError("training: data set '" + data.name + "' does not fit network '" + spec.name +
                     "'");
  }
  if (request.recipe.batch_size < 1) throw UsageError("training: the batch size must be positive");
  check_batch_statistics(spec, request);
  for (const std::uint32_t index : request.order) {
    if (index >= data.size()) {
      throw UsageError("training: image " + std::to_string(index) + " of " +
                       std::to_string(data.size()));
    }
  }
}

std::vector<OptimizerStep> step_schedule(const EpochRequest& request, std::uint64_t first) {
  const OptimizerSpec& o = request.recipe.optimizer;
  const auto batch = static_cast<std::size_t>(request.recipe.batch_size);
  std::vector<OptimizerStep> steps((request.order.size() + batch - 1) / batch);
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const double rate = learning_rate_at(request, first + s);
    const auto t = static_cast<double>(first + s + 1);
    steps[s].adam = {static_cast<float>(rate / (1.0 - std::pow(o.beta1, t))),
                     static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(o.beta2, t))),
                     static_cast<float>(o.beta1),
                     static_cast<float>(o.beta2),
                     static_cast<float>(o.eps),
                     static_cast<float>(o.weight_decay)};
    steps[s].sgd = {static_cast<float>(rate), static_cast<float>(o.momentum),
                    static_cast<float>(o.weight_decay)};
  }
  return steps;
}

std::vector<std::string> moment_names(const OptimizerSpec& spec) {
  if (spec.kind == OptimizerSpec::Kind::adam) return {"m", "v"};
  return {"momentum"};
}

std::vector<float> gather_moments(const TrainPlan& plan, const OptimizerState& state,
                                  const std::string& moment) {
  std::vector<float> flat(plan.parameters, 0.0f);
  for (const TrainTensor& t : plan.tensors) {
    if (!t.trainable) continue;
    const auto found = state.slots.find(t.name + "/" + moment);
    if (found == state.slots.end()) continue;
    if (found->second.data.size() != t.count) {
      throw Error("optimiser state: slot '" + found->first + "' has the wrong size");
    }
    std::copy(found->second.data.begin(), found->second.data.end(),
              flat.begin() + static_cast<std::ptrdiff_t>(t.offset));
  }
  return flat;
}

void scatter_moments(const TrainPlan& plan, const NetworkSpec& spec, const std::vector<float>& flat,
                     const std::string& moment, OptimizerState& state) {
  for (const TensorSlot& slot : tensor_slots(spec)) {
    if (!slot.trainable) continue;
    const auto t = std::find_if(plan.tensors.begin(), plan.tensors.end(),
                                [&](const TrainTensor& p) { return p.name == slot.name; });
    if (t == plan.tensors.end()) continue;
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(t->offset);
    state.slots[slot.name + "/" + moment] = {
        slot.shape, {first, first + static_cast<std::ptrdiff_t>(t->count)}};
  }
}

}  // namespace smoothcert::gpu
