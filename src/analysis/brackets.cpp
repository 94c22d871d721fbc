// Certificates and disproofs of the same images.
#include "smoothcert/brackets.hpp"

#include <map>

#include "util/median.hpp"

namespace smoothcert {

std::vector<Bracket> brackets(std::span<const Certificate> certificates,
                              std::span<const Disproof> disproofs) {
  std::map<std::uint32_t, const Certificate*> by_image;
  for (const Certificate& c : certificates) by_image.emplace(c.image, &c);
  std::vector<Bracket> all;
  for (const Disproof& d : disproofs) {
    const auto c = by_image.find(d.image);
    if (c != by_image.end())
      all.push_back({d.image, c->second->radius, d.radius(), d.confirmed(), c->second->correct()});
  }
  return all;
}

BracketSummary summarise(std::span<const Bracket> brackets) {
  BracketSummary s;
  s.tested = brackets.size();
  std::vector<double> radii, distances, ratios;
  for (const Bracket& b : brackets) {
    if (!b.confirmed) continue;
    radii.push_back(b.radius);
    distances.push_back(b.distance);
    ratios.push_back(b.distance / b.radius);
    s.below += b.distance < b.radius ? 1 : 0;
  }
  s.confirmed = radii.size();
  s.radius = lower_median(std::move(radii));
  s.distance = lower_median(std::move(distances));
  s.ratio = lower_median(std::move(ratios));
  return s;
}

}  // namespace smoothcert
