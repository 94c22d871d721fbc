// The averages of a set of certificates.
#include "smoothcert/summary.hpp"

#include <algorithm>
#include <cmath>

#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {

Summary summarise(std::span<const Certificate> certificates) {
  Summary summary{.images = certificates.size()};
  double sum_certified = 0, sum_correct = 0, sum_correct_squares = 0;
  for (const Certificate& c : certificates) {
    if (c.prediction < 0) {
      ++summary.abstained;
      continue;
    }
    sum_certified += c.radius;
    if (c.correct()) {
      ++summary.correct_certified;
      sum_correct += c.radius;
      sum_correct_squares += c.radius * c.radius;
    } else {
      ++summary.wrong;
    }
  }
  const auto ratio = [](double sum, std::uint64_t count) {
    return count == 0 ? 0.0 : sum / static_cast<double>(count);
  };
  summary.avg_radius_certified = ratio(sum_certified, summary.correct_certified + summary.wrong);
  summary.avg_radius_correct = ratio(sum_correct, summary.correct_certified);
  summary.acr = ratio(sum_correct, summary.images);
  if (summary.images > 1) {
    const double m = static_cast<double>(summary.images);
    const double variance =
        std::max(0.0, (sum_correct_squares - m * summary.acr * summary.acr) / (m - 1));
    summary.acr_standard_error = std::sqrt(variance / m);
  }
  return summary;
}

double certified_accuracy(std::span<const Certificate> certificates, double r) {
  if (certificates.empty()) return 0;
  const auto reached =
      std::count_if(certificates.begin(), certificates.end(),
                    [&](const Certificate& c) { return c.correct() && c.radius >= r; });
  return static_cast<double>(reached) / static_cast<double>(certificates.size());
}

}  // namespace smoothcert
