// Bounds of the activations of an inference plan, step by step, rounding included.
#include "cpu/plan_bound.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace smoothcert::cpu {
namespace {

/// Bounds of one of the less usual steps: of what it gives, and of what it computes on the way.
struct StepBound {
  double out = 0, inside = 0;
};
StepBound step_bound(const PlanStep& step, const float* params, double in, double in2) {
  const auto largest = [&](std::size_t first, std::size_t count) {
    double most = 0;
    for (std::size_t i = first; i < first + count; ++i)
      if (!(std::fabs(double{params[i]}) <= most)) most = std::fabs(double{params[i]});
    return most;
  };
  const auto area = static_cast<double>(step.window.y.kernel) * step.window.x.kernel;
  const auto channels = static_cast<std::size_t>(step.in_shape.channels);
  switch (step.kind) {
    case StepKind::window_conv: {
      const std::size_t outputs = static_cast<std::size_t>(step.out_shape.channels);
      const auto taps = static_cast<std::size_t>(step.in_shape.channels / step.window.groups) *
                        static_cast<std::size_t>(step.window.y.kernel) *
                        static_cast<std::size_t>(step.window.x.kernel);
      const double sum = largest(step.bias, outputs) +
                         static_cast<double>(taps) * in * largest(step.weight, outputs * taps);
      return {sum, sum};
    }
    case StepKind::window_mean: {
      const double values = step.window.adaptive
                                ? static_cast<double>(step.in_shape.height) * step.in_shape.width
                                : area;
      return {in, in * values};
    }
    case StepKind::activation: {
      // gelu_tanh cubes its input, hardswish adds 3.
      const double out = std::max(1.0, std::fabs(double{step.alpha})) * (in + 1);
      return {out, step.activation == Activation::gelu_tanh ? in * in * in + out : in * in + out};
    }
    case StepKind::prelu: {
      const double out = in * std::max(1.0, largest(step.weight, channels));
      return {out, out};
    }
    case StepKind::softmax:
      return {1, 2 * in + static_cast<double>(channels)};
    case StepKind::norm: {
      // |x − m| / √v is at most √n.
      const double count = static_cast<double>(step.in_shape.size()) / step.groups;
      const std::size_t parameters = step.value_weights ? step.in_shape.size() : channels;
      const double out = (std::sqrt(count) + 1) * largest(step.weight, parameters) +
                         largest(step.bias, parameters);
      return {out, std::max(out, 4 * count * in * in) / std::min(1.0, std::sqrt(double{step.eps}))};
    }
    case StepKind::arithmetic: {
      const double out = step.arithmetic.kind == ArithmeticKind::mul ? in * in2 : in + in2;
      return {out, out};
    }
    case StepKind::concat:
      return {std::max(in, in2), 0};
    case StepKind::constant: {
      const double out = largest(step.weight, step.out_shape.size());
      return {out, out};
    }
    case StepKind::conv2d:  // these are activation_bound()'s own
    case StepKind::linear:
    case StepKind::affine:
    case StepKind::relu:
    case StepKind::maxpool:
    case StepKind::flatten:
    case StepKind::add:
    case StepKind::global_avg_pool:
    case StepKind::window_max:
      break;
  }
  return {in, in};
}

}  // namespace

double activation_bound(const InferencePlan& plan, double input_bound) {
  std::vector<double> bound(plan.steps.size() + 1);
  bound[0] = input_bound;
  double worst = input_bound;
  const float* params = plan.params.data();
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const PlanStep& step = plan.steps[i];
    const double in = bound[static_cast<std::size_t>(step.in + 1)];
    double out = in, terms = 1;
    if (step.kind == StepKind::conv2d || step.kind == StepKind::linear) {
      const auto outputs = static_cast<std::size_t>(step.out_shape.channels);
      const std::size_t taps =
          step.kind == StepKind::linear
              ? step.in_shape.size()
              : static_cast<std::size_t>(step.in_shape.channels) * step.kernel * step.kernel;
      terms = static_cast<double>(taps) + 1;
      out = 0;
      for (std::size_t o = 0; o < outputs; ++o) {
        double sum = std::fabs(params[step.bias + o]);
        for (std::size_t t = 0; t < taps; ++t)
          sum += std::fabs(double{params[step.weight + o * taps + t]}) * in;
        if (!(sum <= out)) out = sum;  // keeps NaN
      }
    } else if (step.kind == StepKind::affine) {
      out = 0;
      for (int c = 0; c < step.in_shape.channels; ++c) {
        const double sum = std::fabs(double{params[step.weight + c]}) * in +
                           std::fabs(double{params[step.bias + c]});
        if (!(sum <= out)) out = sum;
      }
    } else if (step.kind == StepKind::add) {
      out = in + bound[static_cast<std::size_t>(step.in2 + 1)];
    } else if (step.kind == StepKind::global_avg_pool) {
      terms = static_cast<double>(step.in_shape.height) * step.in_shape.width + 1;
      out = in * terms;  // the sum before it is divided
    } else if (step.kind != StepKind::relu && step.kind != StepKind::maxpool &&
               step.kind != StepKind::flatten) {
      double in2 = 0;
      step.for_each_input([&](int v) {
        if (v != step.in) in2 = std::max(in2, bound[static_cast<std::size_t>(v + 1)]);
      });
      if (step.arity == 2 && step.in2 == step.in) in2 = in;
      const StepBound steps = step_bound(step, params, in, in2);
      out = steps.out;
      terms = static_cast<double>(step.in_shape.size()) + 16;  // more than any of them rounds
      const double inside = steps.inside * std::exp(terms * 0x1p-23);
      if (std::isnan(inside)) return std::numeric_limits<double>::infinity();
      worst = std::max(worst, inside);
    }
    // Each of `terms` roundings grows the magnitude by at most 2^-24 relative (plus 2^-149).
    out = out * std::exp(terms * 0x1p-23) + 1e-30;
    bound[i + 1] = out;
    if (!(out <= worst)) worst = out;
    if (std::isnan(out)) return std::numeric_limits<double>::infinity();
  }
  return worst;
}

}  // namespace smoothcert::cpu
