// The optimiser's numbers of one step.
#include "train/optimizer_step.hpp"

#include <cmath>

#include "smoothcert/epoch.hpp"

namespace smoothcert {

OptimizerStep optimizer_step(const EpochRequest& request, std::uint64_t step) {
  const OptimizerSpec& o = request.recipe.optimizer;
  const double rate = learning_rate_at(request, step);
  const auto t = static_cast<double>(step + 1);
  return {
      {static_cast<float>(rate / (1.0 - std::pow(o.beta1, t))),
       static_cast<float>(1.0 / std::sqrt(1.0 - std::pow(o.beta2, t))), static_cast<float>(o.beta1),
       static_cast<float>(o.beta2), static_cast<float>(o.eps), static_cast<float>(o.weight_decay)},
      {static_cast<float>(rate), static_cast<float>(o.momentum),
       static_cast<float>(o.weight_decay)}};
}

std::vector<std::string> moment_suffixes(OptimizerSpec::Kind kind) {
  if (kind == OptimizerSpec::Kind::adam) return {"/m", "/v"};
  return {"/momentum"};
}

}  // namespace smoothcert
