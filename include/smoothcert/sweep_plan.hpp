// The runs that a sweep asks for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/sweep_file.hpp"

namespace smoothcert {

/// One run of the plan. Runs that differ in α or p̄_B only follow each other: the first is drawn,
/// the others are derived from its counts.
struct SweepRun {
  std::size_t model = 0;     ///< index into SweepSpec::models
  CertifySettings settings;  ///< where the spec leaves clamping open, the models decide later
  bool derived = false;
};

struct SweepPlan {
  std::vector<SweepRun> runs;
  std::vector<std::uint32_t> indices;  ///< the union of the subsets, before sharding
  std::uint64_t images = 0;            ///< certificates of all runs
  std::uint64_t samples = 0;           ///< to be drawn for all runs, nothing resumed
};

/// Throws UsageError: a subset without images, settings that validate() refuses.
SweepPlan plan_sweep(const SweepSpec& spec, std::size_t dataset_size);

}  // namespace smoothcert
