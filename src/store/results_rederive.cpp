// Radii at another α, or of another p̄_B, from the counts that were stored. Nothing is resampled.
#include <fmt/format.h>

#include <cmath>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert {

CertifySettings Rederivation::of(CertifySettings settings) const {
  settings.alpha = alpha.value_or(settings.alpha);
  settings.p_b = p_b.value_or(settings.p_b);
  return settings;
}

double radius_in_norm(double l2_radius, Norm norm, std::size_t pixels) {
  if (norm != Norm::linf || l2_radius <= 0) return l2_radius;
  // Root and quotient are rounded to nearest, half an ulp each: two steps down cover both.
  const double nearest = l2_radius / std::sqrt(static_cast<double>(pixels));
  return std::nextafter(std::nextafter(nearest, 0), 0);
}

std::vector<Certificate> rederive(const RunInfo& run, const std::vector<Certificate>& stored,
                                  const Rederivation& with) {
  const RunSettings& s = run.settings;
  if (s.arithmetic != kArithmetic) {
    throw Error(
        fmt::format("a run of arithmetic '{}' cannot be derived again by this smoothcert "
                    "({}), whose noise and arithmetic are '{}'",
                    s.arithmetic, kVersion, kArithmetic));
  }
  const CertifySettings at = with.of(s.certify);
  validate(at);
  const double slack = noise_slack(at, s.shape);
  std::vector<Certificate> derived;
  derived.reserve(stored.size());
  for (const Certificate& c : stored) {
    if (c.selection.counts.empty() || c.estimation.counts.empty()) {
      throw Error(
          fmt::format("image {} has no counts to derive from (an imported result?)", c.image));
    }
    derived.push_back(make_certificate(c.image, c.label, c.selection, c.estimation, at.sigma,
                                       at.alpha, slack, at.p_b));
    derived.back().seconds = c.seconds;
  }
  return derived;
}

}  // namespace smoothcert
