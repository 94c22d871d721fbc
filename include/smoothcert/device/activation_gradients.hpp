// Slopes of the activation functions, in the same operations as activations.hpp and to the same
// accuracy, so that CPU and GPU agree. Where a function has a kink, the slope is PyTorch's.
#pragma once

#include "smoothcert/device/activations.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// σ(x) and σ′(x) = e/(1 + e)², e = e^−|x|: without the cancellation of σ·(1 − σ).
template <class Math>
struct SigmoidAndSlope {
  typename Math::Float value, slope;
};

template <class Math>
SMOOTHCERT_HD SigmoidAndSlope<Math> sigmoid_and_slope(typename Math::Float x) {
  const auto e = exp_nonpositive<Math>(minus_magnitude<Math>(x));
  const auto one = Math::splat(1.0f);
  const auto share = one / (one + e);
  return {Math::select(x < Math::splat(0.0f), e, one) * share, e * share * share};
}

template <class Math>
SMOOTHCERT_HD typename Math::Float activation_slope(Activation kind, typename Math::Float x,
                                                    float alpha) {
  const auto zero = Math::splat(0.0f), one = Math::splat(1.0f);
  switch (kind) {
    case Activation::leaky_relu:
      return Math::select(zero < x, one, Math::splat(alpha));
    case Activation::relu6:
      return Math::select(zero < x, Math::select(x < Math::splat(6.0f), one, zero), zero);
    case Activation::elu:
      return Math::select(zero < x, one,
                          exp_nonpositive<Math>(Math::select(zero < x, zero, x)) * alpha);
    case Activation::silu: {
      const auto s = sigmoid_and_slope<Math>(x);
      return Math::fma(x, s.slope, s.value);
    }
    case Activation::sigmoid:
      return sigmoid_and_slope<Math>(x).slope;
    case Activation::tanh:
      // 1 − tanh²(x) = 4·σ′(2x)
      return sigmoid_and_slope<Math>(x * 2.0f).slope * 4.0f;
    case Activation::gelu: {
      const auto tail = gaussian_tail<Math>(x);
      const auto below = Math::select(x < zero, tail, one - tail);  // Φ(x)
      // φ(x) = e^(−x²/2)/√(2π)
      const auto minus = minus_magnitude<Math>(x);
      const auto density = exp_nonpositive<Math>(minus * minus * -0.5f) * 0.398942280f;
      return Math::fma(x, density, below);
    }
    case Activation::gelu_tanh: {
      // x·σ(u), u = x·(a + b·x²)
      const auto square = x * x;
      const auto a = Math::splat(1.59576912f);
      const auto s = sigmoid_and_slope<Math>(x * Math::fma(square, Math::splat(0.0713548163f), a));
      const auto du = Math::fma(square, Math::splat(0.214064449f), a);
      // Far out σ is 0 or 1 while du may overflow.
      return Math::select(minus_magnitude<Math>(x) < Math::splat(-10.0f), s.value,
                          Math::fma(x * s.slope, du, s.value));
    }
    case Activation::hardswish:
      break;
  }
  const auto middle = Math::fma(x, Math::splat(0.333333333f), Math::splat(0.5f));
  return Math::select(x < Math::splat(-3.0f), zero,
                      Math::select(Math::splat(3.0f) < x, one, middle));
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
