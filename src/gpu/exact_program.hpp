// An inference plan as the fused exact kernel runs it: stages whose activations fit in shared
// memory, weights in the order in which threads read them. Host logic, no CUDA.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/inference_plan.hpp"

namespace smoothcert::gpu {

/// An affine step or a ReLU on each value; offsets of per-channel scale and shift into the weights.
struct ElementOp {
  bool relu = false;
  std::int32_t scale = 0, shift = 0;
};

/// Up to three element-wise steps in a row.
struct ElementOps {
  static constexpr int kMost = 3;
  ElementOp op[kMost];
  std::int32_t count = 0;
};

/// A convolution (stride 1, no padding) with the element-wise steps and the 2×2 pooling behind it,
/// or a linear layer with its steps.
struct ExactStage {
  bool linear = false;
  std::int32_t kernel = 0, pool = 1;
  std::int32_t in_channels = 0, in_height = 0, in_width = 0;
  std::int32_t out_channels = 0, out_height = 0, out_width = 0;  ///< of the stage, after pooling
  std::int32_t block = 0;   ///< output channels that one thread computes together: 4 or 5
  std::int32_t weight = 0;  ///< convolution: [out/block][c][ky][kx][8]; linear: [in][out]
  std::int32_t bias = 0;
  std::int32_t in = 0, out = 0;  ///< offsets of the values within a sample's shared memory
  ElementOps before_pool, after_pool;
};

struct ExactProgram {
  static constexpr int kMostStages = 8;
  ExactStage stage[kMostStages];
  std::int32_t stages = 0;
  ElementOps input;
  std::int32_t image_size = 0, image_area = 0;  ///< values; values a channel
  std::int32_t classes = 0, logits = 0;
  std::int32_t sample_floats = 0;  ///< shared memory of one sample
  std::int32_t samples = 0;        ///< that a block evaluates together: a power of two up to 8
  std::vector<float> weights;      ///< stays on the host side of a launch
};

/// Floats between two groups of weights of a convolution.
inline constexpr int kWeightGroup = 8;

/// The program, or nothing with the reason: not a chain of such stages, or too large for `shared`
/// bytes of shared memory a block.
std::optional<ExactProgram> make_exact_program(const InferencePlan& plan, std::size_t shared,
                                               std::string* why_not);

}  // namespace smoothcert::gpu
