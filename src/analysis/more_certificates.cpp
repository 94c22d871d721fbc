// More statements from the same counts, image by image and over a run.
#include "smoothcert/more_certificates.hpp"

#include <algorithm>
#include <cmath>

#include "smoothcert/class_bounds.hpp"
#include "util/median.hpp"

namespace smoothcert {

MoreCertificates more_certificates(const Certificate& certificate, const BoundSettings& settings) {
  const VoteSplit votes = vote_split(certificate.selection, certificate.estimation);
  MoreCertificates more;
  const std::size_t classes = certificate.estimation.counts.size();
  const std::size_t largest = std::min(kLargestK, classes > 0 ? classes - 1 : 0);
  for (std::size_t k = 1; k <= largest; ++k)
    more.top_k_radius.push_back(
        top_k_radius(votes.a, votes.n, static_cast<std::uint32_t>(k), settings));
  more.ceiling = method_ceiling(votes, settings.alpha, settings.sigma, settings.sampling);
  return more;
}

MoreOfRun more_of_run(std::span<const Certificate> certificates, const BoundSettings& settings) {
  MoreOfRun run;
  std::vector<double> shares;
  for (const Certificate& c : certificates) {
    const MoreCertificates more = more_certificates(c, settings);
    run.top_k_acr.resize(std::max(run.top_k_acr.size(), more.top_k_radius.size()));
    if (c.selected == static_cast<int>(c.label))
      for (std::size_t k = 0; k < more.top_k_radius.size(); ++k)
        run.top_k_acr[k] += more.top_k_radius[k];
    if (c.correct()) shares.push_back(std::isfinite(more.ceiling) ? c.radius / more.ceiling : 0);
  }
  for (double& sum : run.top_k_acr) sum /= static_cast<double>(certificates.size());
  run.ceiling_share = lower_median(std::move(shares));
  return run;
}

}  // namespace smoothcert
