// Gradients of the layers of lane_steps.hpp over lanes. The arithmetic is the leaves' of
// smoothcert/device.
#pragma once

#include "cpu/lane_math.hpp"
#include "cpu/lane_weight_gradient.hpp"
#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"
#include "smoothcert/device/activation_gradients.hpp"
#include "smoothcert/device/window_gradients.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

/// An activation as the leaves index it.
struct LaneActivation {
  const float* values;
  SMOOTHCERT_HD Lanes operator[](int i) const {
    return load(values + static_cast<std::size_t>(i) * kLanes);
  }
};

SMOOTHCERT_HD float sum_of(const Lanes& lanes) {
  alignas(64) float sums[kLanes];
  sum_lanes<1>(&lanes, sums);
  return sums[0];
}

void window_conv_input(const WindowStep& step, const float* grad, float* grad_in) {
  const WindowShape& s = step.shape;
  for (int c = 0; c < s.in_channels; ++c)
    for (int y = 0; y < s.y.in; ++y)
      for (int x = 0; x < s.x.in; ++x, grad_in += kLanes)
        store(grad_in, device::window_conv_gradient<LaneMath>(s, LaneActivation{grad}, step.weights,
                                                              c, y, x));
}

void window_conv_weights(const WindowShape& s, const float* in, const float* grad, float* weights) {
  const int channels = s.in_channels / s.groups, outputs = s.out_channels / s.groups;
  const LaneActivation x{in}, g{grad};
  for (int o = 0; o < s.out_channels; ++o)
    for (int c = 0; c < channels; ++c) {
      const int plane = (o / outputs * channels + c) * s.y.in;
      for (int ky = 0; ky < s.y.kernel; ++ky)
        for (int kx = 0; kx < s.x.kernel; ++kx, ++weights) {
          Lanes sum{};
          for (int oy = 0; oy < s.y.out; ++oy) {
            const int iy = oy * s.y.stride - s.y.padding + ky * s.y.dilation;
            if (iy < 0 || iy >= s.y.in) continue;
            for (int ox = 0; ox < s.x.out; ++ox) {
              const int ix = ox * s.x.stride - s.x.padding + kx * s.x.dilation;
              if (ix < 0 || ix >= s.x.in) continue;
              sum = fma(g[(o * s.y.out + oy) * s.x.out + ox], x[(plane + iy) * s.x.in + ix], sum);
            }
          }
          *weights = sum_of(sum);
        }
    }
}

/// The first of equal values in a window takes the gradient, as in PyTorch.
void window_max_backward(const WindowShape& s, const float* in, const float* grad, float* grad_in) {
  const std::size_t plane = static_cast<std::size_t>(s.y.in) * static_cast<std::size_t>(s.x.in);
  for (int c = 0; c < s.out_channels; ++c, in += plane * kLanes, grad_in += plane * kLanes) {
    for (std::size_t i = 0; i < plane; ++i) store(grad_in + i * kLanes, Lanes{});
    for (int y = 0; y < s.y.out; ++y)
      for (int x = 0; x < s.x.out; ++x, grad += kLanes) {
        const device::WindowTaps ty = device::taps_of(s.y, y, s.adaptive);
        const device::WindowTaps tx = device::taps_of(s.x, x, s.adaptive);
        const auto each = [&](const auto& f) {
          for (int ky = 0; ky < ty.count; ++ky)
            for (int kx = 0; kx < tx.count; ++kx)
              f((ty.first + ky * s.y.dilation) * s.x.in + tx.first + kx * s.x.dilation);
        };
        Lanes best = broadcast(-__builtin_inff());
        IntLanes winner = broadcast(std::int32_t{-1});
        each([&](int at) {
          const Lanes v = load(in + static_cast<std::size_t>(at) * kLanes);
          const IntLanes above = (v > best) | (v != v) | (winner < 0);
          best = above ? v : best;
          winner = above ? broadcast(std::int32_t{at}) : winner;
        });
        const Lanes g = load(grad);
        each([&](int at) {
          float* to = grad_in + static_cast<std::size_t>(at) * kLanes;
          store(to, load(to) + (winner == broadcast(std::int32_t{at}) ? g : Lanes{}));
        });
      }
  }
}

void window_mean_backward(const WindowShape& s, const float* grad, float* grad_in) {
  for (int c = 0; c < s.in_channels; ++c)
    for (int y = 0; y < s.y.in; ++y)
      for (int x = 0; x < s.x.in; ++x, grad_in += kLanes)
        store(grad_in, device::window_mean_gradient<LaneMath>(s, LaneActivation{grad}, c, y, x));
}

template <Activation kind>
void activate_all_backward(float alpha, std::size_t count, const float* in, const float* grad,
                           float* grad_in) {
  for (std::size_t i = 0; i < count * kLanes; i += kLanes)
    store(grad_in + i,
          load(grad + i) * device::activation_slope<LaneMath>(kind, load(in + i), alpha));
}

void activate_backward(Activation kind, float alpha, std::size_t count, const float* in,
                       const float* grad, float* grad_in) {
  switch (kind) {
    case Activation::leaky_relu:
      return activate_all_backward<Activation::leaky_relu>(alpha, count, in, grad, grad_in);
    case Activation::relu6:
      return activate_all_backward<Activation::relu6>(alpha, count, in, grad, grad_in);
    case Activation::elu:
      return activate_all_backward<Activation::elu>(alpha, count, in, grad, grad_in);
    case Activation::silu:
      return activate_all_backward<Activation::silu>(alpha, count, in, grad, grad_in);
    case Activation::sigmoid:
      return activate_all_backward<Activation::sigmoid>(alpha, count, in, grad, grad_in);
    case Activation::tanh:
      return activate_all_backward<Activation::tanh>(alpha, count, in, grad, grad_in);
    case Activation::gelu:
      return activate_all_backward<Activation::gelu>(alpha, count, in, grad, grad_in);
    case Activation::gelu_tanh:
      return activate_all_backward<Activation::gelu_tanh>(alpha, count, in, grad, grad_in);
    case Activation::hardswish:
      return activate_all_backward<Activation::hardswish>(alpha, count, in, grad, grad_in);
  }
}

void prelu_backward(std::size_t channels, std::size_t area, const float* slopes, const float* in,
                    const float* grad, float* grad_in) {
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = c * area; i < (c + 1) * area; ++i)
      store(grad_in + i * kLanes, load(grad + i * kLanes) * device::activation_slope<LaneMath>(
                                                                Activation::leaky_relu,
                                                                load(in + i * kLanes), slopes[c]));
}

void prelu_slopes(std::size_t channels, std::size_t area, const float* in, const float* grad,
                  float* sums) {
  for (std::size_t c = 0; c < channels; ++c) {
    Lanes sum{};
    for (std::size_t i = c * area; i < (c + 1) * area; ++i) {
      const Lanes x = load(in + i * kLanes);
      sum = fma(load(grad + i * kLanes), x < Lanes{} ? x : Lanes{}, sum);
    }
    sums[c] = sum_of(sum);
  }
}

/// y·(dy − Σ y·dy) over the channels of each position.
void softmax_backward(std::size_t channels, std::size_t area, const float* out, const float* grad,
                      float* grad_in) {
  for (std::size_t i = 0; i < area; ++i) {
    const auto at = [&](std::size_t c) { return (c * area + i) * kLanes; };
    Lanes sum{};
    for (std::size_t c = 0; c < channels; ++c)
      sum = fma(load(out + at(c)), load(grad + at(c)), sum);
    for (std::size_t c = 0; c < channels; ++c)
      store(grad_in + at(c), load(out + at(c)) * (load(grad + at(c)) - sum));
  }
}

/// With z the normalised values and s their scale: dx = (s·dy − mean(s·dy) − z·mean(s·dy·z))/√(v +
/// eps) over each group.
void group_norm_backward(const NormStep& s, const float* in, const float* grad, float* grad_in,
                         float* scale_sums, float* shift_sums) {
  const std::size_t count = s.channels / s.groups * s.area;
  const std::size_t each = s.value_weights ? 1 : s.area;  // values of a parameter
  const Lanes share = broadcast(1.0f / static_cast<float>(count));
  for (std::size_t first = 0; first < s.channels * s.area; first += count) {
    Lanes sum{}, squares{};
    for (std::size_t i = first; i < first + count; ++i) sum = sum + load(in + i * kLanes);
    const Lanes mean = sum * share;
    for (std::size_t i = first; i < first + count; ++i) {
      const Lanes d = load(in + i * kLanes) - mean;
      squares = fma(d, d, squares);
    }
    const Lanes inverse = broadcast(1.0f) / sqrt(squares * share + broadcast(s.eps));
    Lanes total{}, product{};
    for (std::size_t p = first / each; p < (first + count) / each; ++p) {
      Lanes dy{}, dyz{};
      for (std::size_t i = p * each; i < (p + 1) * each; ++i) {
        const Lanes g = load(grad + i * kLanes);
        dy = dy + g;
        dyz = fma(g, (load(in + i * kLanes) - mean) * inverse, dyz);
      }
      if (scale_sums != nullptr) {
        scale_sums[p] = sum_of(dyz);
        shift_sums[p] = sum_of(dy);
      }
      total = fma(s.scale[p], dy, total);
      product = fma(s.scale[p], dyz, product);
    }
    if (grad_in == nullptr) continue;
    total = total * share;
    product = product * share;
    for (std::size_t i = first; i < first + count; ++i) {
      const Lanes z = (load(in + i * kLanes) - mean) * inverse;
      const Lanes g = load(grad + i * kLanes) * broadcast(s.scale[i / each]);
      store(grad_in + i * kLanes, (g - total - z * product) * inverse);
    }
  }
}

void arithmetic_backward(const ArithmeticShape& s, bool second, const float* other,
                         const float* grad, float* grad_in) {
  const ArithmeticOperand own = s.operand(second);
  for (int c = 0; c < (own.c == 0 ? 1 : s.channels); ++c)
    for (int y = 0; y < (own.y == 0 ? 1 : s.height); ++y)
      for (int x = 0; x < (own.x == 0 ? 1 : s.width); ++x, grad_in += kLanes)
        store(grad_in, device::arithmetic_gradient<LaneMath>(s, second, LaneActivation{grad},
                                                             LaneActivation{other}, c, y, x));
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
