// δ in the radii: what is lost on the way from the executed law to the ideal one at x, and back at
// x'. Coarse values of δ, where it shows.
#include <gtest/gtest.h>

#include <boost/math/distributions/normal.hpp>
#include <boost/multiprecision/cpp_dec_float.hpp>
#include <cmath>
#include <fstream>

#include "places_support.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {
namespace {

using Digits = boost::multiprecision::cpp_dec_float_50;
using boost::math::cdf;
using boost::math::quantile;
const boost::math::normal_distribution<long double> kNormal;

TEST(NoiseSlack, RadiiAreNeverAboveFortyDigitsAndCloseToThem) {
  std::ifstream in(test::source_folder().string() + "/tests/golden/slack_radii_40_digits.tsv");
  double q_a = 0, p_b = 0, slack = 0;
  std::string complement, counted;
  int rows = 0, none = 0;
  const auto compare = [&](double radius, const std::string& exact, double sigma) {
    const std::string where = std::to_string(q_a) + " " + std::to_string(p_b) + " at delta " +
                              std::to_string(slack) + " sigma " + std::to_string(sigma);
    if (exact == "-") {
      EXPECT_EQ(radius, 0) << where;
      ++none;
      return;
    }
    EXPECT_LE(Digits(radius), Digits(exact) * Digits(sigma)) << where;
    EXPECT_GE(Digits(radius), Digits(exact) * Digits(sigma) - Digits("2e-11")) << where;
  };
  while (in >> q_a >> p_b >> slack >> complement >> counted) {
    for (const double sigma : {1.0, 0.12}) {
      compare(complement_radius(q_a, sigma, slack), complement, sigma);
      compare(counted_radius(q_a, p_b, sigma, slack), counted, sigma);
    }
    ++rows;
  }
  EXPECT_EQ(rows, 282);
  EXPECT_GT(none, 50);
}

// The worst that δ can do: a half-space whose share the executed law raises by δ at x and lowers by
// δ at x'. A certificate that spends δ at x alone is false here, one that spends it twice is exact.
TEST(NoiseSlack, IsNeededAtBothEndsAndNoMore) {
  const double sigma = 0.5;
  for (const double slack : {1e-6, 1e-3, 0.02, 0.1}) {
    const double ideal = 0.9;      // share of the half-space at x under the ideal law
    const double q_a = 1 - ideal;  // from the executed share ideal + δ, less δ
    const auto executed_share = [&](double r) {
      return cdf(kNormal, quantile(kNormal, static_cast<long double>(ideal)) - r / sigma) - slack;
    };
    const double once = complement_radius(q_a, sigma), twice = complement_radius(q_a, sigma, slack);
    EXPECT_LT(executed_share(once), 0.5L) << slack;
    EXPECT_GE(executed_share(twice), 0.5L) << slack;
    EXPECT_LT(executed_share(twice + 1e-9), 0.5L) << slack;
  }
}

// The same for two classes: the executed law takes δ from A and gives it to B at x'.
TEST(NoiseSlack, CountedBoundsSpendItTwiceToo) {
  for (const double slack : {1e-6, 1e-3, 0.02})
    for (const auto& [p_a, p_b] :
         {std::pair{0.9, 0.05}, std::pair{0.5, 0.2}, std::pair{0.4, 0.3}}) {
      const auto lead = [p_a = p_a, p_b = p_b, slack](double r) {
        return cdf(kNormal, quantile(kNormal, static_cast<long double>(p_a)) - r) -
               cdf(kNormal, quantile(kNormal, static_cast<long double>(p_b)) + r) - 2 * slack;
      };
      const double once = counted_radius(1 - p_a, p_b, 1),
                   twice = counted_radius(1 - p_a, p_b, 1, slack);
      EXPECT_LT(lead(once), 0) << slack << " " << p_a;
      EXPECT_GE(lead(twice), -1e-15) << slack << " " << p_a;
      EXPECT_LT(lead(twice + 1e-9), 0) << slack << " " << p_a;
    }
}

TEST(NoiseSlack, OfBothBoundsAgreesWithTheComplementWhereTheyMirror) {
  for (const double q : {1e-9, 0.001, 0.2, 0.4})
    for (const double slack : {1e-12, 1e-6, 1e-3, 0.05})
      EXPECT_NEAR(counted_radius(q, q, 0.5, slack), complement_radius(q, 0.5, slack), 1e-10)
          << q << " " << slack;
}

TEST(NoiseSlack, RadiiFallAsItGrowsAndEndAtZero) {
  double last = 1e9, last_counted = 1e9;
  for (const double slack : {0.0, 1e-300, 1e-15, 1e-12, 1e-9, 1e-6, 1e-3, 0.03, 0.1, 0.2}) {
    const double radius = complement_radius(0.25, 1, slack);
    const double counted = counted_radius(0.25, 0.1, 1, slack);
    EXPECT_LE(radius, last) << slack;
    EXPECT_LE(counted, last_counted) << slack;
    last = radius;
    last_counted = counted;
  }
  EXPECT_EQ(complement_radius(0.25, 1, 0.25), 0);
  EXPECT_EQ(complement_radius(0.25, 1, 0.7), 0);
  EXPECT_EQ(counted_radius(0.25, 0.1, 1, 0.35), 0);
  for (const double slack : {-1e-9, 1.0, std::nan("")}) {
    EXPECT_THROW(complement_radius(0.1, 1, slack), UsageError);
    EXPECT_THROW(counted_radius(0.1, 0.1, 1, slack), UsageError);
  }
}

// p̲ may exceed ½ by less than 2δ: then there is no radius, and no answer either.
TEST(NoiseSlack, AbstentionFollowsTheRadius) {
  const StageCounts selection{{1, 0}, 0}, estimation{{580, 420}, 0};  // p̲ = 0.5534 at 0.05
  const auto at = [&](double slack, SecondBound p_b) {
    return make_certificate(0, 0, selection, estimation, {1, 0.05, slack, p_b});
  };
  for (const SecondBound p_b : {SecondBound::complement, SecondBound::counted}) {
    EXPECT_EQ(at(0, p_b).prediction, 0);
    EXPECT_EQ(at(0.02, p_b).prediction, 0);
    const Certificate none = at(0.03, p_b);
    EXPECT_GT(none.p_lower, p_b == SecondBound::complement ? 0.5 : 0.49);
    EXPECT_EQ(none.prediction, -1);
    EXPECT_EQ(none.radius, 0);
  }
}

TEST(DrawnSigma, EntersTheRadiusOfContinuousNoise) {
  CertifySettings settings;
  settings.noise = NoiseLaw::gaussian;
  settings.sigma = 0.12;  // as a 32-bit number: 0.119999997
  const ImageShape shape{1, 28, 28};
  const double drawn = static_cast<double>(0.12f);
  EXPECT_LT(drawn, 0.12);
  EXPECT_EQ(bound_settings(settings, shape).sigma, drawn);
  const VoteSplit votes{990, 10, 1000};
  const double radius = bound_votes(votes, bound_settings(settings, shape)).radius;
  EXPECT_EQ(radius, bound_votes(votes, {drawn, settings.alpha}).radius);
  EXPECT_LT(radius, bound_votes(votes, {0.12, settings.alpha}).radius);
  EXPECT_EQ(ceiling_radius(settings, shape),
            bound_votes({settings.n, 0, settings.n}, {drawn, settings.alpha}).radius);
  settings.noise = NoiseLaw::lattice;  // the table holds σ itself
  EXPECT_EQ(bound_settings(settings, shape).sigma, 0.12);
  EXPECT_GT(bound_settings(settings, shape).slack, 0);
  for (const double sigma : {1e-50, 1e300}) {
    settings.noise = NoiseLaw::gaussian;
    settings.sigma = sigma;
    EXPECT_THROW(validate(settings), UsageError) << sigma;
  }
}

}  // namespace
}  // namespace smoothcert
