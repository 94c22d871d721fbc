// Answers about the k likeliest classes and distances to classes, as commands and reports show
// them.
#include "smoothcert/more_certificates.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "smoothcert/class_bounds.hpp"
#include "smoothcert/error.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using ::testing::HasSubstr;

const BoundSettings kBounds{0.5, 0.001};

// Class 0 was selected.
Certificate of_votes(std::vector<std::uint64_t> votes, Label label) {
  std::vector<std::uint64_t> selection(votes.size(), 0);
  selection[0] = 100;
  return make_certificate(0, label, {selection, 0}, {std::move(votes), 0}, kBounds);
}

TEST(TopKCertificate, AtOneIsTheCertificate) {
  const Certificate c = of_votes({900, 80, 20}, 0);
  const Certificate answer = top_k_certificate(c, {}, kBounds);
  EXPECT_EQ(answer.radius, c.radius);
  EXPECT_EQ(answer.prediction, 0);
  EXPECT_DOUBLE_EQ(answer.p_lower, c.p_lower);
  EXPECT_GT(c.radius, 0);
}

// A label that came second has no certificate, and stays among the two likeliest all the same.
TEST(TopKCertificate, OfTheLabelIsAStatementOfItsOwn) {
  const Certificate c = of_votes({520, 470, 10}, 1);
  const Certificate selected =
      top_k_certificate(c, {2, TopKOf::selected, TopKFrom::share}, kBounds);
  const Certificate label = top_k_certificate(c, {2, TopKOf::label, TopKFrom::share}, kBounds);
  EXPECT_EQ(c.prediction, -1);
  EXPECT_EQ(selected.radius, top_k_radius(520, 1000, 2, kBounds));
  EXPECT_FALSE(selected.correct());
  EXPECT_EQ(label.selected, 1);
  EXPECT_TRUE(label.correct());
  EXPECT_EQ(label.radius, top_k_radius(470, 1000, 2, kBounds));
  EXPECT_GT(label.radius, 0);
}

TEST(TopKCertificate, FromAllCountsSharesAlpha) {
  const Certificate c = of_votes({700, 200, 60, 40}, 1);
  for (const TopKOf of : {TopKOf::selected, TopKOf::label}) {
    const std::size_t chosen = of == TopKOf::label ? 1 : 0;
    const ClassBounds bounds = class_bounds(c.estimation.counts, 0, chosen, kBounds);
    for (const std::uint32_t k : {1u, 2u, 3u}) {
      const Certificate answer = top_k_certificate(c, {k, of, TopKFrom::counts}, kBounds);
      EXPECT_EQ(answer.radius, top_k_radius(bounds, k, kBounds));
      EXPECT_EQ(answer.prediction, answer.radius > 0 ? static_cast<int>(chosen) : -1);
      EXPECT_LE(answer.p_lower, 1 - bounds.q_chosen);
    }
  }
  // The rivals are known to be weak: more than the share alone says, for the same votes.
  EXPECT_GT(top_k_certificate(c, {2, TopKOf::label, TopKFrom::counts}, kBounds).radius,
            top_k_certificate(c, {2, TopKOf::label, TopKFrom::share}, kBounds).radius);
}

TEST(TopKCertificate, RefusesWhatMakesNoSense) {
  const Certificate c = of_votes({900, 80, 20}, 0);
  EXPECT_THAT(error_of([&] { top_k_certificate(c, {3}, kBounds); }),
              HasSubstr("top-3: of 3 classes, k is 1 … 2"));
  EXPECT_THROW(top_k_certificate(c, {0}, kBounds), UsageError);
  EXPECT_THAT(error_of([&] {
                top_k_certificate(of_votes({900, 80, 20}, 7), {2, TopKOf::label}, kBounds);
              }),
              HasSubstr("has label 7"));
  BoundSettings uniform = kBounds;
  uniform.law = NoiseLaw::uniform;
  uniform.width = 256;
  EXPECT_THAT(error_of([&] { top_k_certificate(c, {2}, uniform); }), HasSubstr("uniform noise"));
  EXPECT_EQ(to_text({5, TopKOf::label, TopKFrom::counts}),
            "top-5 radii of the label, from all counts");
}

TEST(LabelDistances, AreMediansOverTheImagesOfALabel) {
  std::vector<Certificate> all = {of_votes({950, 40, 10}, 0), of_votes({990, 0, 10}, 0),
                                  of_votes({1000, 0, 0}, 0), of_votes({900, 80, 20}, 2)};
  const auto distances = distances_by_label(all, kBounds);
  ASSERT_EQ(distances.size(), 2u);
  EXPECT_EQ(distances[0].label, 0);
  EXPECT_EQ(distances[0].images, 3u);
  const auto middle =
      class_distances(class_bounds(all[1].estimation.counts, 0, 0, kBounds), kBounds);
  const auto first =
      class_distances(class_bounds(all[0].estimation.counts, 0, 0, kBounds), kBounds);
  const auto last = class_distances(class_bounds(all[2].estimation.counts, 0, 0, kBounds), kBounds);
  ASSERT_LT(first[1], middle[1]);
  ASSERT_LT(middle[1], last[1]);
  EXPECT_EQ(distances[0].median[0], 0);
  EXPECT_EQ(distances[0].median[1], middle[1]);
  EXPECT_EQ(distances[0].median[2], std::min(middle[2], std::max(first[2], middle[2])));
  // The third image's label was not what was selected.
  EXPECT_EQ(distances[1].label, 2);
  EXPECT_THAT(distances[1].median, ::testing::Each(0));
}

}  // namespace
}  // namespace smoothcert
