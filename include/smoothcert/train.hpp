// Training recipes (what to do) and the training loop (policy); one epoch is the backend's work.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "smoothcert/attack.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {

class Backend;
class BackendModel;

enum class Regime { normal, adversarial, smoothing };
std::string regime_name(Regime regime);

struct OptimizerSpec {
  enum class Kind { adam, sgd } kind = Kind::adam;
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  ///< Adam (Kingma & Ba 2015)
  double momentum = 0.0, weight_decay = 0.0;      ///< SGD, PyTorch's convention
};

struct TrainRecipe {
  std::string name;
  std::string network = "convnn";  ///< what it was made for; train() takes any
  Regime regime = Regime::normal;
  int epochs = 1;
  int batch_size = 128;
  OptimizerSpec optimizer;
  std::vector<int> milestones;  ///< the rate is multiplied by gamma once so many epochs are done
  double gamma = 0.1;
  bool cosine = false;  ///< cosine decay to 0 over all steps instead of milestones
  /// adversarial: the mixed loss is clean_weight·CE(x) + (1 − clean_weight)·CE(x').
  AttackSpec attack;
  ForwardMode attack_mode = ForwardMode::train;
  double clean_weight = 0.0;
  /// The first clean_weight share of each batch stays clean, the rest is attacked, and one pass
  /// trains on all of it: BatchNorm sees both together, as its running statistics do.
  bool mixed_batch = false;
  /// The first so many epochs are the study's: attacked images only, the attack in training mode.
  int attacked_epochs = 0;
  /// Then clean_weight grows to its value, linearly over so many epochs (0: at once).
  int ramp_epochs = 0;
  /// smoothing: continuous Gaussian noise of this σ, fresh every batch, clamped or not.
  double sigma = 1.0;
  bool clamp = true;
};

/// Built-in recipes: "normal", "adversarial", "smoothing" (the study's), "adversarial-strong"
/// (ours), "lenet-gaussian" (the literature's). Throws UsageError, suggesting the nearest.
TrainRecipe builtin_recipe(const std::string& name);
std::vector<std::string> builtin_recipe_names();

/// Throws UsageError naming the field that makes no sense.
void validate(const TrainRecipe& recipe);

/// What one epoch does: the recipe with the attack mode and clean_weight of that epoch.
TrainRecipe epoch_recipe(const TrainRecipe& recipe, int epoch);

/// How many images of a mixed batch stay clean.
std::size_t clean_images(const TrainRecipe& recipe, std::size_t batch);

/// Recipe ⇄ JSON with every field: what makes two trainings the same. Fields that are left out are
/// those of the built-in recipe named by "base" ("normal" without it). Throws UsageError naming
/// `where` and the field.
std::string recipe_json(const TrainRecipe& recipe);
TrainRecipe parse_recipe(const std::string& json, const std::string& where);

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
