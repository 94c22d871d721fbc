// The floating-point leak: with continuous noise x ⊕ σz tells which x it came from, and a
// classifier that listens gets a certificate that is false by orders of magnitude. On the lattice
// the same classifier gets nothing that does not hold.
//
// Cf. Jin et al., "Getting a-Round Guarantees: Floating-Point Attacks on Certified Robustness",
// 2022.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "fake_model_support.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/device/lattice_noise.hpp"

namespace smoothcert {
namespace {

using test::FakeModel;

constexpr ImageShape kShape{3, 32, 32};
constexpr std::size_t kMoved = 64;  // pixels that move by one grey level: L2 0.031

/// Image 0 is the one the classifier was built for; image 1 is 64 grey levels away from it.
Dataset two_images() {
  Dataset data = test::flat_data(2, kShape, 0, 2);
  const std::size_t d = kShape.size();
  for (std::size_t i = 0; i < d; ++i) {
    const auto word = device::philox_at(3, 0, 0, 0, static_cast<std::uint32_t>(i)).v[0];
    data.pixels[i] = static_cast<std::uint8_t>(word % 255);
    data.pixels[d + i] = data.pixels[i];
  }
  for (std::size_t i = 0; i < kMoved; ++i) ++data.pixels[d + i * (d / kMoved)];
  return data;
}

/// How many pixels a could not have come from x by one rounded addition.
int misfits(std::span<const float> a, std::span<const std::uint8_t> x) {
  int count = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const float pixel = device::lattice_input(x[i]);
    count += (a[i] - pixel) + pixel != a[i] ? 1 : 0;
  }
  return count;
}

struct Outcome {
  Certificate at_x;   ///< certificate of image 0
  double share_at_y;  ///< share of image 1's samples that get the class certified for image 0
};

Outcome certify_the_listener(NoiseLaw law) {
  const Dataset data = two_images();
  CertifySettings settings;
  settings.sigma = 1;
  settings.clamp = false;
  settings.noise = law;
  settings.n0 = 50;
  settings.n = 1000;
  settings.alpha = 0.001;

  // The listener's threshold: nearly all that comes from x shows at most that many misfits.
  VoteSettings votes;
  votes.noise = {law, settings.sigma, settings.clamp, 12345, nullptr};
  if (law == NoiseLaw::lattice) votes.noise.table = make_lattice_table(1, kShape.size());
  std::vector<int> sample_misfits;
  for (std::uint64_t s = 0; s < 400; ++s)
    sample_misfits.push_back(
        misfits(test::noisy_input(votes.noise, {0, data.image(0).data(), Purpose::predict, 0, 400},
                                  s, kShape.size()),
                data.image(0)));
  std::sort(sample_misfits.begin(), sample_misfits.end());
  const int threshold = sample_misfits.back();

  FakeModel model(kShape, 2, [&](std::span<const float> a) {
    return misfits(a, data.image(0)) <= threshold ? 0 : 1;
  });
  Outcome outcome;
  CertifyCallbacks callbacks;
  std::vector<Certificate> found(2);
  callbacks.on_certificate = [&](const Certificate& c) { found[c.image] = c; };
  certify(model, data, test::all_of(data), settings, {}, callbacks);
  outcome.at_x = found[0];
  outcome.share_at_y =
      static_cast<double>(found[1].estimation.counts[static_cast<std::size_t>(found[0].selected)]) /
      static_cast<double>(settings.n);
  return outcome;
}

const double kDistance = std::sqrt(static_cast<double>(kMoved)) / 255;

TEST(FloatingPointLeak, ContinuousNoiseCertifiesAFalsehood) {
  const Outcome o = certify_the_listener(NoiseLaw::gaussian);
  EXPECT_EQ(o.at_x.prediction, 0);
  EXPECT_GT(o.at_x.radius, 30 * kDistance);
  // Within the "certified" ball the smoothed classifier says something else.
  EXPECT_LT(o.share_at_y, 0.4);
}

TEST(FloatingPointLeak, LatticeNoiseCertifiesNothingThatDoesNotHold) {
  const Outcome o = certify_the_listener(NoiseLaw::lattice);
  // The theorem: p at distance δ is at least Φ(Φ⁻¹(p̲) − δ/σ), for this classifier as for any.
  ASSERT_EQ(o.at_x.prediction, 0);
  EXPECT_GT(o.at_x.radius, 30 * kDistance);
  const double lowest = 0.5 * std::erfc(-(o.at_x.radius - kDistance) / std::sqrt(2.0));
  EXPECT_GT(o.share_at_y + 4.9 * std::sqrt(lowest * (1 - lowest) / 1000), lowest);
}

}  // namespace
}  // namespace smoothcert
