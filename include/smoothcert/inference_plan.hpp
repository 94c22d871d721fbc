// A network lowered for evaluation: BatchNorm folded, parameters in one flat array, values
// numbered. Both backends execute the same plan, which is how exact mode stays exact.
#pragma once

#include <cstddef>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

/// Exact arithmetic of one step (all float32, round to nearest, no contraction):
///  - conv2d, linear: start from the bias (0 without one), then fmaf(weight, input, acc) over
///    (c, ky, kx) in that order; taps in the zero padding are skipped;
///  - affine (folded batchnorm, normalize): fmaf(x, scale[c], shift[c]);
///  - relu: x < 0 ? 0 : x (NaN stays NaN); maxpool: compare-and-select in (ky, kx) order from −∞,
///    NaN propagates;
///  - add: a + b; global_avg_pool: sum from 0 in row-major order times 1/(h·w) as float.
/// The sign of a zero is not specified: no vote depends on it. A vote is the lowest index of the
/// largest logit; any NaN logit makes the sample invalid.
enum class StepKind { conv2d, linear, affine, relu, maxpool, flatten, add, global_avg_pool };

struct PlanStep {
  StepKind kind{};
  int in = -1, in2 = -1;  ///< value numbers; −1 is the image
  int out = 0;            ///< value number = index of the step
  ActivationShape in_shape, out_shape;
  int kernel = 0, stride = 1, padding = 0;
  std::size_t weight = 0;  ///< offset into params: OIHW / out × in; affine: scale per channel
  std::size_t bias = 0;    ///< offset into params, always present; affine: shift per channel
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

}  // namespace smoothcert
