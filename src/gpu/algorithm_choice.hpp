// Which of a library's algorithms for one convolution may be used: those that give the same bits
// every time, in the precision asked for, within the workspace allowed; in fp32, products only.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

namespace smoothcert::gpu {

enum class MathPrecision {
  fp32,  ///< fused multiply-adds in float32
  tf32,  ///< tensor cores, 10-bit mantissas
};

struct AlgorithmCandidate {
  int algorithm = 0;
  bool works = false;
  bool deterministic = false;
  bool tensor_cores = false;  ///< rounds its inputs to TF32
  bool transforms = false;    ///< Winograd or Fourier: zeros come out as small numbers
  std::size_t workspace = 0;
};

/// Index of the first candidate (the library lists the fastest first) that may be used.
std::optional<std::size_t> choose_algorithm(std::span<const AlgorithmCandidate> candidates,
                                            MathPrecision precision, std::size_t workspace_limit);

}  // namespace smoothcert::gpu
