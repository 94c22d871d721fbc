// Where the values of a network live during one pass: values whose lives do not overlap share
// memory. Host logic of the CUDA backend that needs no driver.
#pragma once

#include <cstddef>
#include <vector>

#include "smoothcert/inference_plan.hpp"

namespace smoothcert::gpu {

/// Offsets in floats per sample; multiply by the number of samples of a batch.
struct ValueLayout {
  std::size_t image = 0;             ///< offset of the image
  std::vector<std::size_t> offsets;  ///< of each step's output; flatten shares its input's
  std::size_t total = 0;             ///< floats per sample
};

/// First-fit placement by liveness. A step's output never overlaps its inputs (flatten excepted,
/// which is a change of name).
ValueLayout lay_out_values(const InferencePlan& plan);

}  // namespace smoothcert::gpu
