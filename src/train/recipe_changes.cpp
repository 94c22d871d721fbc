// Changes to a recipe, and which recipes they go with.
#include "smoothcert/recipe_changes.hpp"

#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {

TrainRecipe changed(TrainRecipe recipe, const RecipeChanges& changes, const std::string& prefix) {
  const auto refuse = [&](const char* name, const std::string& why) {
    throw UsageError(prefix + name + ": " + why);
  };
  if (changes.epochs) recipe.epochs = *changes.epochs;
  if (changes.batch_size) recipe.batch_size = *changes.batch_size;
  if (changes.learning_rate) recipe.optimizer.learning_rate = *changes.learning_rate;
  if (changes.sigma) {
    if (recipe.regime != Regime::smoothing)
      refuse("sigma", "wants a smoothing recipe, as in 'smoothcert train smoothing'");
    if (recipe.lambda > 0)
      refuse("sigma", "recipe '" + recipe.name + "' trains with splitting noise, which " + prefix +
                          "lambda sets");
    recipe.sigma = *changes.sigma;
  }
  if (changes.lambda) {
    if (recipe.lambda == 0)
      refuse("lambda", "wants a recipe with splitting noise, as in 'smoothcert train mnist-split'");
    (void)noise_width(NoiseLaw::split, *changes.lambda);
    recipe.lambda = *changes.lambda;
  }
  if (changes.epsilon) {
    if (recipe.regime != Regime::adversarial)
      refuse("epsilon", "wants an adversarial recipe, as in 'smoothcert train adversarial'");
    recipe.attack.epsilon = *changes.epsilon;
  }
  return recipe;
}

}  // namespace smoothcert
