// One image at a time: the steps that attacks are made of, on the leaves of device/updates.hpp.
#pragma once

#include <cstdint>
#include <span>

#include "smoothcert/attack_spec.hpp"

namespace smoothcert::attack_detail {

/// x += a step of the kind's geometry along the gradient, of the given length; unclamped.
void step(AttackKind kind, std::span<const float> gradient, float length, std::span<float> x);

/// Back into the ε-ball around `centre` (PGD kinds) and into [0,1], in this order: `centre` is
/// inside the box, so clamping does not leave the ball.
void project(AttackKind kind, std::span<const float> centre, float epsilon, std::span<float> x);

/// x = a point drawn uniformly from the ε-ball around `centre`, clamped to [0,1].
void random_start(AttackKind kind, std::span<const float> centre, float epsilon, std::uint64_t seed,
                  std::uint32_t image, std::uint32_t restart, std::span<float> x);

void clamp(std::span<float> x);

}  // namespace smoothcert::attack_detail
