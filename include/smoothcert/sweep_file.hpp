// A sweep as its file describes it (docs/sweep.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"

namespace smoothcert {

struct SweepModel {
  std::filesystem::path file;
  std::string name;            ///< when not given the file's, with folders where that is no name
  std::string network;         ///< built-in name or description file, for checkpoints of others
  std::vector<double> sigmas;  ///< instead of the sweep's; empty: the sweep's. λ as below
};

/// As the field's scripts take them: every `skip`-th image from `start`, at most `max` (0: all).
struct SubsetSpec {
  std::uint64_t start = 0, skip = 1, max = 0;
  std::uint64_t sample = 0, sample_seed = 0;  ///< so many of these at random; 0: all of them
};

/// A sweep.json (docs/sweep.md), every list with at least one entry.
struct SweepSpec {
  std::filesystem::path store;
  std::string data = "mnist", split = "test";
  std::vector<SweepModel> models;
  std::vector<double> sigmas;  ///< σ, or λ of a noise law with a width ("lambda" in the file)
  std::vector<std::uint64_t> n0 = {100}, n = {100000};
  std::vector<double> alphas = {0.001};
  std::vector<SecondBound> p_bs = {SecondBound::complement};
  std::vector<std::uint64_t> seeds = {0};
  std::vector<SubsetSpec> subsets = {{}};
  NoiseLaw noise = NoiseLaw::lattice;
  std::optional<bool> clamp;  ///< of all models; empty: each as its record says
  Mode mode = Mode::exact;
  /// Set: every run is sequential with this rule, and n the most samples an image gets.
  std::optional<Stopping> stopping;
};

/// Relative paths are taken from `folder`. Throws UsageError naming `where` and the member: unknown
/// (suggesting the nearest), missing, of the wrong type, out of range.
SweepSpec parse_sweep(const std::string& json, const std::filesystem::path& folder,
                      const std::string& where);
SweepSpec load_sweep(const std::filesystem::path& file);

}  // namespace smoothcert
