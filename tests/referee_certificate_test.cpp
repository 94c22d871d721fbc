// What a sceptical referee would run: certificates of classifiers whose truth is known in closed
// form, on the noise as it is drawn.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "fake_model_support.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

using test::all_of;
using test::FakeModel;
using test::flat_data;

constexpr ImageShape kOnePixel{1, 1, 1};

CertifySettings settings_of(double sigma, std::uint64_t n0, std::uint64_t n, double alpha) {
  CertifySettings settings;
  settings.sigma = sigma;
  settings.n0 = n0;
  settings.n = n;
  settings.alpha = alpha;
  settings.seed = 2019;
  settings.clamp = false;
  return settings;
}

std::vector<Certificate> certificates(FakeModel& model, const Dataset& data,
                                      const CertifySettings& settings) {
  std::vector<Certificate> found(data.size());
  CertifyCallbacks callbacks;
  callbacks.on_certificate = [&](const Certificate& c) { found[c.image] = c; };
  certify(model, data, all_of(data), settings, {}, callbacks);
  return found;
}

int level(float x) { return static_cast<int>(std::lround(x * 255)); }

/// Class 0 at or below `threshold`, else 1.
FakeModel::Classifier half_line(int threshold) {
  return [threshold](std::span<const float> x) { return level(x[0]) <= threshold ? 0 : 1; };
}

/// P(N ≤ margin) for the rounded Gaussian.
double exact_share(int margin, double sigma) {
  return 0.5 * std::erfc(-(margin + 0.5) / (255 * sigma) / std::sqrt(2.0));
}

TEST(Referee, OnePixelHalfSpaceHasTheExactShare) {
  for (const bool clamp : {false, true})
    for (const double sigma : {0.25, 1.0})
      for (const int margin : {-20, 0, 1, 40, 100}) {
        const Dataset data = flat_data(1, kOnePixel, 100, 2);
        FakeModel model(kOnePixel, 2, half_line(100 + margin));
        auto settings = settings_of(sigma, 1, 100003, 0.001);
        settings.clamp = clamp;  // the threshold lies within [0, 255): clamping changes nothing
        const Certificate c = certificates(model, data, settings).at(0);
        const double n = 100003, p = exact_share(margin, sigma);
        const double share = static_cast<double>(c.estimation.counts[0]) / n;
        EXPECT_LT(std::fabs(share - p) / std::sqrt(p * (1 - p) / n), 4.9)
            << "sigma " << sigma << " margin " << margin;
        EXPECT_EQ(c.estimation.counts[0] + c.estimation.counts[1] + c.estimation.invalid, 100003u);
      }
}

// Class 0 where w·v ≤ b. w·N is symmetric about 0, so the smoothed classifier answers 0 exactly
// where the margin m = b − w·v is ≥ 0, and the nearest lattice image with another answer is at
// least (m + 1)/‖w‖ grey levels away.
TEST(Referee, HalfSpaceRadiusIsNeverBeyondTheTrueDistance) {
  constexpr ImageShape kShape{1, 2, 4};
  double ratio_sum = 0;
  int certified = 0;
  for (std::uint32_t trial = 0; trial < 60; ++trial) {
    const auto words = device::philox_at(7, 0, trial, 0, 0);
    int weight[8], norm2 = 0, at = 0;
    Dataset data = flat_data(1, kShape, 0, 2);
    for (std::size_t i = 0; i < 8; ++i) {
      weight[i] = static_cast<int>(words.v[i / 4] >> (8 * (i % 4)) & 7) - 3;
      data.pixels[i] = static_cast<std::uint8_t>(words.v[2 + i / 4] >> (8 * (i % 4)));
      norm2 += weight[i] * weight[i];
      at += weight[i] * data.pixels[i];
    }
    if (norm2 == 0) continue;
    const double norm = std::sqrt(norm2);
    const int margin = static_cast<int>(norm * (trial % 12) * 12);
    FakeModel model(kShape, 2, [&](std::span<const float> x) {
      int sum = 0;
      for (std::size_t i = 0; i < 8; ++i) sum += weight[i] * level(x[i]);
      return sum <= at + margin ? 0 : 1;
    });
    const Certificate c = certificates(model, data, settings_of(0.25, 20, 5000, 1e-6)).at(0);
    if (c.prediction != 0) continue;
    const double distance = (margin + 1) / norm / 255;
    EXPECT_LE(c.radius, distance) << "trial " << trial;
    ratio_sum += c.radius / distance;
    ++certified;
  }
  EXPECT_GE(certified, 30);
  EXPECT_GT(ratio_sum / certified, 0.75);  // and not by being idle
}

TEST(Referee, ConstantClassifierGivesTheCeilingRadius) {
  constexpr ImageShape kShape{1, 28, 28};
  const Dataset data = flat_data(1, kShape, 77, 3);
  FakeModel model(kShape, 3, [](std::span<const float>) { return 2; });
  const Certificate c = certificates(model, data, settings_of(1.0, 10, 2000, 0.001)).at(0);
  EXPECT_EQ(c.prediction, 2);
  EXPECT_EQ(c.estimation.counts[2], 2000u);
  const double delta = 784 * make_lattice_table(1.0, 784)->slack_per_pixel;
  EXPECT_GT(delta, 0);
  // Φ⁻¹(1 − q), q = 1 − α^(1/n) + δ, by bisection in long double.
  const long double q = -std::expm1(std::log(0.001L) / 2000) + static_cast<long double>(delta);
  long double low = 0, high = 10;
  for (int i = 0; i < 100; ++i) {
    const long double mid = (low + high) / 2;
    (std::erfc(mid / std::sqrt(2.0L)) / 2 > q ? low : high) = mid;
  }
  EXPECT_NEAR(c.radius / static_cast<double>(low), 1, 1e-12);
  EXPECT_LE(c.radius, static_cast<double>(low));
}

// Two classes of exactly ½: any certificate is false, and at most α of the images may have one.
TEST(Referee, RandomLabelsGetFalseCertificatesAtMostAlphaOften) {
  const Dataset data = flat_data(8000, kOnePixel, 128, 2);
  FakeModel model(kOnePixel, 2, [](std::span<const float> x) { return level(x[0]) & 1; });
  int falsely = 0;
  for (const Certificate& c : certificates(model, data, settings_of(0.25, 21, 200, 0.05)))
    falsely += c.prediction >= 0 ? 1 : 0;
  EXPECT_LE(falsely, 400 + 4.9 * std::sqrt(8000 * 0.05 * 0.95));
  EXPECT_GE(falsely, 160);  // P(Bin(200, ½) reaches the bound) = 0.038: the bound is not idle
}

// 20,000 certificates at α = 0.05: more than 1,150 wrong bounds would have probability 1e-6.
TEST(Referee, CoverageOfTwentyThousandCertificates) {
  constexpr std::size_t kImages = 20000;
  constexpr int kThreshold = 130;
  const double sigma = 0.25;
  Dataset data = flat_data(kImages, kOnePixel, 0, 2);
  for (std::size_t i = 0; i < kImages; ++i)
    data.pixels[i] = static_cast<std::uint8_t>(kThreshold - 1 - static_cast<int>(i % 120));
  FakeModel model(kOnePixel, 2, half_line(kThreshold));
  int wrong = 0, certified = 0, beyond = 0;
  for (const Certificate& c : certificates(model, data, settings_of(sigma, 15, 100, 0.05))) {
    const int margin = kThreshold - data.pixels[c.image];
    const double p0 = exact_share(margin, sigma);
    wrong += c.p_lower > (c.selected == 0 ? p0 : 1 - p0) ? 1 : 0;
    certified += c.prediction >= 0 ? 1 : 0;
    const double distance = (margin + 1) / 255.0;
    beyond += c.prediction == 0 && c.radius > distance ? 1 : 0;
    EXPECT_TRUE(c.prediction != 1 || c.radius < 0.2);
  }
  EXPECT_LE(wrong, 1150);
  EXPECT_LE(beyond, 1150);
  EXPECT_GE(wrong, 400);  // exact bounds at n = 100 err 2–5 % of the time: the level is α's
  EXPECT_GT(certified, 15000);
}

TEST(Referee, SmoothedAnswerHoldsInsideTheCertifiedRadius) {
  constexpr int kThreshold = 130;
  constexpr std::size_t kImages = 400;
  Dataset data = flat_data(kImages, kOnePixel, 0, 2);
  for (std::size_t i = 0; i < kImages; ++i)
    data.pixels[i] = static_cast<std::uint8_t>(kThreshold - 1 - static_cast<int>(i % 100));
  FakeModel model(kOnePixel, 2, half_line(kThreshold));
  const auto settings = settings_of(0.25, 100, 1000, 0.05);
  Dataset moved = data;
  std::map<std::uint32_t, int> claimed;
  for (const Certificate& c : certificates(model, data, settings)) {
    if (c.prediction != 0) continue;
    claimed[c.image] = c.prediction;
    const int steps = static_cast<int>(std::floor(c.radius * 255 * (1 - 1e-12)));
    moved.pixels[c.image] = static_cast<std::uint8_t>(
        std::min(255, moved.pixels[c.image] + steps));  // straight at the boundary
  }
  ASSERT_GT(claimed.size(), 300u);
  int flipped = 0;
  predict(model, moved, all_of(moved), settings,
          [&](const Prediction& p) {
            const auto claim = claimed.find(p.image);
            if (claim != claimed.end() && p.prediction >= 0 && p.prediction != claim->second)
              ++flipped;
          },
          {});
  const double n = static_cast<double>(claimed.size());
  EXPECT_LE(flipped, n * 0.05 + 4.9 * std::sqrt(n * 0.05 * 0.95));
}

}  // namespace
}  // namespace smoothcert
