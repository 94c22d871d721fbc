// L1 certificates of uniform and of splitting noise, in units of a grey level.
#include "smoothcert/l1_certificates.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {
namespace {

double down(double x) { return std::nextafter(x, -HUGE_VAL); }

constexpr std::uint32_t kLevels = 255;

}  // namespace

UniformCertificate uniform_certificate(double q, std::uint32_t width, double slack) {
  return uniform_certificate(q, q, width, slack);
}

UniformCertificate uniform_certificate(double q, double p_b, std::uint32_t width, double slack) {
  if (!(q > 0 && q <= 1 && p_b >= 0 && p_b <= 1)) throw UsageError("the bounds must lie in (0, 1]");
  if (!(slack >= 0 && slack < 1)) throw UsageError("the noise slack must lie in [0, 1)");
  if (width == 0) throw UsageError("uniform noise needs a width of at least 1 grey level");
  // A unit moves 1/W of the mass at most: A keeps p̲ − δ − K/W or more, a rival gets p̄ + δ + K/W at
  // most. 1 − q is exact or rounded by half an ulp, which the steps down cover.
  const double surplus = down(down(down((down(1 - q) - p_b) / 2)) - slack);
  if (!(surplus > 0)) return {};
  const double units = down(surplus * width);
  if (!(units > 0)) return {};
  // Largest K < units, which is itself rounded down.
  return {static_cast<std::uint64_t>(std::ceil(units)) - 1, down(units / kLevels)};
}

SplitCertificate split_certificate(std::span<const std::uint64_t> votes, std::uint64_t invalid,
                                   std::uint32_t width) {
  if (votes.size() < 2) throw Error("splitting noise: a certificate needs at least two classes");
  if (width < kLevels)
    throw Error("splitting noise: width " + std::to_string(width) +
                " is below 255, one split for the range of a pixel");
  const std::uint64_t total = std::accumulate(votes.begin(), votes.end(), invalid);
  if (total != width)
    throw Error("splitting noise: " + std::to_string(total) + " votes for " +
                std::to_string(width) + " splits; all must be evaluated, once each");
  SplitCertificate certificate;
  const int a = top_class(votes);
  const std::uint64_t mine = votes[static_cast<std::size_t>(a)];
  if (mine == 0) return certificate;
  certificate.prediction = a;
  // A unit changes one vote. A loses it and B gains it at worst: the lead falls by two.
  std::uint64_t lead = width;
  for (int b = 0; b < static_cast<int>(votes.size()); ++b)
    if (b != a) lead = std::min(lead, mine - votes[static_cast<std::size_t>(b)] - (b < a ? 1 : 0));
  certificate.units = lead / 2;
  const double nearest = static_cast<double>(certificate.units) / kLevels;
  // Exact: the units have at most 20 bits, the remainder of a rounded quotient is representable.
  const bool above = std::fma(nearest, kLevels, -static_cast<double>(certificate.units)) > 0;
  certificate.radius = above ? down(nearest) : nearest;
  return certificate;
}

std::uint32_t split_width(double lambda) { return noise_width(NoiseLaw::split, lambda); }

}  // namespace smoothcert
