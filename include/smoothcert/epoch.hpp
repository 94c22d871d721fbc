// One epoch of training, as a backend is asked for it and reports it. Data only.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/recipe.hpp"

namespace smoothcert {

/// One slot per parameter and moment: "conv1.weight/m", "conv1.weight/v", "…/momentum".
struct OptimizerState {
  std::uint64_t step = 0;  ///< steps taken so far: also the global step of the noise counters
  std::map<std::string, Tensor> slots;
};

struct StepReport {
  std::uint64_t step = 0;  ///< global, from 0
  std::uint64_t steps_in_epoch = 0;
  float loss = 0;      ///< mean over the batch of what was minimised
  float accuracy = 0;  ///< of the batch, on the input that was trained on
};

/// One epoch, complete in itself: everything the backend needs, by reference for the call.
struct EpochRequest {
  const Dataset& data;
  const TrainRecipe& recipe;
  std::span<const std::uint32_t> order;  ///< data-set indices in the order they are visited
  int epoch = 0;
  double learning_rate = 0;       ///< of this epoch, after milestones; see learning_rate_at()
  std::uint64_t total_steps = 0;  ///< of the whole training, for cosine decay
  std::uint64_t seed = 0;
  std::function<void(const StepReport&)> on_step;  ///< may be empty; called in step order
  std::stop_token stop;                            ///< Interrupted is thrown between steps
};

struct EpochReport {
  std::vector<float> step_loss, step_accuracy;
  double seconds = 0;
};

/// The rate of one step (global, from 0): the epoch's, times cosine decay where the recipe says so.
double learning_rate_at(const EpochRequest& request, std::uint64_t step);

}  // namespace smoothcert
