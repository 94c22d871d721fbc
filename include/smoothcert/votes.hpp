// What is counted, and how: settings, jobs and results of Monte-Carlo votes. Data only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "smoothcert/device/philox.hpp"
#include "smoothcert/names.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {

enum class Mode {
  exact,     ///< the plan's fixed fmaf order: equal votes on every backend (default)
  fast,      ///< the backend's fastest arithmetic; another base classifier, recorded as such
  external,  ///< a caller's forward pass on our noise: a base classifier of its own
};
template <>
struct Names<Mode> {
  static constexpr const char* kWhat = "mode";
  static constexpr NamedValue<Mode> kValues[] = {
      {Mode::exact, "exact"}, {Mode::fast, "fast"}, {Mode::external, "external"}};
};

/// Monte-Carlo samples [first, last) of one image: the unit that threads, GPUs, ranks, shards and
/// resumes share. Pixels are CHW, 8-bit, and stay valid until the run has ended.
struct VoteJob {
  std::uint32_t image = 0;  ///< data-set index: Philox counter word 2
  const std::uint8_t* pixels = nullptr;
  Purpose purpose = Purpose::estimate;
  std::uint64_t first = 0, last = 0;  ///< sample indices, < 2^32
};

/// counts.size() == classes; invalid = samples with a NaN logit. Σ counts + invalid == last −
/// first.
struct VoteResult {
  std::size_t job = 0;  ///< index into the jobs handed over
  std::vector<std::uint64_t> counts;
  std::uint64_t invalid = 0;
};

struct VoteSettings {
  NoiseSpec noise;
  Mode mode = Mode::exact;
  /// Fused kernels where the backend has them for the network; without, the path of any network, so
  /// that the two can be compared.
  bool fused = true;
};

}  // namespace smoothcert
