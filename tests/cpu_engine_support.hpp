// Networks, noise and the reference counts that the tests of the CPU engine share.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "cpu/reference_forward.hpp"
#include "cpu/thread_pool.hpp"
#include "cpu/votes.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {

/// Forces the lane kernels onto one instruction set while it lives.
class ForcedIsa {
 public:
  explicit ForcedIsa(Isa isa);
  ~ForcedIsa();
  ForcedIsa(const ForcedIsa&) = delete;
  ForcedIsa& operator=(const ForcedIsa&) = delete;

 private:
  std::optional<std::string> before_;
};

struct Counts {
  std::vector<std::uint64_t> counts;
  std::uint64_t invalid = 0;
  [[nodiscard]] std::uint64_t total() const;
  Counts operator+(const Counts& other) const;
  bool operator==(const Counts&) const = default;
};
void PrintTo(const Counts& counts, std::ostream* out);

/// The built-in networks that are quick enough for the reference, and small ones that use every
/// layer: strides, padding, odd sizes, residual add, global average pooling, normalisation.
std::vector<NetworkSpec> engine_networks();

/// Initialised, with BatchNorm statistics and scales (some negative) that are not the identity, and
/// a last layer that spreads the votes.
Network lively_network(NetworkSpec spec, std::uint64_t seed);

std::vector<std::uint8_t> random_pixels(std::size_t count, std::uint32_t seed);

/// An alias table of 2^log2_columns random columns: no Gaussian, but as good to test a sampler
/// with.
std::shared_ptr<const LatticeTable> random_table(int log2_columns, std::uint32_t seed);
NoiseSpec test_noise(bool clamp);

/// Written from decisions.md and the definition of the table, sharing nothing with the engine.
std::vector<float> reference_input(const InferencePlan& plan, const NoiseSpec& noise,
                                   const VoteJob& job, std::uint64_t sample);
/// One vote per sample, −1 where invalid.
std::vector<int> reference_sample_votes(const InferencePlan& plan, const NoiseSpec& noise,
                                        const VoteJob& job);
Counts count_of(std::span<const int> votes, int classes);
Counts reference_votes(const InferencePlan& plan, const NoiseSpec& noise, const VoteJob& job);

/// The engine's counts, by job.
std::vector<Counts> run_votes(const InferencePlan& plan, const NoiseSpec& noise,
                              const std::vector<VoteJob>& jobs, int threads);

}  // namespace smoothcert::cpu
