// What a caller changes of a recipe.
#pragma once

#include <optional>

#include "smoothcert/recipe.hpp"

namespace smoothcert {

/// Fields that are set replace the recipe's; units and ranges are TrainRecipe's.
struct RecipeChanges {
  std::optional<int> epochs, batch_size;
  std::optional<double> learning_rate;
  std::optional<double> sigma, lambda;  ///< of smoothing recipes: Gaussian, splitting noise
  std::optional<double> epsilon;        ///< of adversarial recipes
};

/// Throws UsageError where the recipe has no such field, calling it `prefix` + its name
/// ("--sigma").
TrainRecipe changed(TrainRecipe recipe, const RecipeChanges& changes, const std::string& prefix);

}  // namespace smoothcert
