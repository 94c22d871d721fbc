// What the counts of a certificate say beyond its radius, nothing drawn: how far the class stays
// among the k likeliest, and how large a radius more samples could bring.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "smoothcert/certificate.hpp"

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

}  // namespace smoothcert
