// A network lowered for evaluation: BatchNorm folded, parameters in one flat array, values
// numbered. Both backends execute the same plan, which is how exact mode stays exact.
#pragma once

#include <cstddef>
#include <vector>

#include "smoothcert/device/activations.hpp"
#include "smoothcert/device/arithmetic.hpp"
#include "smoothcert/device/windows.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {

/// Exact arithmetic of one step (all float32, round to nearest, no contraction):
///  - conv2d, linear: start from the bias (0 without one), then fmaf(weight, input, acc) over
///    (c, ky, kx) in that order; taps in the zero padding are skipped;
///  - affine (folded batchnorm, normalize): fmaf(x, scale[c], shift[c]);
///  - relu: x < 0 ? 0 : x (NaN stays NaN); maxpool: compare-and-select in (ky, kx) order from −∞,
///    NaN propagates;
///  - add: a + b; global_avg_pool: sum from 0 in row-major order times 1/(h·w) as float;
///  - window_conv (groups, dilation, rectangles, "same"): as conv2d, over the channels of its
///  group;
///    window_max: as maxpool; window_mean: sum from 0 in (ky, kx) order times 1/count as float;
///  - activation: device/activations.hpp; prelu: x < 0 ? x·slope : x; softmax: over the channels of
///    each position, e_c = exp(x_c − max) / Σ e_c, summed in order from 0;
///  - norm: over each group of channels, m = Σx·(1/n), d = x − m, v = Σ fma(d, d, ·)·(1/n), all in
///    row-major order from 0, then fmaf(d·(1/√(v + eps)), scale, shift);
///  - concat, constant: copies; arithmetic: a + b, a − b or a·b, an extent of 1 repeated.
/// The sign of a zero is not specified: no vote depends on it. A vote is the lowest index of the
/// largest logit; any NaN logit makes the sample invalid.
///
/// conv2d and maxpool are those that the tuned kernels know: square windows, equal steps and
/// padding all round, dense; window_conv and window_max are all others. A flatten, a reshape, a
/// dropout and an identity are all a flatten: the same values under another name.
enum class StepKind {
  conv2d,
  linear,
  affine,
  relu,
  maxpool,
  flatten,
  add,
  global_avg_pool,
  window_conv,
  window_max,
  window_mean,
  activation,
  prelu,
  softmax,
  norm,
  concat,
  arithmetic,
  constant
};

struct PlanStep {
  StepKind kind{};
  int in = -1, in2 = -1;  ///< value numbers; −1 is the image
  std::vector<int> more;  ///< concat: the third input and what follows it
  int arity = 1;          ///< how many inputs it reads; 0: constant
  int out = 0;            ///< value number = index of the step
  ActivationShape in_shape, out_shape;
  int kernel = 0, stride = 1, padding = 0;
  std::size_t weight = 0;  ///< offset into params: OIHW / out × in; affine, norm: scale per
                           ///< channel; prelu: slope per channel; constant: its values
  std::size_t bias = 0;    ///< offset into params, always present; affine, norm: shift per channel
  WindowShape window;      ///< window_conv, window_max, window_mean
  Activation activation{};
  float alpha = 0;             ///< activation: leaky_relu, elu
  int groups = 1;              ///< norm
  float eps = 0;               ///< norm
  bool value_weights = false;  ///< norm: scale and shift per value, not per channel
  ArithmeticShape arithmetic;

  /// f(value number) for each input, in order.
  template <class F>
  void for_each_input(const F& f) const {
    if (arity > 0) f(in);
    if (arity > 1) f(in2);
    for (const int value : more) f(value);
  }
};

struct InferencePlan {
  ImageShape input;
  int classes = 0;
  std::vector<PlanStep> steps;
  std::vector<float> params;
};

/// Folds BatchNorm in double, once: scale = γ/√(var+eps), shift = β − mean·scale, each rounded to
/// float. Normalize becomes an affine step: scale = 1/std, shift = −mean/std.
InferencePlan make_inference_plan(const Network& net);

/// Shape of a value; −1 is the image.
inline ActivationShape value_shape(const InferencePlan& plan, int value) {
  return value < 0 ? plan.input : plan.steps[static_cast<std::size_t>(value)].out_shape;
}

}  // namespace smoothcert
