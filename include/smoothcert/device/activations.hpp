// Activation functions of one value, in float32 add, multiply, divide, fma and selects, with no
// call into a math library, so that a CPU lane, a CPU scalar and a GPU thread produce the same
// bits. Relative errors against the exact functions are below 1e-6, where a function is not tiny
// (gelu in its far tails: 2e-5; tests/activations_test.cpp).
//
// NaN goes in and comes out. `Math`: see scalar_math.hpp.
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/scalar_math.hpp"

namespace smoothcert {

/// Those without parameters that are tensors.
enum class Activation {
  leaky_relu,  ///< x < 0 ? α·x : x
  relu6,
  elu,  ///< x < 0 ? α·(e^x − 1) : x
  silu,
  sigmoid,
  tanh,
  gelu,       ///< x·Φ(x)
  gelu_tanh,  ///< x/2·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
  hardswish
};

namespace device {
inline namespace SMOOTHCERT_ISA {

/// e^x for x ≤ 0 as scale·(1 + rest), scale = 2^n and rest = e^r − 1, |r| ≤ ½ ln 2. Below −87,
/// where e^x nears the subnormal numbers, scale is 0.
template <class Math>
struct Exponential {
  typename Math::Float scale, rest;
};

template <class Math>
SMOOTHCERT_HD Exponential<Math> split_exponential(typename Math::Float x) {
  const auto low = Math::splat(-87.0f);
  const auto clamped = Math::select(x < low, low, x);
  // Adding 1.5·2^23 rounds to a whole number, which is then in the low bits.
  const auto shifted = Math::fma(clamped, Math::splat(1.44269504f), Math::splat(0x1.8p23f));
  const auto n = shifted - Math::splat(0x1.8p23f);
  // ln 2 in two parts, the first one short enough for n times it to be exact.
  auto r = Math::fma(n, Math::splat(-0.693145752f), clamped);
  r = Math::fma(n, Math::splat(-1.42860677e-6f), r);
  // e^r − 1 − r = r²·P(r), Taylor's series to r⁷; what follows is below 1.6e-8 of r.
  auto p = Math::splat(1.98412698e-4f);
  p = Math::fma(p, r, Math::splat(1.38888889e-3f));
  p = Math::fma(p, r, Math::splat(8.33333333e-3f));
  p = Math::fma(p, r, Math::splat(4.16666667e-2f));
  p = Math::fma(p, r, Math::splat(0.166666667f));
  p = Math::fma(p, r, Math::splat(0.5f));
  const auto rest = Math::fma(r * r, p, r);
  const auto scale = Math::bits_to_float((Math::float_to_bits(shifted) << 23) + 0x3F800000u);
  return {Math::select(x < low, Math::splat(0.0f), scale), rest};
}

/// e^x for x ≤ 0.
template <class Math>
SMOOTHCERT_HD typename Math::Float exp_nonpositive(typename Math::Float x) {
  const Exponential<Math> e = split_exponential<Math>(x);
  return Math::fma(e.scale, e.rest, e.scale);
}

/// e^x − 1 for x ≤ 0, exact to its last digits near 0.
template <class Math>
SMOOTHCERT_HD typename Math::Float expm1_nonpositive(typename Math::Float x) {
  const Exponential<Math> e = split_exponential<Math>(x);
  return Math::fma(e.scale, e.rest, e.scale - Math::splat(1.0f));
}

/// −|x|.
template <class Math>
SMOOTHCERT_HD typename Math::Float minus_magnitude(typename Math::Float x) {
  return Math::select(x < Math::splat(0.0f), x, -x);
}

/// 1/(1 + e^−x).
template <class Math>
SMOOTHCERT_HD typename Math::Float sigmoid(typename Math::Float x) {
  const auto e = exp_nonpositive<Math>(minus_magnitude<Math>(x));
  const auto one = Math::splat(1.0f);
  return Math::select(x < Math::splat(0.0f), e, one) / (one + e);
}

/// −t/(t + 2) with t = e^(−2|x|) − 1, and the sign of x.
template <class Math>
SMOOTHCERT_HD typename Math::Float hyperbolic_tangent(typename Math::Float x) {
  const auto t = expm1_nonpositive<Math>(minus_magnitude<Math>(x) * 2.0f);
  const auto y = t / (t + Math::splat(2.0f));
  return Math::select(x < Math::splat(0.0f), y, -y);
}

/// 1 − Φ(|x|) = e^(−x²/2)·G(u), u = 1/(1 + 0.3·|x|), G fitted for |x| ≤ 13.3 to a relative error
/// of 1.3e-7 before rounding.
template <class Math>
SMOOTHCERT_HD typename Math::Float gaussian_tail(typename Math::Float x) {
  const auto minus = minus_magnitude<Math>(x);
  const auto one = Math::splat(1.0f);
  const auto u = one / Math::fma(minus, Math::splat(-0.3f), one);
  auto g = Math::splat(0.036036346f);
  g = Math::fma(g, u, Math::splat(-0.1587138f));
  g = Math::fma(g, u, Math::splat(0.20896491f));
  g = Math::fma(g, u, Math::splat(-0.056096163f));
  g = Math::fma(g, u, Math::splat(0.12984356f));
  g = Math::fma(g, u, Math::splat(0.09952302f));
  g = Math::fma(g, u, Math::splat(0.1208169f));
  g = Math::fma(g, u, Math::splat(0.119625166f));
  return exp_nonpositive<Math>(minus * minus * -0.5f) * (g * u);
}

/// x·Φ(x) is x minus or times the tail.
template <class Math>
SMOOTHCERT_HD typename Math::Float gaussian_error_unit(typename Math::Float x) {
  const auto part = x * gaussian_tail<Math>(x);
  return Math::select(x < Math::splat(0.0f), part, x - part);
}

/// max(0, min(6, x)), NaN kept.
template <class Math>
SMOOTHCERT_HD typename Math::Float relu6(typename Math::Float x) {
  const auto low = Math::select(x < Math::splat(0.0f), Math::splat(0.0f), x);
  return Math::select(Math::splat(6.0f) < low, Math::splat(6.0f), low);
}

template <class Math>
SMOOTHCERT_HD typename Math::Float leaky_relu(typename Math::Float x, typename Math::Float slope) {
  return Math::select(x < Math::splat(0.0f), x * slope, x);
}

template <class Math>
SMOOTHCERT_HD typename Math::Float activate(Activation kind, typename Math::Float x, float alpha) {
  switch (kind) {
    case Activation::leaky_relu:
      return leaky_relu<Math>(x, Math::splat(alpha));
    case Activation::relu6:
      return relu6<Math>(x);
    case Activation::elu: {
      // A positive x goes through the function at 0, so that nothing overflows.
      const auto zero = Math::splat(0.0f);
      const auto e = expm1_nonpositive<Math>(Math::select(zero < x, zero, x));
      return Math::select(x < zero, e * alpha, x);
    }
    case Activation::silu:
      return x * sigmoid<Math>(x);
    case Activation::sigmoid:
      return sigmoid<Math>(x);
    case Activation::tanh:
      return hyperbolic_tangent<Math>(x);
    case Activation::gelu:
      return gaussian_error_unit<Math>(x);
    case Activation::gelu_tanh: {
      // ½(1 + tanh u) = 1/(1 + e^−2u), 2u = x·(a + b·x²), a = 2√(2/π), b = 0.044715·a
      const auto square = x * x;
      const auto u = x * Math::fma(square, Math::splat(0.0713548163f), Math::splat(1.59576912f));
      return x * sigmoid<Math>(u);
    }
    case Activation::hardswish:
      break;
  }
  return x * (relu6<Math>(x + Math::splat(3.0f)) * 0.166666667f);
}

}  // namespace SMOOTHCERT_ISA
}  // namespace device
}  // namespace smoothcert
