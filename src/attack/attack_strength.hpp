// How strong an attacked image is, from its logits.
#pragma once

#include <cstdint>
#include <span>

#include "smoothcert/attack_spec.hpp"

namespace smoothcert::attack_detail {

/// Index of the largest logit, the lowest of equals; −1 where one is NaN.
int predicted_class(std::span<const float> logits);

/// Breaking the image is stronger than not breaking it; then the larger loss is.
struct Strength {
  bool broken = false;
  float loss = 0;
  bool operator>(const Strength& other) const {
    return broken != other.broken ? broken : loss > other.loss;
  }
};
Strength strength(std::span<const float> logits, int label, LossKind loss);

}  // namespace smoothcert::attack_detail
