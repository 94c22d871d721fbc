// Radii at another α from the counts that were stored. Nothing is resampled.
#include <fmt/format.h>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert {

std::vector<Certificate> rederive(const RunInfo& run, const std::vector<Certificate>& stored,
                                  double alpha) {
  const RunSettings& s = run.settings;
  if (s.arithmetic != kArithmetic) {
    throw Error(
        fmt::format("a run of arithmetic '{}' cannot be derived again by this smoothcert "
                    "({}), whose noise and arithmetic are '{}'",
                    s.arithmetic, kVersion, kArithmetic));
  }
  CertifySettings at = s.certify;
  at.alpha = alpha;
  validate(at);
  Dataset shape_only;  // all that the slack depends on
  shape_only.shape = s.shape;
  const double slack = noise_slack(at, shape_only);
  std::vector<Certificate> derived;
  derived.reserve(stored.size());
  for (const Certificate& c : stored) {
    if (c.selection.counts.empty() || c.estimation.counts.empty()) {
      throw Error(
          fmt::format("image {} has no counts to derive from (an imported result?)", c.image));
    }
    derived.push_back(
        make_certificate(c.image, c.label, c.selection, c.estimation, at.sigma, alpha, slack));
    derived.back().seconds = c.seconds;
  }
  return derived;
}

}  // namespace smoothcert
