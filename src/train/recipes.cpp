// The recipes by name, and what follows from a recipe alone.
#include <cmath>
#include <numbers>

#include "smoothcert/epoch.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

/// The study's: one epoch, Adam at PyTorch's defaults, batches of 128.
TrainRecipe normal() {
  TrainRecipe recipe;
  recipe.name = "normal";
  return recipe;
}

/// The study's: each step on the attacked images only, BatchNorm in training mode in both passes.
TrainRecipe adversarial() {
  TrainRecipe recipe;
  recipe.name = "adversarial";
  recipe.regime = Regime::adversarial;
  recipe.epochs = 2;
  recipe.attack = attack_from_name("l2");
  return recipe;
}

TrainRecipe smoothing() {
  TrainRecipe recipe;
  recipe.name = "smoothing";
  recipe.regime = Regime::smoothing;
  recipe.sigma = 1.0;
  recipe.clamp = true;
  return recipe;
}

/// docs/adversarial-recipe.md: the study's epochs first, then clean images come in bit by bit.
TrainRecipe adversarial_strong() {
  TrainRecipe recipe = adversarial();
  recipe.name = "adversarial-strong";
  recipe.epochs = 24;
  recipe.optimizer.learning_rate = 3e-3;
  recipe.cosine = true;
  recipe.attack_mode = ForwardMode::eval;
  recipe.mixed_batch = true;
  recipe.attacked_epochs = 4;
  recipe.ramp_epochs = 16;
  recipe.clean_weight = 0.4;
  return recipe;
}

/// Gaussian augmentation as in the literature (Cohen et al. 2019 and the tables that followed).
TrainRecipe lenet_gaussian() {
  TrainRecipe recipe;
  recipe.name = "lenet-gaussian";
  recipe.network = "lenet";
  recipe.regime = Regime::smoothing;
  recipe.epochs = 90;
  recipe.batch_size = 256;
  recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
  recipe.optimizer.learning_rate = 0.01;
  recipe.optimizer.momentum = 0.9;
  recipe.optimizer.weight_decay = 1e-4;
  recipe.milestones = {30, 60};
  recipe.gamma = 0.1;
  recipe.sigma = 0.5;
  recipe.clamp = false;
  return recipe;
}

/// Splitting noise (Levine & Feizi 2021, DSSN) on the study's network.
TrainRecipe mnist_split() {
  TrainRecipe recipe;
  recipe.name = "mnist-split";
  recipe.regime = Regime::smoothing;
  recipe.epochs = 8;
  recipe.cosine = true;
  recipe.optimizer.learning_rate = 3e-3;
  recipe.lambda = 1.0;
  return recipe;
}

using Make = TrainRecipe (*)();
constexpr Make kRecipes[] = {normal,         adversarial, smoothing, adversarial_strong,
                             lenet_gaussian, mnist_split};

void require(bool condition, const TrainRecipe& recipe, const std::string& what) {
  if (!condition) throw UsageError("recipe '" + recipe.name + "': " + what);
}

bool in_unit_range(double x) { return x >= 0 && x < 1; }

}  // namespace

TrainRecipe builtin_recipe(const std::string& name) {
  for (const Make make : kRecipes)
    if (auto recipe = make(); recipe.name == name) return recipe;
  throw UsageError(unknown_name_message("recipe", name, builtin_recipe_names()));
}

std::vector<std::string> builtin_recipe_names() {
  std::vector<std::string> names;
  for (const Make make : kRecipes) names.push_back(make().name);
  return names;
}

void validate(const TrainRecipe& r) {
  const auto& o = r.optimizer;
  require(r.epochs >= 1, r, "epochs must be at least 1");
  require(r.batch_size >= 1, r, "the batch size must be at least 1");
  require(o.learning_rate > 0 && std::isfinite(o.learning_rate), r,
          "the learning rate must be above 0");
  require(in_unit_range(o.beta1) && in_unit_range(o.beta2), r, "Adam's β must be in [0,1)");
  require(o.eps > 0 && std::isfinite(o.eps), r, "Adam's eps must be above 0");
  require(in_unit_range(o.momentum), r, "the momentum must be in [0,1)");
  require(o.weight_decay >= 0 && std::isfinite(o.weight_decay), r,
          "the weight decay must not be negative");
  require(r.gamma > 0 && std::isfinite(r.gamma), r, "gamma must be above 0");
  if (r.regime == Regime::adversarial) {
    require(r.clean_weight >= 0 && r.clean_weight <= 1, r, "clean_weight must be in [0,1]");
    require(r.attacked_epochs >= 0 && r.ramp_epochs >= 0, r,
            "attacked_epochs and ramp_epochs must not be negative");
    validate(r.attack);
  }
  if (r.regime == Regime::smoothing)
    require(r.sigma > 0 && std::isfinite(r.sigma), r, "σ must be above 0");
  if (r.lambda != 0) {
    require(r.regime == Regime::smoothing, r, "lambda wants the smoothing regime");
    try {
      (void)noise_width(NoiseLaw::split, r.lambda);
    } catch (const UsageError& error) {
      require(false, r, error.what());
    }
  }
}

TrainRecipe epoch_recipe(const TrainRecipe& recipe, int epoch) {
  TrainRecipe r = recipe;
  const int ramped = epoch - r.attacked_epochs + 1;  // epochs of the ramp, this one included
  if (ramped <= 0) {
    r.clean_weight = 0;
    r.attack_mode = ForwardMode::train;
  } else if (ramped < r.ramp_epochs) {
    r.clean_weight *= static_cast<double>(ramped) / r.ramp_epochs;
  }
  return r;
}

std::size_t clean_images(const TrainRecipe& recipe, std::size_t batch) {
  return static_cast<std::size_t>(std::lround(recipe.clean_weight * static_cast<double>(batch)));
}

double learning_rate_at(const EpochRequest& request, std::uint64_t step) {
  if (!request.recipe.cosine || request.total_steps == 0) return request.learning_rate;
  const double done = static_cast<double>(step) / static_cast<double>(request.total_steps);
  return request.learning_rate * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
}

}  // namespace smoothcert
