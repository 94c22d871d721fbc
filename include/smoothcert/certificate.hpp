// Certificates of Cohen, Rosenfeld, Kolter 2019 (arXiv 1902.02918): the settings they are asked for
// with, the counts they rest on, and how counts become one. Needs no backend.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"
#include "smoothcert/label.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/stopping.hpp"
#include "smoothcert/vote_bounds.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert {

struct CertifySettings {
  double sigma = 1.0;       ///< σ, or λ of a noise law with a width (noise_traits())
  std::uint64_t n0 = 1000;  ///< selection samples
  std::uint64_t n = 10000;  ///< estimation samples
  double alpha = 0.05;      ///< 0 of exact certificates
  std::uint64_t seed = 0;
  NoiseLaw noise = NoiseLaw::lattice;
  bool clamp = true;
  Mode mode = Mode::exact;
  SecondBound p_b = SecondBound::complement;
  /// Whether images may stop before n samples, which is then the most they get. Such a run's bounds
  /// hold at any number of samples (anytime_bound.hpp); a run whose n was fixed must draw them all.
  bool sequential = false;
  Stopping stopping;  ///< of a sequential run
  /// Set where the images of a sequential run were stopped at another α or p̄_B than these
  /// certificates are derived with.
  struct StoppedAt {
    double alpha = 0;
    SecondBound p_b = SecondBound::complement;
    bool operator==(const StoppedAt&) const = default;
  };
  std::optional<StoppedAt> stopped_at;
};

/// The settings with what their noise law decides by itself: λ is that of the width as drawn (λ =
/// 0.5 of uniform noise is 256/510); of splitting noise, whose W splits are all evaluated, n₀ = 0,
/// n = W, α = 0, nothing to clamp, no stopping, no second bound. Others as they are. Throws
/// UsageError for a λ that the law cannot be drawn with.
CertifySettings settled(CertifySettings settings);

/// Throws UsageError: settings that are not settled, σ outside 1e-4 … 256, α outside (0,1), n0 or n
/// = 0 or ≥ 2^32, n too small for α to certify anything (names the n it takes).
void validate(const CertifySettings& settings);

/// σ as it was given, or λ to five digits, which tell widths apart: "0.5". With its symbol: "σ =
/// 0.5", "λ = 0.86667 (W = 442)".
std::string noise_level(const CertifySettings& settings);
std::string noise_level_text(const CertifySettings& settings);

/// All counts of one image; `invalid` = samples with a NaN logit (they count as "not A").
struct StageCounts {
  std::vector<std::uint64_t> counts;
  std::uint64_t invalid = 0;
};

struct Certificate {
  std::uint32_t image = 0;  ///< data-set index
  Label label = 0;
  int selected = 0;     ///< class A
  int prediction = -1;  ///< A, or −1: abstained
  double radius = 0;    ///< certified radius in [0,1] pixel units, in the norm of the run's noise
                        ///< (L2, or L1); 0 when abstained, and 0 is also a radius of exact ones
  double p_lower = 0;  ///< p̲_A at α, or at α/2 where p̄_B is counted; exact: A's share of the splits
  StageCounts selection, estimation;
  StopReason stop = StopReason::n_max;  ///< why there are no more samples
  /// Batch wall time × the image's share of its samples; NaN where a peer's file does not tell.
  double seconds = 0;
  [[nodiscard]] bool correct() const { return prediction == static_cast<int>(label); }
};

/// What `settings` ask of the votes of images of `shape`: σ as drawn, δ per image, α, p̄_B.
BoundSettings bound_settings(const CertifySettings& settings, const ImageShape& shape);

/// The certificate that these counts give. The image abstains where the radius is 0, except that
/// exact certificates abstain only where no split was answered; they select nothing beforehand, so
/// their class is that of `estimation`.
Certificate make_certificate(std::uint32_t image, Label label, StageCounts selection,
                             StageCounts estimation, const BoundSettings& settings);

/// The votes of the estimation stage, seen from the class that the selection stage chose; from its
/// own largest class where nothing was selected (exact certificates).
VoteSplit vote_split(const StageCounts& selection, const StageCounts& estimation);

/// Whether an image of a sequential run stops with these counts, which end at a checkpoint.
std::optional<StopReason> stops_here(const StageCounts& selection, const StageCounts& estimation,
                                     const CertifySettings& settings, const ImageShape& shape);

/// The radius that n votes out of n give: with these settings nothing larger can be certified.
double ceiling_radius(const CertifySettings& settings, const ImageShape& shape);

/// Slack δ per image, for the certificate's two uses of it: 0 for continuous noise.
double noise_slack(const CertifySettings& settings, const ImageShape& shape);

/// Partial counts of one job, for the store's resume.
struct ChunkCounts {
  std::uint32_t image = 0;
  Purpose stage = Purpose::estimate;
  std::uint64_t first = 0, last = 0;
  StageCounts counts;
  int label = -1;  ///< of the image; −1: not known
};

/// Adds the votes of further samples; `sum` may be empty.
void add_counts(StageCounts& sum, const StageCounts& more);

/// All samples that were drawn: no vote is dropped.
std::uint64_t votes_in(const std::vector<std::uint64_t>& counts, std::uint64_t invalid);

/// The votes that `settings` ask for over images of this shape, with the lattice table made.
VoteSettings vote_settings(const CertifySettings& settings, const ImageShape& shape);

}  // namespace smoothcert
