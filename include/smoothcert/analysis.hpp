// What certificates say beyond their averages: label by label, bound by bound, two runs image by
// image. Nothing is drawn. Intervals are over images, at 95 %; they take the images as a sample of
// the images that could have been asked for, and the certificates as given.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/statistics.hpp"
#include "smoothcert/summary.hpp"

namespace smoothcert {

/// Half-width of a 95 % interval in standard errors: what ± means wherever this program prints it.
inline constexpr double kStandardErrors95 = 1.959963984540054;

/// "0.7542 ± 0.0189": the ACR, rounded down, and half its 95 % interval over images; "0.7542 ± –"
/// of one image, "–" of none.
std::string acr_text(const Summary& summary);

/// The images of one label.
struct LabelSummary {
  int label = 0;
  std::uint64_t images = 0, correct_certified = 0, wrong = 0, abstained = 0;
  std::uint64_t reached = 0;  ///< correct with a radius of at least the one asked for
  Interval interval;          ///< of reached / images: Clopper–Pearson, 95 %
  double acr = 0;             ///< their radii where correct, summed, over `images`
};
/// One entry for each label that occurs, in ascending order. `radius` in [0,1] pixel units.
std::vector<LabelSummary> summarise_by_label(std::span<const Certificate> certificates,
                                             double radius);

/// Share of the images whose bound p̲_A is below `p`, for each of `p`; all 0 without certificates.
std::vector<double> share_of_bounds_below(std::span<const Certificate> certificates,
                                          std::span<const double> p);
/// The q-quantile of p̲_A over images, q in [0,1]: the smallest bound that a share q of the images
/// does not exceed. 0 without certificates.
double bound_quantile(std::span<const Certificate> certificates, double q);

/// Images that reach the largest radius their run can certify: every vote for one class.
struct Saturation {
  double ceiling = 0;  ///< the radius of k = n
  std::uint64_t images = 0;
};
Saturation saturation(std::span<const Certificate> certificates, const CertifySettings& settings,
                      const ImageShape& shape);

/// How much of what was certified is one class. A constant classifier can have an average certified
/// radius as large as n and σ allow, and is right about one class only (Sun et al. 2024, arXiv
/// 2410.06895).
struct Constancy {
  int favourite = -1;      ///< the class certified most often, −1 where nothing is
  double share = 0;        ///< of the images that did not abstain
  double label_share = 0;  ///< of all images that carry this label
  /// Four of five certificates name one class that at most half of the images are of.
  [[nodiscard]] bool nearly_constant() const {
    return favourite >= 0 && share >= 0.8 && label_share <= 0.5;
  }
};
Constancy constancy(std::span<const Certificate> certificates);

/// Positions in `certificates` of those that are wrong, the largest radius first: the images on
/// which a robust answer is robustly wrong. At most `count`.
std::vector<std::size_t> worst_certificates(std::span<const Certificate> certificates,
                                            std::size_t count);

/// Two runs on the images that both cover.
struct PairedComparison {
  std::uint64_t images = 0;
  /// Correct with at least `radius`.
  double radius = 0;
  std::uint64_t both = 0, only_first = 0, only_second = 0, neither = 0;
  /// Exact McNemar test that neither run reaches `radius` on more images: two-sided.
  double mcnemar_p = 1;
  double acr_difference = 0;  ///< ACR of the first run minus that of the second
  /// Half of its 95 % interval: standard errors of the mean of the images' differences.
  double acr_half_width = 0;
  /// Two-sided permutation test of the difference: signs of the images' differences at random.
  double permutation_p = 1;
};

inline constexpr std::uint64_t kPermutations = 9999;  ///< smallest p-value: 1/10,000

/// Both sorted by image, as the store gives them. Equal arguments give equal p-values. Throws Error
/// where a common image has two labels: the runs are about different data.
PairedComparison compare_paired(std::span<const Certificate> first,
                                std::span<const Certificate> second, double radius);

/// Holm's adjustment for asking several questions at once: adjusted p-values in the given order; a
/// conclusion wherever one is below 5 % is wrong anywhere with probability at most 5 %.
std::vector<double> holm_adjusted(std::span<const double> p_values);

/// Images that every one of `runs` covers, ascending; each run sorted by image.
std::vector<std::uint32_t> common_images(std::span<const std::span<const Certificate>> runs);
/// The certificates of `images` (ascending).
std::vector<Certificate> restricted_to(std::span<const Certificate> certificates,
                                       std::span<const std::uint32_t> images);

}  // namespace smoothcert
