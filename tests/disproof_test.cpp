// The test behind a disproof: p-values, distances from integers, its exact error.
#include "smoothcert/disproof.hpp"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <cmath>
#include <random>
#include <vector>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::cpp_rational;

TEST(DisproofTest, IsTheExactTailOfAFairCoin) {
  for (std::uint64_t m = 0; m <= 40; ++m) {
    cpp_int binomial = 1, tail = 0;  // from the top: C(m, m), C(m, m−1), …
    for (std::uint64_t c = m;; --c) {
      tail += binomial;
      const double exact = static_cast<double>(cpp_rational(tail, cpp_int(1) << m));
      const double p = disproof_p_value(m - c, c);
      EXPECT_GE(p, exact) << c << " of " << m;
      EXPECT_LE(p, exact * (1 + 2e-9) + 1e-299) << c << " of " << m;
      if (c == 0) break;
      binomial = binomial * c / (m - c + 1);
    }
  }
  EXPECT_EQ(disproof_p_value(0, 0), 1);
  EXPECT_EQ(disproof_p_value(100, 0), 1);
  EXPECT_GT(disproof_p_value(0, 100'000), 0) << "no p-value is zero";
  // Four standard errors at ten million votes: the normal tail.
  EXPECT_NEAR(disproof_p_value(4'993'675, 5'006'325) / 3.167e-5, 1, 2e-3);
}

// A and c equally likely, whatever else there is: of the outcomes with m votes for either, at most
// α are taken for a disproof.
TEST(DisproofTest, FalseDisproofsAreAtMostAlphaExactly) {
  for (const double alpha : {0.05, 0.001}) {
    double largest = 0;
    for (std::uint64_t m = 1; m <= 300; ++m) {
      double rejected = 0;
      for (std::uint64_t c = 0; c <= m; ++c)
        if (disproof_p_value(m - c, c) <= alpha)
          rejected += std::exp(
              std::lgamma(static_cast<double>(m) + 1) - std::lgamma(static_cast<double>(c) + 1) -
              std::lgamma(static_cast<double>(m - c) + 1) - static_cast<double>(m) * std::log(2.0));
      EXPECT_LE(rejected, alpha * (1 + 1e-9)) << m;
      largest = std::max(largest, rejected);
    }
    EXPECT_GT(largest, 0.7 * alpha) << "a test this slow to reject would be of no use";
  }
}

TEST(ImageDistance, IsRoundedUpByLessThanTwoUlps) {
  std::mt19937_64 random(5);
  const auto check = [](const ImageDistance& d) {
    // r ≥ √D/255 ⇔ (255r)² ≥ D, in exact arithmetic.
    const cpp_rational r(d.l2()), square = r * r * 65025, squares(d.squares);
    EXPECT_GE(square, squares);
    EXPECT_LE(square, squares * cpp_rational(1 + 0x1p-49));
    EXPECT_GE(cpp_rational(d.l1()) * 255, cpp_rational(d.units));
    EXPECT_LE(cpp_rational(d.l1()) * 255, cpp_rational(d.units) * cpp_rational(1 + 0x1p-50));
    EXPECT_GE(cpp_rational(d.linf()) * 255, cpp_rational(d.largest));
  };
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<std::uint8_t> a(static_cast<std::size_t>(trial) + 1), b = a;
    for (std::size_t i = 0; i < a.size(); ++i) {
      a[i] = static_cast<std::uint8_t>(random());
      b[i] = static_cast<std::uint8_t>(trial % 2 ? random() : a[i] ^ (random() & 1u));
    }
    check(image_distance(a, b));
  }
  check({3ull * 512 * 512 * 65025, 3ull * 512 * 512 * 255, 255});
  check({(1ull << 62) + 1, (1ull << 53) + 1, 255});  // beyond what a double holds
  const ImageDistance same =
      image_distance(std::vector<std::uint8_t>{7}, std::vector<std::uint8_t>{7});
  EXPECT_EQ(same.l2(), 0);
  EXPECT_EQ(same.l1(), 0);
  const ImageDistance one =
      image_distance(std::vector<std::uint8_t>{0, 10}, std::vector<std::uint8_t>{255, 10});
  EXPECT_NEAR(one.l2(), 1, 1e-15);
  EXPECT_EQ(one.squares, 65025u);
  EXPECT_EQ(one.units, 255u);
  EXPECT_EQ(one.largest, 255u);
  EXPECT_THROW(image_distance(std::vector<std::uint8_t>{1}, std::vector<std::uint8_t>{}), Error);
}

}  // namespace
}  // namespace smoothcert
