// CERTIFY and PREDICT of Cohen, Rosenfeld, Kolter 2019 (arXiv 1902.02918) over a set of images.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/dataset.hpp"
#include "smoothcert/label.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/stopping.hpp"
#include "smoothcert/vote_bounds.hpp"

namespace smoothcert {

struct CertifySettings {
  double sigma = 1.0;
  std::uint64_t n0 = 1000;  ///< selection samples
  std::uint64_t n = 10000;  ///< estimation samples
  double alpha = 0.05;
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

/// Throws UsageError: σ outside 1e-4 … 256, α outside (0,1), n0 or n = 0 or ≥ 2^32, n too small for
/// α to certify anything (names the n it takes).
void validate(const CertifySettings& settings);

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
  double radius = 0;    ///< certified L2 radius in [0,1] pixel units; 0 when abstained
  double p_lower = 0;   ///< p̲_A at α, or at α/2 where p̄_B is counted
  StageCounts selection, estimation;
  StopReason stop = StopReason::n_max;  ///< why there are no more samples
  /// Batch wall time × the image's share of its samples; NaN where a peer's file does not tell.
  double seconds = 0;
  [[nodiscard]] bool correct() const { return prediction == static_cast<int>(label); }
};

/// What `settings` ask of the votes of images of `shape`: σ as drawn, δ per image, α, p̄_B.
BoundSettings bound_settings(const CertifySettings& settings, const ImageShape& shape);

/// The certificate that these counts give. The image abstains where the radius is 0.
Certificate make_certificate(std::uint32_t image, Label label, StageCounts selection,
                             StageCounts estimation, const BoundSettings& settings);

/// The votes of the estimation stage, seen from the class that the selection stage chose.
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

struct CertifyProgress {
  std::uint64_t images_done = 0, images_total = 0;
  std::uint64_t samples_done = 0, samples_total = 0;  ///< of this call, without resumed ones
  std::uint64_t samples_saved = 0;  ///< that stopped images did not need; not in samples_total
  double seconds = 0;
};

struct CertifyCallbacks {
  std::function<void(const ChunkCounts&)> on_chunk;         ///< optional, serialised
  std::function<void(const Certificate&)> on_certificate;   ///< serialised, in order of completion
  std::function<void(const CertifyProgress&)> on_progress;  ///< a few times a second
};

/// Certifies `indices` of `data`. `done` are chunks already counted (from the store): they are not
/// drawn again, whatever their cut. Cancelled through `stop`: throws Interrupted after what was
/// finished has been reported.
void certify(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings, std::span<const ChunkCounts> done,
             const CertifyCallbacks& callbacks, std::stop_token stop = {});

/// PREDICT: class of the smoothed classifier or −1, with n samples of purpose `predict`.
struct Prediction {
  std::uint32_t image = 0;
  Label label = 0;
  int prediction = -1;
  double p_value = 1;
  StageCounts counts;
  double seconds = 0;
};
void predict(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> indices,
             const CertifySettings& settings,
             const std::function<void(const Prediction&)>& on_prediction,
             const std::function<void(const CertifyProgress&)>& on_progress,
             std::stop_token stop = {});

/// protocol.md's definitions over a set of certificates.
struct Summary {
  std::uint64_t images = 0, abstained = 0, wrong = 0, correct_certified = 0;
  double avg_radius_certified = 0;  ///< over all images that did not abstain (the study's average)
  double avg_radius_correct = 0;    ///< over correct & certified images
  double acr = 0;                   ///< (1/M)·Σ radius·[correct] (the literature's)
  double acr_standard_error = 0;
};
Summary summarise(std::span<const Certificate> certificates);

/// Share of all images that are correct with radius ≥ r.
double certified_accuracy(std::span<const Certificate> certificates, double r);

/// Evenly spaced indices: every (total/count)-th image, as `--skip` would take them.
std::vector<std::uint32_t> spaced_indices(std::size_t total, std::size_t start, std::size_t skip,
                                          std::size_t max);

}  // namespace smoothcert
