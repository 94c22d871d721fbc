// What certificates say beyond averages: against values worked out by hand.
#include "smoothcert/analysis.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;

Certificate certificate(std::uint32_t image, int label, int prediction, double radius,
                        double p_lower = 0.9) {
  Certificate c;
  c.image = image;
  c.label = static_cast<std::uint8_t>(label);
  c.selected = prediction < 0 ? 0 : prediction;
  c.prediction = prediction;
  c.radius = radius;
  c.p_lower = p_lower;
  return c;
}

TEST(Analysis, OneImageHasNoInterval) {
  Summary s;
  s.images = 1;
  s.acr = 0.5;
  EXPECT_EQ(acr_text(s), "0.5000 ± –");
  EXPECT_EQ(acr_text({}), "–");
  s.images = 400;
  s.acr_standard_error = 0.01;
  EXPECT_EQ(acr_text(s), "0.5000 ± 0.0196");
}

TEST(Analysis, ByLabel) {
  const std::vector<Certificate> all = {certificate(0, 3, 3, 1.0), certificate(1, 3, 3, 0.4),
                                        certificate(2, 3, 7, 2.0), certificate(3, 3, -1, 0),
                                        certificate(4, 7, 7, 0.5)};
  const auto labels = summarise_by_label(all, 0.5);
  ASSERT_EQ(labels.size(), 2u);
  EXPECT_EQ(labels[0].label, 3);
  EXPECT_EQ(labels[0].images, 4u);
  EXPECT_EQ(labels[0].correct_certified, 2u);
  EXPECT_EQ(labels[0].wrong, 1u);
  EXPECT_EQ(labels[0].abstained, 1u);
  EXPECT_EQ(labels[0].reached, 1u);
  EXPECT_DOUBLE_EQ(labels[0].acr, 1.4 / 4);
  // Clopper–Pearson for 1 of 4: BetaInv(0.025; 1, 4) and BetaInv(0.975; 2, 3).
  EXPECT_NEAR(labels[0].interval.low, 0.006309, 1e-6);
  EXPECT_NEAR(labels[0].interval.high, 0.805880, 1e-6);
  EXPECT_EQ(labels[1].reached, 1u);
  EXPECT_DOUBLE_EQ(labels[1].interval.high, 1);
}

TEST(Analysis, DistributionOfBounds) {
  std::vector<Certificate> all;
  for (int i = 0; i < 10; ++i)
    all.push_back(certificate(static_cast<std::uint32_t>(i), 0, 0, 0, (i + 1) / 10.0));
  EXPECT_THAT(share_of_bounds_below(all, std::vector{0.0, 0.35, 0.5, 1.1}),
              ElementsAre(0, 0.3, 0.4, 1));
  EXPECT_EQ(bound_quantile(all, 0), 0.1);
  EXPECT_EQ(bound_quantile(all, 0.5), 0.5);
  EXPECT_EQ(bound_quantile(all, 1), 1.0);
  EXPECT_EQ(bound_quantile({}, 0.5), 0);
}

TEST(Analysis, AConstantClassifierIsSeen) {
  std::vector<Certificate> constant, honest;
  for (std::uint32_t i = 0; i < 100; ++i) {
    const int label = static_cast<int>(i % 10);
    constant.push_back(certificate(i, label, 8, 3));
    honest.push_back(certificate(i, label, i % 7 == 0 ? -1 : label, 1));
  }
  const Constancy c = constancy(constant);
  EXPECT_EQ(c.favourite, 8);
  EXPECT_EQ(c.share, 1);
  EXPECT_EQ(c.label_share, 0.1);
  EXPECT_TRUE(c.nearly_constant());
  EXPECT_FALSE(constancy(honest).nearly_constant());
  EXPECT_FALSE(constancy({}).nearly_constant());
  // One label only: always the same answer is then right, not constant.
  std::vector<Certificate> one;
  for (std::uint32_t i = 0; i < 10; ++i) one.push_back(certificate(i, 4, 4, 1));
  EXPECT_FALSE(constancy(one).nearly_constant());
}

TEST(Analysis, WorstAreWrongWithTheLargestRadius) {
  const std::vector<Certificate> all = {certificate(0, 1, 2, 0.1), certificate(1, 1, 1, 9),
                                        certificate(2, 1, -1, 0), certificate(3, 1, 0, 0.7),
                                        certificate(4, 1, 5, 0.7)};
  EXPECT_THAT(worst_certificates(all, 2), ElementsAre(3, 4));
  EXPECT_THAT(worst_certificates(all, 9), ElementsAre(3, 4, 0));
}

/// `b` images that only the first certifies at 0.5, `c` that only the second does, `same` alike.
PairedComparison pair_of(int b, int c, int same) {
  std::vector<Certificate> first, second;
  for (int i = 0; i < b + c + same; ++i) {
    const auto image = static_cast<std::uint32_t>(i);
    first.push_back(
        certificate(image, 0, i < b || i >= b + c ? 0 : -1, i < b || i >= b + c ? 1 : 0));
    second.push_back(certificate(image, 0, i < b ? -1 : 0, i < b ? 0 : 1));
  }
  return compare_paired(first, second, 0.5);
}

TEST(Paired, McNemarIsTheExactBinomialTest) {
  const PairedComparison p = pair_of(9, 1, 5);
  EXPECT_EQ(p.images, 15u);
  EXPECT_EQ(p.only_first, 9u);
  EXPECT_EQ(p.only_second, 1u);
  EXPECT_EQ(p.both, 5u);
  EXPECT_EQ(p.neither, 0u);
  EXPECT_NEAR(p.mcnemar_p, 22.0 / 1024, 1e-12);  // 2·(10 + 1)/2^10
  EXPECT_DOUBLE_EQ(p.acr_difference, 8.0 / 15);
  EXPECT_EQ(pair_of(0, 0, 4).mcnemar_p, 1);
  EXPECT_EQ(pair_of(3, 3, 0).mcnemar_p, 1);
  // The same pairs the other way round.
  EXPECT_NEAR(pair_of(1, 9, 5).mcnemar_p, p.mcnemar_p, 1e-12);
  EXPECT_DOUBLE_EQ(pair_of(1, 9, 5).acr_difference, -p.acr_difference);
}

TEST(Paired, PermutationAgreesWithAllSignPatterns) {
  // Differences 1, 2, 4, 8, −1: count the patterns of 2^5 whose sum is as far from 0 as 14.
  const double d[] = {1, 2, 4, 8, -1};
  std::vector<Certificate> first, second;
  for (std::uint32_t i = 0; i < 5; ++i) {
    first.push_back(certificate(i, 0, 0, 10 + d[i]));
    second.push_back(certificate(i, 0, 0, 10));
  }
  int as_far = 0;
  for (int signs = 0; signs < 32; ++signs) {
    double sum = 0;
    for (int i = 0; i < 5; ++i) sum += (signs >> i & 1) != 0 ? d[i] : -d[i];
    as_far += std::abs(sum) >= 14;
  }
  const PairedComparison p = compare_paired(first, second, 0);
  EXPECT_THAT(p.permutation_p, DoubleNear(as_far / 32.0, 0.015));
  EXPECT_EQ(p.permutation_p, compare_paired(first, second, 0).permutation_p);
  EXPECT_DOUBLE_EQ(p.acr_difference, 14.0 / 5);
  // Σ(d − 2.8)² = 46.8 over five differences.
  EXPECT_NEAR(p.acr_half_width, kStandardErrors95 * std::sqrt(46.8 / 4 / 5), 1e-12);
}

TEST(Paired, TestsHoldTheirLevelWhereNothingDiffers) {
  std::mt19937_64 random(7);
  int mcnemar = 0, permutation = 0, missed = 0;
  constexpr int kTrials = 300;
  for (int trial = 0; trial < kTrials; ++trial) {
    std::vector<Certificate> first, second;
    for (std::uint32_t i = 0; i < 40; ++i) {
      const auto draw = [&] {
        const double r = static_cast<double>(random() >> 11) * 0x1p-53;
        return r < 0.3 ? certificate(i, 0, -1, 0) : certificate(i, 0, 0, r * r * 3);
      };
      first.push_back(draw());
      second.push_back(draw());
    }
    const PairedComparison p = compare_paired(first, second, 0.5);
    mcnemar += p.mcnemar_p <= 0.05;
    permutation += p.permutation_p <= 0.05;
    missed += std::abs(p.acr_difference) > p.acr_half_width;
  }
  // 5 % of 300 is 15; four standard errors above are 30.
  EXPECT_LE(mcnemar, 30);
  EXPECT_LE(permutation, 30);
  EXPECT_LE(missed, 33);  // the interval is asymptotic
  EXPECT_GE(permutation, 3);
}

TEST(Paired, OnlyCommonImagesOfOneLabelling) {
  const std::vector<Certificate> a = {certificate(0, 1, 1, 1), certificate(2, 1, 1, 1),
                                      certificate(5, 1, 1, 1)};
  const std::vector<Certificate> b = {certificate(1, 1, 1, 1), certificate(2, 1, 1, 2),
                                      certificate(5, 1, -1, 0), certificate(9, 1, 1, 1)};
  EXPECT_EQ(compare_paired(a, b, 0).images, 2u);
  EXPECT_EQ(compare_paired(a, {}, 0).images, 0u);
  EXPECT_EQ(compare_paired(a, {}, 0).permutation_p, 1);
  const std::span<const Certificate> runs[] = {a, b};
  EXPECT_THAT(common_images(runs), ElementsAre(2, 5));
  EXPECT_EQ(restricted_to(b, common_images(runs)).size(), 2u);
  std::vector<Certificate> other = b;
  other[1].label = 3;
  EXPECT_THROW(compare_paired(a, other, 0), Error);
}

TEST(Paired, HolmAdjustsForTheNumberOfQuestions) {
  EXPECT_THAT(
      holm_adjusted(std::vector{0.01, 0.04, 0.03}),
      ElementsAre(DoubleNear(0.03, 1e-12), DoubleNear(0.06, 1e-12), DoubleNear(0.06, 1e-12)));
  EXPECT_THAT(holm_adjusted(std::vector{0.9, 0.8}), ElementsAre(1, 1));
  EXPECT_TRUE(holm_adjusted({}).empty());
}

}  // namespace
}  // namespace smoothcert
