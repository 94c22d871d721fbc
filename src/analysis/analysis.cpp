// What certificates say label by label and bound by bound.
#include "smoothcert/analysis.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "util/format_number.hpp"

namespace smoothcert {

std::string acr_text(const Summary& s) {
  if (s.images == 0) return "–";
  return format_down(s.acr, 4) + " ± " +
         (s.images < 2 ? "–" : format_fixed(kStandardErrors95 * s.acr_standard_error, 4));
}

std::vector<LabelSummary> summarise_by_label(std::span<const Certificate> certificates,
                                             double radius) {
  std::map<int, LabelSummary> labels;
  for (const Certificate& c : certificates) {
    LabelSummary& s = labels[static_cast<int>(c.label)];
    ++s.images;
    if (c.prediction < 0) {
      ++s.abstained;
    } else if (!c.correct()) {
      ++s.wrong;
    } else {
      ++s.correct_certified;
      s.acr += c.radius;
      if (c.radius >= radius) ++s.reached;
    }
  }
  std::vector<LabelSummary> out;
  for (auto& [label, s] : labels) {
    s.label = label;
    s.interval = share_interval(s.reached, s.images, 0.05);
    s.acr /= static_cast<double>(s.images);
    out.push_back(s);
  }
  return out;
}

std::vector<double> share_of_bounds_below(std::span<const Certificate> certificates,
                                          std::span<const double> p) {
  std::vector<double> bounds;
  for (const Certificate& c : certificates) bounds.push_back(c.p_lower);
  std::ranges::sort(bounds);
  std::vector<double> shares;
  for (const double limit : p) {
    const auto below = std::ranges::lower_bound(bounds, limit) - bounds.begin();
    shares.push_back(
        bounds.empty() ? 0.0 : static_cast<double>(below) / static_cast<double>(bounds.size()));
  }
  return shares;
}

double bound_quantile(std::span<const Certificate> certificates, double q) {
  if (certificates.empty()) return 0;
  std::vector<double> bounds;
  for (const Certificate& c : certificates) bounds.push_back(c.p_lower);
  const double position = std::ceil(q * static_cast<double>(bounds.size())) - 1;
  const auto at = static_cast<std::ptrdiff_t>(
      std::clamp(position, 0.0, static_cast<double>(bounds.size() - 1)));
  std::ranges::nth_element(bounds, bounds.begin() + at);
  return bounds[static_cast<std::size_t>(at)];
}

Saturation saturation(std::span<const Certificate> certificates, const CertifySettings& settings,
                      const ImageShape& shape) {
  Saturation result;
  for (const Certificate& c : certificates) {
    const auto& counts = c.estimation.counts;
    const std::uint64_t n = std::accumulate(counts.begin(), counts.end(), c.estimation.invalid);
    if (n != settings.n) continue;  // stopped early: it could have gone further
    if (c.prediction < 0 || c.selected < 0 ||
        static_cast<std::size_t>(c.selected) >= counts.size() ||
        counts[static_cast<std::size_t>(c.selected)] != n)
      continue;
    ++result.images;
    result.ceiling = c.radius;
  }
  if (result.images == 0) result.ceiling = ceiling_radius(settings, shape);
  return result;
}

Constancy constancy(std::span<const Certificate> certificates) {
  std::map<int, std::uint64_t> certified, labels;
  std::uint64_t total = 0;
  for (const Certificate& c : certificates) {
    ++labels[static_cast<int>(c.label)];
    if (c.prediction < 0) continue;
    ++certified[c.prediction];
    ++total;
  }
  Constancy result;
  if (total == 0) return result;
  const auto most = std::ranges::max_element(
      certified, [](const auto& a, const auto& b) { return a.second < b.second; });
  result.favourite = most->first;
  result.share = static_cast<double>(most->second) / static_cast<double>(total);
  result.label_share =
      static_cast<double>(labels[most->first]) / static_cast<double>(certificates.size());
  return result;
}

std::vector<std::size_t> worst_certificates(std::span<const Certificate> certificates,
                                            std::size_t count) {
  std::vector<std::size_t> wrong;
  for (std::size_t i = 0; i < certificates.size(); ++i)
    if (certificates[i].prediction >= 0 && !certificates[i].correct()) wrong.push_back(i);
  std::ranges::stable_sort(wrong, [&](std::size_t a, std::size_t b) {
    return certificates[a].radius > certificates[b].radius;
  });
  if (wrong.size() > count) wrong.resize(count);
  return wrong;
}

std::vector<Certificate> restricted_to(std::span<const Certificate> certificates,
                                       std::span<const std::uint32_t> images) {
  std::vector<Certificate> out;
  for (const Certificate& c : certificates)
    if (std::ranges::binary_search(images, c.image)) out.push_back(c);
  return out;
}

}  // namespace smoothcert
