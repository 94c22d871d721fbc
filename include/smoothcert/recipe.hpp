// Training recipes: what to do in each epoch. Data only; train.hpp carries them out.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "smoothcert/attack_spec.hpp"
#include "smoothcert/names.hpp"

namespace smoothcert {

enum class Regime { normal, adversarial, smoothing };
template <>
struct Names<Regime> {
  static constexpr const char* kWhat = "regime";
  static constexpr NamedValue<Regime> kValues[] = {{Regime::normal, "normal"},
                                                   {Regime::adversarial, "adversarial"},
                                                   {Regime::smoothing, "smoothing"}};
};

struct OptimizerSpec {
  enum class Kind { adam, sgd } kind = Kind::adam;
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;  ///< Adam (Kingma & Ba 2015)
  double momentum = 0.0, weight_decay = 0.0;      ///< SGD, PyTorch's convention
};
template <>
struct Names<OptimizerSpec::Kind> {
  static constexpr const char* kWhat = "optimizer";
  static constexpr NamedValue<OptimizerSpec::Kind> kValues[] = {{OptimizerSpec::Kind::adam, "adam"},
                                                                {OptimizerSpec::Kind::sgd, "sgd"}};
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
  /// smoothing: splitting noise of this λ in place of Gaussian noise, each image in one split of
  /// its own a step, the pixels' offsets those of the training's seed; 0: Gaussian noise.
  double lambda = 0;
};

/// Built-in recipes: "normal", "adversarial", "smoothing" (the study's), "adversarial-strong"
/// (ours), "lenet-gaussian" (the literature's), "mnist-split" (splitting noise). Throws UsageError,
/// suggesting the nearest.
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

}  // namespace smoothcert
