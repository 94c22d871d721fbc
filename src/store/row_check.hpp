// Whether a row says of itself what its counts say: a stored radius is a claim, and whoever can
// write the file can write any.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "smoothcert/results.hpp"

namespace smoothcert::store {

/// "" or what is wrong with a run's columns: its key is the hash of its settings, its soundness
/// class follows from them.
std::string run_fault(const RunInfo& run, std::string_view soundness);

/// The checks of one run's rows.
class RowCheck {
 public:
  /// `bound`: the version of the bound's formula that the stored radii were derived with; of
  /// another one than ours they are derived again instead of compared. `checksums`: whether rows
  /// have them.
  RowCheck(const RunInfo& run, const std::string& bound, bool checksums);

  /// "" or what is wrong with the row. Sets radius, p̲ and prediction of a certificate to what the
  /// counts give where the formula has changed since they were stored.
  std::string fault(Certificate& certificate, std::string_view checksum);
  std::string fault(const ChunkCounts& chunk, std::string_view checksum) const;

 private:
  [[nodiscard]] Certificate derived(const Certificate& certificate);
  /// Whether there are as many samples as the run's rule asks for.
  [[nodiscard]] std::string samples_fault(const Certificate& certificate) const;

  const RunInfo& run_;
  bool compare_, checksums_;
  std::optional<BoundSettings> bounds_;  // of the run, once they were needed
};

}  // namespace smoothcert::store
