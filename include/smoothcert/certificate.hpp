// Certificates of Cohen, Rosenfeld, Kolter 2019 (arXiv 1902.02918): the settings they are asked for
// with, the counts they rest on, and how counts become one. Needs no backend.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"
#include "smoothcert/names.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert {

/// How p̄_B, the bound of the second class, is had.
enum class SecondBound {
  complement,  ///< 1 − p̲_A, with p̲_A at α (Cohen et al. 2019, CERTIFY)
  counted,     ///< from the largest count of another class: both bounds at α/2
};
template <>
struct Names<SecondBound> {
  static constexpr const char* kWhat = "bound";
  static constexpr NamedValue<SecondBound> kValues[] = {{SecondBound::complement, "complement"},
                                                        {SecondBound::counted, "counted"}};
};

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
};

/// Throws UsageError: σ ≤ 0 or not finite, α outside (0,1), n0 or n = 0 or ≥ 2^32, n too small for
/// α to certify anything (names the n it takes).
void validate(const CertifySettings& settings);

/// All counts of one image; `invalid` = samples with a NaN logit (they count as "not A").
struct StageCounts {
  std::vector<std::uint64_t> counts;
  std::uint64_t invalid = 0;
};

struct Certificate {
  std::uint32_t image = 0;  ///< data-set index
  std::uint8_t label = 0;
  int selected = 0;     ///< class A
  int prediction = -1;  ///< A, or −1: abstained
  double radius = 0;    ///< certified L2 radius in [0,1] pixel units; 0 when abstained
  double p_lower = 0;   ///< p̲_A at α, or at α/2 where p̄_B is counted
  StageCounts selection, estimation;
  double seconds = 0;  ///< batch wall time × the image's share of its samples
  [[nodiscard]] bool correct() const { return prediction == static_cast<int>(label); }
};

/// The certificate that these counts give: the only place where counts become a radius. `slack` is
/// δ of the noise as drawn for one image.
Certificate make_certificate(std::uint32_t image, std::uint8_t label, StageCounts selection,
                             StageCounts estimation, double sigma, double alpha, double slack,
                             SecondBound p_b = SecondBound::complement);

/// The radius that n votes out of n give: with these settings nothing larger can be certified.
double ceiling_radius(const CertifySettings& settings, const ImageShape& shape);

/// Slack δ per image: 0 for continuous noise.
double noise_slack(const CertifySettings& settings, const ImageShape& shape);

/// Partial counts of one job, for the store's resume.
struct ChunkCounts {
  std::uint32_t image = 0;
  Purpose stage = Purpose::estimate;
  std::uint64_t first = 0, last = 0;
  StageCounts counts;
};

/// The votes that `settings` ask for over images of this shape, with the lattice table made.
VoteSettings vote_settings(const CertifySettings& settings, const ImageShape& shape);

}  // namespace smoothcert
