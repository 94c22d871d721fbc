// Whether a model that others trained was read right: its logits here against those of the
// original.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "smoothcert/backend.hpp"

namespace smoothcert {

/// Relative to the largest logit of the original; a wrong activation or normalisation is far above.
inline constexpr double kLogitTolerance = 1e-3;

struct LogitCheck {
  std::size_t inputs = 0;
  double largest_logit = 0;          ///< magnitude, of the original
  double largest_difference = 0;     ///< absolute
  std::size_t input = 0, logit = 0;  ///< where that is
  std::size_t same_class = 0;        ///< inputs whose largest logit is the same one
  [[nodiscard]] double relative() const { return largest_difference / largest_logit; }
  [[nodiscard]] bool passed() const { return relative() <= kLogitTolerance; }
};

/// `inputs`: .npy, N × C × H × W in [0, 1], before any normalisation; `logits`: .npy, N × classes,
/// what the original gave for them. Both float16, float32 or float64. Throws Error naming the file:
/// other shapes or types, values outside [0, 1], logits that are not finite or all zero.
LogitCheck check_logits(BackendModel& model, const std::filesystem::path& inputs,
                        const std::filesystem::path& logits);

}  // namespace smoothcert
