// PREDICT and the figures that a summary reads off certificates.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "fake_model_support.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/statistics.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/summary.hpp"

namespace smoothcert {
namespace {

using test::all_of;
using test::FakeModel;
using test::flat_data;

constexpr ImageShape kOnePixel{1, 1, 1};

CertifySettings settings_of(std::uint64_t n) {
  CertifySettings settings;
  settings.sigma = 0.25;
  settings.n0 = 1;
  settings.n = n;
  settings.alpha = 0.05;
  settings.clamp = false;
  return settings;
}

std::vector<Prediction> predictions(FakeModel& model, const Dataset& data,
                                    const CertifySettings& settings) {
  std::vector<Prediction> all;
  predict(model, data, all_of(data), settings, [&](const Prediction& p) { all.push_back(p); }, {});
  return all;
}

TEST(Predict, UsesItsOwnPurposeAndAllSamples) {
  const Dataset data = flat_data(4, kOnePixel, 100, 2);
  FakeModel model(kOnePixel, 2, [](std::span<const float> x) { return x[0] > 0.5f ? 1 : 0; });
  for (const Prediction& p : predictions(model, data, settings_of(1001))) {
    EXPECT_EQ(p.counts.counts[0] + p.counts.counts[1], 1001u);
    EXPECT_EQ(p.prediction, 0);  // margin 27.5 of s = 63.75: p = 0.67
    EXPECT_EQ(p.p_value, binomial_test_two_sided(p.counts.counts[0], 1001));
  }
  for (const VoteJob& job : model.jobs_seen) EXPECT_EQ(job.purpose, Purpose::predict);
}

// With two equally likely classes any answer is wrong to one of them: at most α answers at all.
TEST(Predict, AbstainsOnACoinFlipAsOftenAsAlphaAllows) {
  const Dataset data = flat_data(4000, kOnePixel, 128, 2);
  FakeModel model(kOnePixel, 2, [](std::span<const float> x) {
    return static_cast<int>(std::lround(x[0] * 255)) & 1;
  });
  int answers = 0;
  for (const Prediction& p : predictions(model, data, settings_of(100)))
    answers += p.prediction >= 0 ? 1 : 0;
  EXPECT_LE(answers, 200 + 4.9 * std::sqrt(4000 * 0.05 * 0.95));
  EXPECT_GE(answers, 60);  // P(two-sided p ≤ 0.05) = 0.035 at n = 100: the test is not idle
}

TEST(Predict, InvalidAnswersAreARivalOfTheirOwn) {
  const Dataset data = flat_data(20, kOnePixel, 128, 2);
  // Half of the samples have no valid answer, the others say 1.
  FakeModel half(kOnePixel, 2, [](std::span<const float> x) {
    return (static_cast<int>(std::lround(x[0] * 255)) & 1) != 0 ? -1 : 1;
  });
  int answers = 0;
  for (const Prediction& p : predictions(half, data, settings_of(1000)))
    answers += p.prediction >= 0 ? 1 : 0;
  EXPECT_LE(answers, 6);
  FakeModel never(kOnePixel, 2, [](std::span<const float>) { return -1; });
  for (const Prediction& p : predictions(never, data, settings_of(1000))) {
    EXPECT_EQ(p.prediction, -1);
    EXPECT_EQ(p.counts.invalid, 1000u);
  }
}

TEST(Predict, StopsWhenAsked) {
  const Dataset data = flat_data(4, kOnePixel, 128, 2);
  FakeModel model(kOnePixel, 2, [](std::span<const float>) { return 0; });
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(predict(
                   model, data, all_of(data), settings_of(100), [](const Prediction&) {}, {},
                   stop.get_token()),
               Interrupted);
}

Certificate certificate(int label, int prediction, double radius) {
  Certificate c;
  c.label = static_cast<Label>(label);
  c.prediction = prediction;
  c.radius = radius;
  return c;
}

TEST(Summarise, TheThreeAverages) {
  const std::vector<Certificate> all = {certificate(1, 1, 2.0), certificate(1, 2, 3.0),
                                        certificate(0, -1, 0), certificate(0, 0, 1.0)};
  const Summary s = summarise(all);
  EXPECT_EQ(s.images, 4u);
  EXPECT_EQ(s.abstained, 1u);
  EXPECT_EQ(s.wrong, 1u);
  EXPECT_EQ(s.correct_certified, 2u);
  EXPECT_DOUBLE_EQ(s.avg_radius_certified, 2.0);
  EXPECT_DOUBLE_EQ(s.avg_radius_correct, 1.5);
  EXPECT_DOUBLE_EQ(s.acr, 0.75);
  // values 2, 0, 0, 1: sample variance 11/12
  EXPECT_DOUBLE_EQ(s.acr_standard_error, std::sqrt(11.0 / 12 / 4));
  EXPECT_EQ(certified_accuracy(all, 0), 0.5);
  EXPECT_EQ(certified_accuracy(all, 1.0), 0.5);
  EXPECT_EQ(certified_accuracy(all, 1.0001), 0.25);
  EXPECT_EQ(certified_accuracy(all, 2.5), 0);
}

TEST(Summarise, NothingIsZero) {
  const Summary s = summarise({});
  EXPECT_EQ(s.images, 0u);
  EXPECT_EQ(s.acr, 0);
  EXPECT_EQ(certified_accuracy({}, 0), 0);
}

TEST(SpacedIndices, EveryNth) {
  EXPECT_EQ(spaced_indices(10, 1, 4, 100), (std::vector<std::uint32_t>{1, 5, 9}));
  EXPECT_EQ(spaced_indices(10, 0, 1, 3), (std::vector<std::uint32_t>{0, 1, 2}));
  EXPECT_TRUE(spaced_indices(10, 10, 1, 3).empty());
  EXPECT_EQ(spaced_indices(10, 3, std::numeric_limits<std::size_t>::max(), 3),
            (std::vector<std::uint32_t>{3}));
  EXPECT_THROW(spaced_indices(10, 0, 0, 3), UsageError);
}

}  // namespace
}  // namespace smoothcert
