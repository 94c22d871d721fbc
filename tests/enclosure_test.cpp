// Radii against ball arithmetic: whatever is printed is proven to be below the exact value, from
// the counts to the last digit. SMOOTHCERT_ENCLOSED_INPUTS asks for more random inputs than 10,000
// (bench/enclose_radii writes down what came of a million).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "ball_support.hpp"
#include "smoothcert/class_bounds.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/vote_bounds.hpp"

namespace smoothcert {
namespace {

#if SMOOTHCERT_HAVE_ARB

using test::Ball;
using test::binomial_tail;
using test::normal_cdf;
using test::normal_quantile;

struct Input {
  std::uint64_t k = 0, second = 0, n = 1;
  BoundSettings settings;
  std::uint32_t top = 1;
};

std::string describe(const Input& in) {
  char text[200];
  std::snprintf(text, sizeof text,
                "k %llu second %llu n %llu alpha %.17g sigma %.17g delta %.17g top %u",
                static_cast<unsigned long long>(in.k), static_cast<unsigned long long>(in.second),
                static_cast<unsigned long long>(in.n), in.settings.alpha, in.settings.sigma,
                in.settings.slack, in.top);
  return text;
}

/// p ≤ p̲, the exact Clopper–Pearson bound.
bool below_lower_bound(const Ball& p, std::uint64_t k, std::uint64_t n, double level) {
  if (p <= Ball(0.0)) return true;
  return k > 0 && p < Ball(1.0) && binomial_tail(k, n, p) <= Ball(level);
}

/// σ(Φ⁻¹(p̲ − δ) − Φ⁻¹(c + δ)) ≥ r, where c = 1/(top + 1).
bool radius_proven(const Input& in, double r, double level) {
  const Ball slack(in.settings.slack), floor = Ball(1.0) / Ball(in.top + 1.0);
  const Ball start = in.top == 1
                         ? test::root_two() * Ball::of(arb_hypgeom_erfinv, Ball(2.0) * slack)
                         : normal_quantile(floor + slack);
  const Ball needed = normal_cdf(Ball(r) / Ball(in.settings.sigma) + start) + slack;
  return below_lower_bound(needed, in.k, in.n, level);
}

/// Φ(a − r/σ) − Φ(b + r/σ) ≥ 2δ for the exact bounds of both classes at α/2.
bool counted_radius_proven(const Input& in, double r) {
  // The program's bounds are too large by 1e-12 of themselves; smaller ones are proven here, so
  // that nothing of the radius rests on how they were rounded.
  const double level = in.settings.alpha / 2;
  const auto proven_bound = [level](std::uint64_t k, std::uint64_t n, Ball& q) {
    q = Ball(clopper_pearson_lower(k, n, level).q) * Ball(1 - 1e-13);
    return below_lower_bound(Ball(1.0) - q, k, n, level);
  };
  Ball q, not_b;
  if (!proven_bound(in.k, in.n, q) || !proven_bound(in.n - in.second, in.n, not_b)) return false;
  const Ball slack(in.settings.slack), shift = Ball(r) / Ball(in.settings.sigma);
  const Ball a = normal_quantile(Ball(1.0) - q - slack);
  const Ball b = normal_quantile((not_b <= q ? not_b : q) + slack);
  return slack + slack <= normal_cdf(a - shift) - normal_cdf(b + shift);
}

struct Tally {
  std::uint64_t inputs = 0, positive = 0, counted = 0, anytime = 0;
};

void check(const Input& in, Tally& tally) {
  ++tally.inputs;
  BoundSettings settings = in.settings;
  const double radius = top_k_radius(in.k, in.n, in.top, settings);
  if (radius > 0) {
    ++tally.positive;
    EXPECT_TRUE(radius_proven(in, radius, settings.alpha)) << describe(in) << " radius " << radius;
    // Not by being idle: a little more is more than the exact radius.
    if (tally.inputs % 8 == 0) {
      EXPECT_FALSE(radius_proven(in, radius * (1 + 1e-6) + 1e-9 * settings.sigma, settings.alpha))
          << describe(in) << " radius " << radius;
    }
  }
  settings.p_b = SecondBound::counted;
  const double counted = bound_votes({in.k, in.second, in.n}, settings).radius;
  if (counted > 0) {
    ++tally.counted;
    EXPECT_TRUE(counted_radius_proven(in, counted)) << describe(in) << " radius " << counted;
  }
  if (settings.alpha < kAnytimeLevelLimit && in.k > 0) {
    const double q = anytime_lower(in.k, in.n, settings.alpha).q;
    if (q < 1) {
      ++tally.anytime;
      EXPECT_TRUE(test::mixture_reaches(q, in.k, in.n, settings.alpha)) << describe(in);
    }
  }
}

std::uint64_t asked(const char* name, std::uint64_t otherwise) {
  const char* value = std::getenv(name);
  return value ? std::strtoull(value, nullptr, 10) : otherwise;
}

double log_uniform(std::mt19937_64& random, double low, double high) {
  return std::exp(std::uniform_real_distribution<>(std::log(low), std::log(high))(random));
}

TEST(Enclosure, RadiiOfRandomCountsAreBelowTheExactOnes) {
  std::mt19937_64 random(asked("SMOOTHCERT_ENCLOSED_SEED", 1934));
  Tally tally;
  const std::uint64_t inputs = asked("SMOOTHCERT_ENCLOSED_INPUTS", 10'000);
  for (std::uint64_t i = 0; i < inputs && !HasFailure(); ++i) {
    Input in;
    in.n = static_cast<std::uint64_t>(log_uniform(random, 1, i % 64 == 0 ? 1e7 : 2e4));
    const double share = random() % 4 == 0 ? std::uniform_real_distribution<>(0.3, 1)(random)
                                           : 1 - log_uniform(random, 1e-7, 0.6);
    in.k =
        std::min(in.n, static_cast<std::uint64_t>(std::llround(share * static_cast<double>(in.n))));
    in.second = in.n == in.k ? 0 : random() % (in.n - in.k + 1);
    in.settings.alpha = log_uniform(random, 1e-9, 0.5);
    in.settings.sigma = log_uniform(random, 0.05, 4);
    in.settings.slack = random() % 4 == 0 ? 0 : log_uniform(random, 1e-16, 0.05);
    in.top = random() % 3 == 0 ? 1 + static_cast<std::uint32_t>(random() % 10) : 1;
    check(in, tally);
  }
  EXPECT_GT(tally.positive, inputs / 2);
  EXPECT_GT(tally.counted, inputs / 3);
  EXPECT_GT(tally.anytime, inputs / 2);
  std::printf("%llu inputs, %llu radii, %llu with a counted second class, %llu anytime bounds\n",
              static_cast<unsigned long long>(tally.inputs),
              static_cast<unsigned long long>(tally.positive),
              static_cast<unsigned long long>(tally.counted),
              static_cast<unsigned long long>(tally.anytime));
}

TEST(Enclosure, RadiiOfExtremeCountsAreBelowTheExactOnes) {
  Tally tally;
  for (const std::uint64_t n : {1ull, 2ull, 10ull, 100'000ull, 10'000'000ull, 4'294'967'295ull})
    for (const std::uint64_t missing : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2},
                                        n / 1000, n / 10, n - n / 2, n - 1, n})
      for (const double alpha : {1e-300, 1e-12, 0.001, 0.05, 0.5, 0.999})
        for (const double slack : {0.0, 1e-300, 1e-12, 0.1}) {
          if (missing > n) continue;
          // Sums of a million terms: a few suffice.
          if (n > 10'000'000 && missing > 1000 && (alpha != 0.001 || slack != 1e-12)) continue;
          Input in{n - missing, missing / 3, n, {1.0, alpha, slack}, 1};
          check(in, tally);
          in.settings.sigma = 0.12;
          in.top = 3;
          if (n <= 100'000) check(in, tally);
        }
  EXPECT_GT(tally.positive, 200u);
  EXPECT_GT(tally.anytime, 100u);
}

// Top-k from all counts: some t of the condition holds at the radius, for bounds proven one by one.
TEST(Enclosure, TopKRadiiFromAllCountsAreBelowTheExactOnes) {
  std::mt19937_64 random(1912);
  int positive = 0;
  for (int trial = 0; trial < 300 && !HasFailure(); ++trial) {
    std::vector<std::uint64_t> counts(4 + random() % 8);
    for (auto& count : counts) count = random() % 300;
    counts[0] += random() % 3000;
    const BoundSettings settings{0.5, log_uniform(random, 1e-6, 0.2),
                                 trial % 3 == 0 ? 0 : log_uniform(random, 1e-14, 0.01)};
    const std::uint64_t none = random() % 20;
    const ClassBounds bounds = class_bounds(counts, none, 0, settings);
    std::uint64_t n = none;
    for (const std::uint64_t count : counts) n += count;
    const double each = settings.alpha / 2 / static_cast<double>(counts.size());
    ASSERT_TRUE(
        below_lower_bound(Ball(1.0) - Ball(bounds.q_chosen), counts[0], n, settings.alpha / 2));
    ASSERT_TRUE(below_lower_bound(Ball(1.0) - Ball(bounds.upper_none), n - none, n, each));
    std::vector<double> rivals = {bounds.upper_none};
    for (std::size_t c = 1; c < counts.size(); ++c) {
      rivals.push_back(bounds.upper[c]);
      ASSERT_TRUE(below_lower_bound(Ball(1.0) - Ball(bounds.upper[c]), n - counts[c], n, each));
    }
    std::sort(rivals.rbegin(), rivals.rend());
    for (std::uint32_t k = 1; k < counts.size(); ++k) {
      const double radius = top_k_radius(bounds, k, settings);
      if (!(radius > 0)) continue;
      ++positive;
      const Ball slack(settings.slack), shift = Ball(radius) / Ball(settings.sigma);
      const Ball mine =
          normal_cdf(normal_quantile(Ball(1.0) - Ball(bounds.q_chosen) - slack) - shift) - slack;
      Ball sum(0.0);
      bool proven = false;
      for (std::uint32_t t = 1; t <= k; ++t) {
        sum = sum + Ball(rivals[k - t]);
        const Ball p = (sum <= Ball(bounds.q_chosen) ? sum : Ball(bounds.q_chosen)) + slack;
        Ball theirs(1.0);
        if (p < Ball(1.0)) theirs = normal_cdf(normal_quantile(p) + shift);
        proven = proven || (theirs + slack) / Ball(static_cast<double>(t)) < mine;
      }
      EXPECT_TRUE(proven) << trial << " k " << k << " radius " << radius;
    }
  }
  EXPECT_GT(positive, 300);
}

// Every weight is ⌊2^64·P(N = k)⌋, what is left over goes to k = 0, and the slack covers it.
TEST(Enclosure, LatticeTablesHoldTheLawTheyClaim) {
  for (const double sigma : {0.05, 0.12, 0.25, 0.5, 0.75, 1.0}) {
    const auto table = make_lattice_table(sigma, 784);
    const int length = table->log2_columns;
    const std::size_t columns = std::size_t{1} << length;
    std::vector<unsigned __int128> weight(columns, 0);
    const auto share = static_cast<unsigned __int128>(1) << (64 - length);
    for (std::size_t c = 0; c < columns; ++c) {
      const unsigned __int128 threshold =
          static_cast<unsigned __int128>(table->hot[c] >> length) << 32 | table->cold[c];
      const std::size_t alias = table->hot[c] & (columns - 1);
      weight[c] += threshold;
      weight[alias] += share - threshold;
    }
    const Ball scale = Ball(255.0) * Ball(sigma) * test::root_two(), two_64(0x1p64);
    const auto tail = [&](int k) {  // P(N ≥ k)
      return test::complementary_error((Ball(static_cast<double>(k)) - Ball(0.5)) / scale) /
             Ball(2.0);
    };
    unsigned __int128 total = 0;
    for (std::size_t c = 0; c < columns; ++c) {
      total += weight[c];
      const int k = static_cast<int>(c) - table->offset;
      if (k == 0) continue;
      ASSERT_LT(weight[c] >> 64, 1u);
      const auto w = static_cast<std::uint64_t>(weight[c]);
      const int side = std::abs(k);
      const Ball exact = two_64 * (tail(side) - tail(side + 1));
      if (c == 0) {  // value −2^(L−1) has no mirror image in the table and no weight
        EXPECT_EQ(w, 0u);
        continue;
      }
      EXPECT_TRUE(Ball::integer(w) <= exact) << sigma << " " << k;
      EXPECT_TRUE(exact < Ball::integer(w) + Ball(1.0)) << sigma << " " << k;
    }
    EXPECT_TRUE(total == static_cast<unsigned __int128>(1) << 64) << sigma;
    const auto middle = static_cast<std::uint64_t>(weight[static_cast<std::size_t>(table->offset)]);
    const Ball distance = Ball::integer(middle) / two_64 - (Ball(1.0) - Ball(2.0) * tail(1));
    EXPECT_TRUE(distance <= Ball(table->slack_per_pixel)) << sigma;
    EXPECT_TRUE(Ball(table->slack_per_pixel) <= distance * Ball(1.000001) + Ball(1e-27)) << sigma;
  }
}

#else

TEST(Enclosure, NeedsBallArithmetic) {
  GTEST_SKIP() << "Arb was not found when the tests were configured (Debian: libflint-arb-dev)";
}

#endif

}  // namespace
}  // namespace smoothcert
