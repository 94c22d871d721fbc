// The noise laws: what each is drawn from, and what its certificates are statements about.
#include <algorithm>
#include <bit>
#include <cmath>
#include <sstream>

#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {
namespace {

constexpr double kRange = 255;  // of an 8-bit pixel, in grey levels
constexpr std::uint32_t kMostUniformWidth = 1 << 16, kMostSplitWidth = (1 << 20) - 1;

double none(const NoiseSpec&) { return 0; }
double one(const NoiseSpec&) { return 1; }

// The draws themselves are leaves: device/lattice_noise.hpp, normal.hpp, uniform_noise.hpp,
// split_noise.hpp.
const NoiseTraits kLaws[] = {
    {NoiseLaw::lattice, Norm::l2, CertificateKind::probabilistic, NoiseTraits::Rule::gaussian_votes,
     true, "sigma", "σ", "lattice noise",
     [](const NoiseSpec& n) { return n.table->slack_per_pixel; },
     [](const NoiseSpec& n) { return (n.table->offset + kRange) / kRange; }},
    {NoiseLaw::gaussian, Norm::l2, CertificateKind::probabilistic,
     NoiseTraits::Rule::gaussian_votes, false, "sigma", "σ", "continuous noise", none,
     [](const NoiseSpec& n) { return 1.0 + 6.8 * n.sigma; }},  // normal.hpp: |z| < 6.8
    {NoiseLaw::uniform, Norm::l1, CertificateKind::probabilistic, NoiseTraits::Rule::uniform_votes,
     true, "lambda", "λ", "uniform noise", none,
     [](const NoiseSpec& n) { return 1.0 + n.width / 2 / kRange; }},
    {NoiseLaw::split, Norm::l1, CertificateKind::exact, NoiseTraits::Rule::all_splits, true,
     "lambda", "λ", "splitting noise", none, one},
};

bool splits(std::uint32_t width) { return width >= kRange && width <= kMostSplitWidth; }
bool is_uniform(std::uint32_t width) {
  return std::has_single_bit(width) && width >= 2 && width <= kMostUniformWidth;
}

std::uint32_t uniform_width(double lambda) {
  constexpr double kNear = 0.02;
  const double wanted = 2 * kRange * lambda;
  if (wanted > 1 && wanted < 2.0 * kMostUniformWidth) {
    const double width = std::exp2(std::round(std::log2(wanted)));
    if (std::abs(wanted / width - 1) <= kNear && is_uniform(static_cast<std::uint32_t>(width)))
      return static_cast<std::uint32_t>(width);
  }
  std::ostringstream message;
  message << "lambda is " << lambda
          << "; uniform noise is drawn on 2^b grey levels, lambda = 2^b/510: 0.125, 0.25, 0.5, 1, "
             "2, 4 (in use: 0.1255, 0.251, 0.502, 1.004, 2.008, 4.016) and so on";
  throw UsageError(message.str());
}

std::uint32_t split_width_of(double lambda) {
  const double width = std::round(2 * kRange * lambda);
  if (width >= kRange && width <= kMostSplitWidth) return static_cast<std::uint32_t>(width);
  std::ostringstream message;
  message << "lambda is " << lambda
          << "; splitting noise needs 0.5 (half the range of a pixel) or more, and less than "
          << (kMostSplitWidth + 1) / (2 * kRange);
  throw UsageError(message.str());
}

}  // namespace

const NoiseTraits& noise_traits(NoiseLaw law) {
  for (const NoiseTraits& traits : kLaws)
    if (traits.law == law) return traits;
  throw Error("unknown noise law");
}

double largest_input(const NoiseSpec& noise) {
  return noise.clamp ? 1.0 : noise_traits(noise.law).largest_unclamped(noise);
}

void require_drawable(const NoiseSpec& noise, const std::string& where) {
  switch (noise.law) {
    case NoiseLaw::lattice:
      if (!noise.table)
        throw UsageError(where + ": lattice noise needs its table (make_lattice_table)");
      return;
    case NoiseLaw::gaussian:
      return;
    case NoiseLaw::uniform:
      if (!is_uniform(noise.width))
        throw UsageError(where + ": uniform noise needs a width of 2^b (noise_width)");
      return;
    case NoiseLaw::split:
      if (!splits(noise.width))
        throw UsageError(where + ": splitting noise needs its width (noise_width)");
      return;
  }
  throw Error("unknown noise law");
}

std::uint64_t samples_of(const NoiseSpec& noise) {
  return noise.law == NoiseLaw::split ? noise.width : std::uint64_t{1} << 32;
}

std::string samples_text(const NoiseSpec& noise) {
  return noise.law == NoiseLaw::split ? "of the " + std::to_string(noise.width) + " splits"
                                      : "below 2^32";
}

std::uint32_t noise_width(NoiseLaw law, double lambda) {
  if (law == NoiseLaw::uniform) return uniform_width(lambda);
  return law == NoiseLaw::split ? split_width_of(lambda) : 0;
}

double lambda_of_width(std::uint32_t width) { return width / (2 * kRange); }

}  // namespace smoothcert
