// What the counts of a certificate say beyond its radius, nothing drawn: how far the class stays
// among the k likeliest, and how large a radius more samples could bring.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/names.hpp"

namespace smoothcert {

/// The largest k of the top-k radii that are shown, where there are as many classes.
inline constexpr std::size_t kLargestK = 10;

/// Of one image, under Gaussian noise. Each statement holds at the run's α by itself
/// (docs/certificates.md).
struct MoreCertificates {
  /// [k − 1]: L2 radius in [0,1] pixel units within which the selected class stays among the k
  /// likeliest (Jia et al. 2020); k up to kLargestK and below the number of classes. 0 where
  /// nothing is certified.
  std::vector<double> top_k_radius;
  double ceiling = 0;  ///< method_ceiling() at β = α; infinite where every vote is for the class
};
MoreCertificates more_certificates(const Certificate& certificate, const BoundSettings& settings);

/// Over the images of a run.
struct MoreOfRun {
  /// [k − 1]: mean of the top-k radii of images whose selected class is their label, 0 for the
  /// others. Not more than k = 1 gives where the label came second: its votes were not what the
  /// selection chose.
  std::vector<double> top_k_acr;
  /// Median over correctly certified images of radius / ceiling, in [0,1]: what share of the
  /// method's largest radius these samples certify. Images whose every vote is for the class have
  /// no ceiling, and count as 0. Negative without such images.
  double ceiling_share = -1;
};
MoreOfRun more_of_run(std::span<const Certificate> certificates, const BoundSettings& settings);

/// The images of one label, and how far they are from every class.
struct LabelDistances {
  Label label = 0;
  std::uint64_t images = 0;
  /// [class]: lower median over the images of the label of the L2 radius within which that class is
  /// not the answer (class_distances(); 0 where another class than the label was selected). The
  /// label's own is 0 and means nothing.
  std::vector<double> median;
};
/// One entry for each label that occurs among the classes, ascending. Costs a search an image and
/// class with votes: for networks of few classes.
inline constexpr std::size_t kMostDistanceClasses = 12;  ///< of reports and JSON
std::vector<LabelDistances> distances_by_label(std::span<const Certificate> certificates,
                                               const BoundSettings& settings);

/// Whose place among the likeliest classes is asked for.
enum class TopKOf {
  selected,  ///< the class that the selection stage chose: beside the radius, the same statement
  label,     ///< the image's label, chosen without any votes: a statement of its own, at α
};
template <>
struct Names<TopKOf> {
  static constexpr const char* kWhat = "class";
  static constexpr NamedValue<TopKOf> kValues[] = {{TopKOf::selected, "selected"},
                                                   {TopKOf::label, "label"}};
};

/// Which of the two procedures answers (docs/certificates.md). Neither is always the better one,
/// and the larger of both is no certificate at α: one is chosen before the votes are seen.
enum class TopKFrom {
  share,   ///< from the bound of that class alone, at α
  counts,  ///< from the bounds of all classes, which share α (Jia et al. 2020)
};
template <>
struct Names<TopKFrom> {
  static constexpr const char* kWhat = "procedure";
  static constexpr NamedValue<TopKFrom> kValues[] = {{TopKFrom::share, "share"},
                                                     {TopKFrom::counts, "counts"}};
};

/// "Within which L2 radius does this class stay among the k likeliest?"
struct TopKQuestion {
  std::uint32_t k = 1;
  TopKOf of = TopKOf::selected;
  TopKFrom from = TopKFrom::share;
};
/// "top-5 radii of the label, from all counts"
std::string to_text(const TopKQuestion& question);

/// The answer in the form of a certificate: `selected` is the class that was asked for, `radius`
/// its top-k radius, `prediction` −1 where that is 0, `p_lower` its bound at its share of α. Throws
/// UsageError unless 1 ≤ k < classes, where a label is none of the model's classes, and for noise
/// that is not Gaussian.
Certificate top_k_certificate(const Certificate& certificate, const TopKQuestion& question,
                              const BoundSettings& settings);

}  // namespace smoothcert
