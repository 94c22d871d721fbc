// The averages of a set of certificates, and which images to take.
#include <algorithm>
#include <cmath>

#include "smoothcert/certify.hpp"
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

std::vector<std::uint32_t> spaced_indices(std::size_t total, std::size_t start, std::size_t skip,
                                          std::size_t max) {
  if (skip == 0) throw UsageError("skip is 0; take every 1st, 2nd, … image");
  std::vector<std::uint32_t> indices;
  for (std::size_t i = start; i < total && indices.size() < max; i += std::min(skip, total - i))
    indices.push_back(static_cast<std::uint32_t>(i));
  return indices;
}

}  // namespace smoothcert
