// Accuracy under attack, counted: losses, the worse of both, images without a gradient.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "linear_model_support.hpp"
#include "smoothcert/attack.hpp"

namespace smoothcert {
namespace {

using test::LinearModel;

/// Two classes on one pixel: class 1 where the pixel is above ½, by `slope`.
LinearModel threshold_model(float slope) { return {{1, 1, 1}, 2, {0, slope}, {0, -0.5f * slope}}; }

/// Pixels v/255 with their true class.
Dataset pixels_data(const std::vector<std::uint8_t>& pixels) {
  Dataset data;
  data.name = "pixels";
  data.shape = {1, 1, 1};
  data.classes = 2;
  data.pixels = pixels;
  for (const auto v : pixels) data.labels.push_back(v > 127 ? 1 : 0);
  return data;
}

std::vector<std::uint32_t> first(std::size_t count) {
  std::vector<std::uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  return indices;
}

AttackSpec linf(double epsilon) {
  auto spec = attack_from_name("linf");
  spec.epsilon = epsilon;
  return spec;
}

TEST(CleanAccuracy, IsTheShareOfTheIndices) {
  auto model = threshold_model(4);
  auto data = pixels_data({0, 50, 200, 255});
  EXPECT_EQ(clean_accuracy(model, data, first(4)), 1.0);
  data.labels[1] = 1;
  EXPECT_EQ(clean_accuracy(model, data, first(4)), 0.75);
  EXPECT_EQ(clean_accuracy(model, data, std::vector<std::uint32_t>{1}), 0.0);
}

TEST(AttackAccuracy, BreaksWhatIsWithinReach) {
  auto model = threshold_model(4);
  const auto data = pixels_data({0, 60, 120, 135, 200, 255});  // ½ is at 127.5
  const auto report = attack_accuracy(model, linf(0.1), data, first(6));
  EXPECT_EQ(report.images, 6u);
  EXPECT_EQ(report.correct_cross_entropy, 4u);
  EXPECT_EQ(report.correct_margin, 4u);
  EXPECT_EQ(report.correct_worst, 4u);
  EXPECT_EQ(report.zero_gradient, 0u);
  EXPECT_EQ(report.spec.epsilon, 0.1);
}

// Logits large enough drown the cross-entropy gradient of every confident image; the margin's
// stays. The figure to quote is the margin's, and the images are counted.
TEST(AttackAccuracy, RescaledLogitsFoolTheCrossEntropyOnly) {
  auto model = threshold_model(1000);
  const auto data = pixels_data({0, 60, 120, 135, 200, 255});
  const auto report = attack_accuracy(model, linf(0.6), data, first(6));
  EXPECT_EQ(report.zero_gradient, 4u);
  EXPECT_EQ(report.correct_cross_entropy, 4u);
  EXPECT_EQ(report.correct_margin, 0u);
  EXPECT_EQ(report.correct_worst, 0u);
}

// A classifier that answers one class everywhere cannot be attacked, whatever its gradients are: an
// image of NaN is no image. They are counted apart.
TEST(AttackAccuracy, NaNGradientsBreakNothing) {
  for (const char* name : {"l1", "l1-steepest", "l2", "linf", "pgd-l2", "pgd-linf"}) {
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      auto model = threshold_model(0);
      model.gradient = bad;
      const auto data = pixels_data({0, 60, 200, 255});  // right on two: ties go to class 0
      const auto report = attack_accuracy(model, attack_from_name(name), data, first(4));
      EXPECT_EQ(report.correct_worst, 2u) << name << bad;
      EXPECT_EQ(report.zero_gradient, 0u) << name << bad;
      if (std::isnan(bad)) {
        EXPECT_EQ(report.nan_gradient, 4u) << name;
      }
    }
  }
  auto model = threshold_model(4);
  EXPECT_EQ(attack_accuracy(model, linf(0.1), pixels_data({0, 255}), first(2)).nan_gradient, 0u);
}

TEST(AttackAccuracy, WorksInBatchesOfAThousand) {
  auto model = threshold_model(4);
  std::vector<std::uint8_t> pixels(2500);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i % 256);
  const auto data = pixels_data(pixels);
  const auto report = attack_accuracy(model, linf(0.099), data, first(2500));
  EXPECT_EQ(report.images, 2500u);
  EXPECT_EQ(model.largest_batch, 1000u);
  std::uint64_t expected = 0;
  for (const auto v : pixels) expected += v <= 102 || v >= 153 ? 1 : 0;  // 127.5 ± 25.2
  EXPECT_EQ(report.correct_worst, expected);
}

TEST(AttackAccuracy, StopsBetweenBatches) {
  auto model = threshold_model(4);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(attack_accuracy(model, linf(0.1), pixels_data({0}), first(1), stop.get_token()),
               Interrupted);
}

TEST(AttackAccuracy, RefusesWhatDoesNotFit) {
  auto model = threshold_model(4);
  const auto data = pixels_data({0, 255});
  EXPECT_THROW(clean_accuracy(model, data, {}), UsageError);
  EXPECT_THROW(clean_accuracy(model, data, std::vector<std::uint32_t>{2}), UsageError);
  auto wide = data;
  wide.shape = {1, 1, 2};
  EXPECT_THROW(clean_accuracy(model, wide, first(1)), UsageError);
}

}  // namespace
}  // namespace smoothcert
