// The training loop (policy); one epoch is the backend's work.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <vector>

#include "smoothcert/dataset.hpp"
#include "smoothcert/epoch.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/recipe.hpp"

namespace smoothcert {

class Backend;

/// Fisher–Yates with Philox purpose `shuffle`; unbiased, a pure function of its arguments.
std::vector<std::uint32_t> epoch_order(std::span<const std::uint32_t> indices, std::uint64_t seed,
                                       int epoch);

struct TrainHistory {
  std::vector<float> step_loss, step_accuracy;
  std::vector<double> epoch_seconds;
};

struct TrainOptions {
  std::uint64_t seed = 0;
  std::vector<std::uint32_t> indices;  ///< training subset; empty = all
  std::function<void(int epoch, const StepReport&)> on_step;
  /// Called after each epoch with the state to keep for a resume.
  std::function<void(int epoch, const Network&, const OptimizerState&, const TrainHistory&)>
      on_epoch;
  std::stop_token stop;
};

/// Where an interrupted training goes on; next_epoch == epochs: nothing is left to do.
struct TrainResume {
  int next_epoch = 0;
  Network network;
  OptimizerState optimizer;
  TrainHistory history;
};
struct TrainResult {
  Network network;
  TrainHistory history;
};
/// Trains from scratch (initialise(spec, seed)) or from `resume`, epoch by epoch. Throws UsageError
/// for data that do not fit the network, Error when the loss is no number any more, Interrupted.
TrainResult train(Backend& backend, const NetworkSpec& spec, const TrainRecipe& recipe,
                  const Dataset& data, const TrainOptions& options,
                  const TrainResume* resume = nullptr);

}  // namespace smoothcert
