// The averages of a set of certificates.
#pragma once

#include <cstdint>
#include <span>

#include "smoothcert/certificate.hpp"

namespace smoothcert {

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

}  // namespace smoothcert
