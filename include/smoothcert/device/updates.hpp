// Steps: of an optimiser on a parameter, and of an attack on an image.
#pragma once

#if !defined(__CUDACC__)
#include <math.h>
#endif
#include <cstddef>
#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// Adam (Kingma & Ba 2015) in PyTorch's order of operations; bias corrections worked out once a
/// step on the host: step_size = lr / (1 − β1^t), root_scale = 1 / √(1 − β2^t), t from 1.
struct AdamStep {
  float step_size, root_scale, beta1, beta2, eps, weight_decay;
};
SMOOTHCERT_HD void adam_update(const AdamStep& s, float gradient, float& parameter, float& m,
                               float& v) {
  const float g = gradient + s.weight_decay * parameter;
  m = s.beta1 * m + (1.0f - s.beta1) * g;
  v = s.beta2 * v + (1.0f - s.beta2) * (g * g);
  parameter = parameter - s.step_size * (m / (sqrtf(v) * s.root_scale + s.eps));
}

/// SGD in PyTorch's convention: the learning rate is outside the momentum buffer, which starts at
/// zero.
struct SgdStep {
  float learning_rate, momentum, weight_decay;
};
SMOOTHCERT_HD void sgd_update(const SgdStep& s, float gradient, float& parameter, float& buffer) {
  const float g = gradient + s.weight_decay * parameter;
  buffer = s.momentum * buffer + g;
  parameter = parameter - s.learning_rate * buffer;
}

/// How the attack steps below see values: floats here, groups of lanes (one image each) on the CPU.
struct ScalarValues {
  using V = float;
  static SMOOTHCERT_HD V splat(float x) { return x; }
  static SMOOTHCERT_HD V select(bool condition, V a, V b) { return condition ? a : b; }
  static SMOOTHCERT_HD V sqrt(V x) { return sqrtf(x); }
};

template <class Values>
SMOOTHCERT_HD typename Values::V magnitude(typename Values::V x) {
  return Values::select(x < Values::splat(0.0f), Values::splat(0.0f) - x, x);
}

/// max |g|: zero exactly where the whole gradient is.
template <class Values>
SMOOTHCERT_HD typename Values::V norm_linf(const typename Values::V* g, std::size_t count) {
  auto top = Values::splat(0.0f);
  for (std::size_t i = 0; i < count; ++i) {
    const auto a = magnitude<Values>(g[i]);
    top = Values::select(a > top, a, top);
  }
  return top;
}

/// Factor that turns g / max|g| into a step of the given length. Working with g / max|g| keeps the
/// squares of a confident network's gradient (1e-25 and less) from vanishing.
enum class Norm { l1, l2 };
template <class Values>
SMOOTHCERT_HD typename Values::V step_factor(const typename Values::V* g, std::size_t count,
                                             typename Values::V top, Norm norm, float length) {
  const auto zero = Values::splat(0.0f), one = Values::splat(1.0f);
  const auto divisor = Values::select(top > zero, top, one);
  auto sum = zero;
  for (std::size_t i = 0; i < count; ++i) {
    const auto h = g[i] / divisor;
    sum = sum + (norm == Norm::l2 ? h * h : magnitude<Values>(h));
  }
  const auto size = norm == Norm::l2 ? Values::sqrt(sum) : sum;
  return Values::select(top > zero, Values::splat(length) / Values::select(top > zero, size, one),
                        zero);
}

/// x += length · g / ‖g‖, unclamped; a zero gradient leaves x unchanged.
template <class Values>
SMOOTHCERT_HD void normalised_step(const typename Values::V* g, std::size_t count, Norm norm,
                                   float length, typename Values::V* x) {
  const auto zero = Values::splat(0.0f);
  const auto top = norm_linf<Values>(g, count);
  const auto divisor = Values::select(top > zero, top, Values::splat(1.0f));
  const auto factor = step_factor<Values>(g, count, top, norm, length);
  for (std::size_t i = 0; i < count; ++i) x[i] = x[i] + factor * (g[i] / divisor);
}

/// x += length · sign(g), unclamped; sign(0) = 0.
template <class Values>
SMOOTHCERT_HD void sign_step(const typename Values::V* g, std::size_t count, float length,
                             typename Values::V* x) {
  const auto zero = Values::splat(0.0f), step = Values::splat(length);
  for (std::size_t i = 0; i < count; ++i)
    x[i] = x[i] + Values::select(g[i] > zero, step, Values::select(g[i] < zero, zero - step, zero));
}

/// Steepest ascent in L1: all of the length on the largest |g| (the first of equals).
template <class Values>
SMOOTHCERT_HD void single_pixel_step(const typename Values::V* g, std::size_t count, float length,
                                     typename Values::V* x) {
  const auto zero = Values::splat(0.0f), step = Values::splat(length);
  const auto top = norm_linf<Values>(g, count);
  auto left = step;  // becomes zero once spent
  for (std::size_t i = 0; i < count; ++i) {
    const auto signed_step = Values::select(g[i] < zero, zero - left, left);
    const auto here = Values::select(magnitude<Values>(g[i]) == top, signed_step, zero);
    const auto moved = Values::select(top > zero, here, zero);
    x[i] = x[i] + moved;
    left = Values::select(magnitude<Values>(moved) > zero, zero, left);
  }
}

template <class Values>
SMOOTHCERT_HD void clamp_image(std::size_t count, typename Values::V* x) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto low = Values::select(x[i] < Values::splat(0.0f), Values::splat(0.0f), x[i]);
    x[i] = Values::select(low > Values::splat(1.0f), Values::splat(1.0f), low);
  }
}

/// Back into the L2 ball of the given radius around `centre`.
template <class Values>
SMOOTHCERT_HD void project_l2(const typename Values::V* centre, std::size_t count, float radius,
                              typename Values::V* x) {
  auto sum = Values::splat(0.0f);
  for (std::size_t i = 0; i < count; ++i) {
    const auto d = x[i] - centre[i];
    sum = sum + d * d;
  }
  const auto size = Values::sqrt(sum), limit = Values::splat(radius);
  const auto outside = size > limit;
  const auto factor = limit / Values::select(outside, size, Values::splat(1.0f));
  for (std::size_t i = 0; i < count; ++i)
    x[i] = Values::select(outside, centre[i] + factor * (x[i] - centre[i]), x[i]);
}

/// Back into the L∞ ball.
template <class Values>
SMOOTHCERT_HD void project_linf(const typename Values::V* centre, std::size_t count, float radius,
                                typename Values::V* x) {
  const auto limit = Values::splat(radius);
  for (std::size_t i = 0; i < count; ++i) {
    const auto low = centre[i] - limit, high = centre[i] + limit;
    const auto raised = Values::select(x[i] < low, low, x[i]);
    x[i] = Values::select(raised > high, high, raised);
  }
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
