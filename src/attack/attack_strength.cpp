// How strong an attacked image is, from its logits.
#include "attack/attack_strength.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "smoothcert/device/losses.hpp"

namespace smoothcert::attack_detail {

int predicted_class(std::span<const float> logits) {
  int best = 0;
  for (std::size_t c = 0; c < logits.size(); ++c) {
    if (std::isnan(logits[c])) return -1;
    if (logits[c] > logits[static_cast<std::size_t>(best)]) best = static_cast<int>(c);
  }
  return best;
}

Strength strength(std::span<const float> logits, int label, LossKind loss) {
  const int prediction = predicted_class(logits);
  if (prediction < 0) return {true, std::numeric_limits<float>::infinity()};
  const int classes = static_cast<int>(logits.size());
  std::vector<float> unused(logits.size());
  float* const gradient = unused.data();
  const float* const row = logits.data();
  const float value = loss == LossKind::margin
                          ? device::margin_loss(row, classes, label, 1.0f, gradient)
                          : device::cross_entropy(row, classes, label, 1.0f, gradient);
  return {prediction != label, value};
}

}  // namespace smoothcert::attack_detail
