// How large the values of an inference plan can become.
#pragma once

#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {

/// Largest magnitude any value of the plan can take, rounding included, for inputs of at most
/// `input_bound`; +∞ or NaN when there is no such bound in float's range.
double activation_bound(const InferencePlan& plan, double input_bound);

}  // namespace smoothcert::cpu
