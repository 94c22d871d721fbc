// Clopper–Pearson, radii and binomial tests against 40-digit tables.
#include "smoothcert/statistics.hpp"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_dec_float.hpp>
#include <cmath>
#include <fstream>
#include <sstream>

#include "places_support.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using Digits = boost::multiprecision::cpp_dec_float_50;

struct Reference {
  std::uint64_t k = 0, n = 0;
  double alpha = 0;
  Digits p, q, radius;
};

/// golden/clopper_pearson_40_digits.tsv: k, n, α, p̲, 1 − p̲, Φ⁻¹(p̲), computed with mpmath.
std::vector<Reference> references() {
  std::ifstream in(test::source_folder().string() + "/tests/golden/clopper_pearson_40_digits.tsv");
  std::vector<Reference> rows;
  std::string k, n, alpha, p, q, radius;
  while (in >> k >> n >> alpha >> p >> q >> radius)
    rows.push_back({std::stoull(k), std::stoull(n), std::stod(alpha), Digits(p), Digits(q),
                    radius == "-inf" ? Digits(-1e300) : Digits(radius)});
  return rows;
}

std::string label(const Reference& r) {
  return "k=" + std::to_string(r.k) + " n=" + std::to_string(r.n) +
         " alpha=" + std::to_string(r.alpha);
}

TEST(ClopperPearson, NeverAboveFortyDigitsAndWithin2e12) {
  const auto rows = references();
  ASSERT_EQ(rows.size(), 65u);
  for (const auto& row : rows) {
    const LowerBound bound = clopper_pearson_lower(row.k, row.n, row.alpha);
    EXPECT_GE(Digits(bound.q), row.q) << label(row);
    EXPECT_LE(Digits(bound.q), row.q * Digits("1.000000000002")) << label(row);
    EXPECT_LE(Digits(bound.p_lower), row.p) << label(row);
    EXPECT_GE(Digits(bound.p_lower), row.p - Digits("2e-12")) << label(row);
    for (const double sigma : {1.0, 0.25, 0.12}) {
      const double radius = complement_radius(bound.q, sigma);
      const Digits exact = row.radius * Digits(sigma);
      if (exact <= 0) {
        EXPECT_EQ(radius, 0) << label(row);
        continue;
      }
      EXPECT_LE(Digits(radius), exact) << label(row);
      EXPECT_GE(Digits(radius), exact - Digits("3e-12")) << label(row);
    }
  }
}

// golden/counted_p_b_40_digits.tsv: k_A, k_B, n, α, p̄_B at α/2, radius at σ = 1.
TEST(CountedSecondBound, NeverAboveFortyDigitsAndCloseToThem) {
  std::ifstream in(test::source_folder().string() + "/tests/golden/counted_p_b_40_digits.tsv");
  std::uint64_t k_a = 0, k_b = 0, n = 0;
  double alpha = 0;
  std::string upper, radius;
  int rows = 0, certified = 0;
  while (in >> k_a >> k_b >> n >> alpha >> upper >> radius) {
    const std::string where = std::to_string(k_a) + " " + std::to_string(k_b) + " of " +
                              std::to_string(n) + " at " + std::to_string(alpha);
    const double p_b = clopper_pearson_upper(k_b, n, alpha / 2);
    EXPECT_GE(Digits(p_b), Digits(upper)) << where;
    EXPECT_LE(Digits(p_b), Digits(upper) * Digits("1.000000000002")) << where;
    const double q_a = clopper_pearson_lower(k_a, n, alpha / 2).q;
    for (const double sigma : {1.0, 0.25, 0.12}) {
      const double r = counted_radius(q_a, std::min(q_a, p_b), sigma);
      const Digits exact = Digits(radius) * Digits(sigma);
      EXPECT_LE(Digits(r), exact) << where;
      EXPECT_GE(Digits(r), exact - Digits("1e-11")) << where;
      certified += r > 0 ? 1 : 0;
    }
    ++rows;
  }
  EXPECT_EQ(rows, 69);
  EXPECT_GT(certified, 100);
}

TEST(CountedSecondBound, EqualBoundsGiveTheComplementsRadius) {
  for (const double q : {1e-9, 0.001, 0.2, 0.4999}) {
    const double one = complement_radius(q, 0.5);
    EXPECT_NEAR(counted_radius(q, q, 0.5), one, 1e-14 * (1 + one)) << q;
  }
  EXPECT_EQ(counted_radius(0.6, 0.4, 1), 0);
  EXPECT_EQ(counted_radius(1, 1e-300, 1), 0);
  EXPECT_GT(counted_radius(0.6, 0.3, 1), 0) << "p_A below one half";
  EXPECT_THROW(counted_radius(0.5, 0, 1), UsageError);
  EXPECT_THROW(counted_radius(0.1, 0.1, 0), UsageError);
}

TEST(ClopperPearson, AgreesWithTheFifteenDigitTable) {
  std::ifstream in(test::source_folder().string() + "/tests/golden/clopper_pearson.tsv");
  std::string header, k, n, alpha, p, radius;
  std::getline(in, header);
  int rows = 0;
  while (in >> k >> n >> alpha >> p >> radius) {
    const auto bound = clopper_pearson_lower(std::stoull(k), std::stoull(n), std::stod(alpha));
    EXPECT_NEAR(bound.p_lower, std::stod(p), 2e-12) << k << " " << n;
    const double expected = radius == "-inf" ? 0 : std::max(0.0, std::stod(radius));
    EXPECT_NEAR(complement_radius(bound.q, 1), expected, 3e-12) << k << " " << n;
    ++rows;
  }
  EXPECT_EQ(rows, 65);
}

TEST(ClopperPearson, ExtremesAtTenMillionSamples) {
  const std::uint64_t n = 10'000'000;
  const double alpha = 1e-9;
  const auto none = clopper_pearson_lower(0, n, alpha);
  EXPECT_EQ(none.p_lower, 0);
  EXPECT_EQ(none.q, 1);
  EXPECT_EQ(complement_radius(none.q, 1), 0);
  // k = 1: p̲ = 1 − (1 − α)^(1/n) ≈ α/n = 1e-16, rounded down by up to 1e-12
  const auto one = clopper_pearson_lower(1, n, alpha);
  EXPECT_GE(one.p_lower, 0);
  EXPECT_LE(one.p_lower, 1.0000000005e-16);
  EXPECT_EQ(complement_radius(one.q, 1), 0);
  const auto all = clopper_pearson_lower(n, n, alpha);
  EXPECT_NEAR(all.q, -std::expm1(std::log(alpha) / 1e7), 1e-17);
  EXPECT_NEAR(complement_radius(all.q, 1), 4.60399375950939, 1e-11);
  const auto but_one = clopper_pearson_lower(n - 1, n, alpha);
  EXPECT_GT(but_one.q, all.q);
  // (1 − q)^(n−1)·(1 + (n−1)·q) = α: one miss at most
  const double q = but_one.q;
  EXPECT_NEAR(std::exp((1e7 - 1) * std::log1p(-q)) * (1 + (1e7 - 1) * q) / alpha, 1, 1e-6);
}

TEST(ClopperPearson, MonotoneInCountAndLevel) {
  for (const std::uint64_t n : {10ull, 1000ull, 100000ull}) {
    double last = 2;
    for (std::uint64_t k = 0; k <= n; k += std::max<std::uint64_t>(1, n / 500)) {
      const double q = clopper_pearson_lower(k, n, 0.001).q;
      EXPECT_LE(q, last) << k << " of " << n;
      last = q;
    }
    last = 2;
    for (const double alpha : {1e-12, 1e-9, 1e-6, 1e-3, 0.05, 0.5, 0.9}) {
      const double q = clopper_pearson_lower(n - n / 10, n, alpha).q;
      EXPECT_LT(q, last) << alpha;
      last = q;
    }
  }
  double last = -1;
  for (double q = 0.6; q > 1e-12; q *= 0.97) {
    const double radius = complement_radius(q, 1);
    EXPECT_GE(radius, last);
    last = radius;
  }
}

TEST(ClopperPearson, SlackIsAddedToQ) {
  for (const std::uint64_t k : {60ull, 99ull, 100ull}) {
    const auto plain = clopper_pearson_lower(k, 100, 0.05);
    const auto slacked = clopper_pearson_lower(k, 100, 0.05, 1e-3);
    EXPECT_NEAR(slacked.q - plain.q, 1e-3, 1e-15);
    EXPECT_GE(slacked.q, plain.q + 1e-3);
    EXPECT_LE(slacked.p_lower, plain.p_lower - 1e-3 + 1e-15);
    EXPECT_LT(complement_radius(slacked.q, 1), complement_radius(plain.q, 1));
  }
  EXPECT_EQ(clopper_pearson_lower(1, 100, 0.05, 0.999999).q, 1);
}

// The defining property, by exact summation in another arithmetic.
TEST(ClopperPearson, TailProbabilityAtTheBoundIsAlpha) {
  const std::uint64_t n = 60;
  for (std::uint64_t k = 1; k <= n; ++k) {
    const Digits q = clopper_pearson_lower(k, n, 0.01).q, p = 1 - q;
    Digits term = 1, tail = 0;  // C(n, j) p^j q^(n−j) from j = 0
    for (std::uint64_t j = 0; j < n; ++j) term *= q;
    for (std::uint64_t j = 0; j <= n; ++j) {
      if (j >= k) tail += term;
      term *= Digits(n - j) / Digits(j + 1) * (p / q);
    }
    EXPECT_LE(tail, Digits(0.01)) << k;
    EXPECT_GE(tail, Digits(0.01) * Digits("0.99999999")) << k;
  }
}

TEST(ClopperPearson, RefusesNonsense) {
  EXPECT_THROW(clopper_pearson_lower(1, 0, 0.05), UsageError);
  EXPECT_THROW(clopper_pearson_lower(11, 10, 0.05), UsageError);
  for (const double alpha : {0.0, 1.0, -0.1, 2.0, std::nan("")})
    EXPECT_THROW(clopper_pearson_lower(5, 10, alpha), UsageError);
  for (const double slack : {-1e-9, 1.0, std::nan("")})
    EXPECT_THROW(clopper_pearson_lower(5, 10, 0.05, slack), UsageError);
  for (const double sigma : {0.0, -1.0, std::nan(""), HUGE_VAL})
    EXPECT_THROW(complement_radius(0.1, sigma), UsageError);
  for (const double q : {0.0, -0.1, 1.1, std::nan("")})
    EXPECT_THROW(complement_radius(q, 1), UsageError);
}

TEST(CertifiedRadius, DoublesWithSigma) {
  for (double q = 0.49; q > 1e-9; q *= 0.7)
    EXPECT_EQ(complement_radius(q, 0.5), 2 * complement_radius(q, 0.25));
}

TEST(TopClass, LowestIndexOfTheLargest) {
  EXPECT_EQ(top_class(std::vector<std::uint64_t>{3, 5, 5, 1}), 1);
  EXPECT_EQ(top_class(std::vector<std::uint64_t>{0, 0}), 0);
  EXPECT_EQ(top_class(std::vector<std::uint64_t>{1, 2, 9'000'000'000}), 2);
}

TEST(BinomialTest, ExactSmallCasesAndSymmetry) {
  EXPECT_EQ(binomial_test_two_sided(0, 0), 1);
  EXPECT_EQ(binomial_test_two_sided(5, 10), 1);
  EXPECT_NEAR(binomial_test_two_sided(10, 10), 2 / 1024.0, 1e-16);
  EXPECT_NEAR(binomial_test_two_sided(9, 10), 22 / 1024.0, 1e-15);
  EXPECT_EQ(binomial_test_two_sided(2, 10), binomial_test_two_sided(8, 10));
  EXPECT_EQ(binomial_test_two_sided(3, 5), 1);  // 2·P(X ≥ 3) = 1
  EXPECT_THROW(binomial_test_two_sided(3, 2), UsageError);
}

TEST(MinSamples, AreTheFirstThatCertify) {
  EXPECT_EQ(min_samples_to_certify(0.05), 5u);
  EXPECT_EQ(min_samples_to_certify(0.001), 10u);
  EXPECT_EQ(min_samples_to_certify(0.5), 2u);
  EXPECT_EQ(min_samples_to_certify(0x1p-10), 11u);
  for (const double alpha : {0.9, 0.3, 0.05, 0.001, 1e-9}) {
    const std::uint64_t n = min_samples_to_certify(alpha);
    EXPECT_GT(complement_radius(clopper_pearson_lower(n, n, alpha).q, 1), 0);
    if (n > 1) {
      EXPECT_EQ(complement_radius(clopper_pearson_lower(n - 1, n - 1, alpha).q, 1), 0);
    }
  }
}

TEST(ShareInterval, KnownValuesAndEnds) {
  const Interval none = share_interval(0, 10, 0.05), all = share_interval(10, 10, 0.05);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 1 - std::pow(0.025, 0.1), 1e-13);  // rule of three's exact form
  EXPECT_NEAR(all.low, std::pow(0.025, 0.1), 1e-13);
  EXPECT_EQ(all.high, 1);
  const Interval half = share_interval(5, 10, 0.05);
  EXPECT_NEAR(half.low, 0.187086028447, 1e-11);
  EXPECT_NEAR(half.low + half.high, 1, 1e-13);
}

TEST(FormatRadius, ReadsBackExactly) {
  for (const double value : {0.1, 1.0 / 3, 2.0746, 4.60399375950939, 1e-7, 123.456})
    EXPECT_EQ(std::stod(format_radius(value)), value);
  EXPECT_EQ(format_radius(0), "0.0");
  EXPECT_EQ(format_radius(-0.0), "0.0");
  EXPECT_EQ(format_radius(1.5), "1.5");
  EXPECT_EQ(format_radius(2), "2.0");
}

TEST(FormatRadius, CompatRoundsDownToThreeDigits) {
  EXPECT_EQ(format_radius_compat(0), "0.0");
  EXPECT_EQ(format_radius_compat(1.888), "1.88");  // {:.3} prints 1.89
  EXPECT_EQ(format_radius_compat(0.99999), "0.999");
  EXPECT_EQ(format_radius_compat(1.0), "1.0");
  EXPECT_EQ(format_radius_compat(0.3), "0.3");
  EXPECT_EQ(format_radius_compat(9.9999), "9.99");
  EXPECT_EQ(format_radius_compat(std::nextafter(1.0, 0.0)), "0.999");
  EXPECT_EQ(format_radius_compat(0.012399), "0.0123");
  for (double value = 1e-6; value < 1e3; value *= 1.0137) {
    const double printed = std::stod(format_radius_compat(value));
    EXPECT_LE(printed, value);
    EXPECT_GT(printed, value * 0.99);
  }
}

}  // namespace
}  // namespace smoothcert
