// Which of a library's algorithms for one convolution may be used: those that give the same bits
// every time, in the precision asked for, within the workspace allowed; in fp32, products only.
#include "gpu/algorithm_choice.hpp"

namespace smoothcert::gpu {

std::optional<std::size_t> choose_algorithm(std::span<const AlgorithmCandidate> candidates,
                                            MathPrecision precision, std::size_t workspace_limit) {
  for (std::size_t i = 0; i < candidates.size(); ++i) {
    const AlgorithmCandidate& c = candidates[i];
    if (!c.works || !c.deterministic || c.workspace > workspace_limit) continue;
    if ((c.tensor_cores || c.transforms) && precision == MathPrecision::fp32) continue;
    return i;
  }
  return std::nullopt;
}

}  // namespace smoothcert::gpu
