// Bounds that hold at any n: exact error over all paths, monotonicity, golden values.
#include "smoothcert/anytime_bound.hpp"

#include <gtest/gtest.h>

#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <functional>
#include <map>
#include <vector>

#include "smoothcert/error.hpp"
#include "smoothcert/stopping.hpp"

namespace smoothcert {
namespace {

double quantile(double q) { return boost::math::quantile(complement(boost::math::normal(), q)); }

// Computed with 40 digits (rows of n ≤ 1,000, two of n = 10,000) or in double, by others than us.
TEST(AnytimeBound, GoldenTable) {
  struct Row {
    std::uint64_t n, k;
    double level, q, z, z_clopper_pearson;
  };
  const Row rows[] = {
      {20, 20, .05, 1.988727788e-01, 0.845654419, 1.084334122},
      {50, 40, .05, 3.860482298e-01, 0.289633730, 0.480049603},
      {100, 100, .001, 8.678770072e-02, 1.360804747, 1.500475024},
      {1000, 1000, .001, 9.072729150e-03, 2.362636489, 2.463262615},
      {1000, 990, .001, 2.847365268e-02, 1.903715049, 1.978009582},
      {10000, 10000, .0005, 9.887425480e-04, 3.093593081, 3.170913683},
      {10000, 9990, .0005, 2.982694904e-03, 2.749677753, 2.804001946},
      {10000, 6000, .0005, 4.232608613e-01, 0.193558338, 0.211518524},
      {100000, 100000, .0005, 9.892222530e-05, 3.721753066, 3.787758866},
      {100000, 99990, .0005, 2.985417464e-04, 3.432935786, 3.478051615},
      {100000, 90000, .0005, 1.045875130e-01, 1.255837132, 1.263766474},
      {100000, 55000, .025, 4.564690867e-01, 0.109333252, 0.117858585},
  };
  for (const Row& row : rows) {
    const LowerBound bound = anytime_lower(row.k, row.n, row.level);
    // The guard makes q a little larger than exact, never smaller.
    EXPECT_GE(bound.q, row.q * (1 - 1e-9)) << row.n << " " << row.k;
    EXPECT_LE(bound.q, row.q * (1 + 2e-6)) << row.n << " " << row.k;
    EXPECT_NEAR(quantile(bound.q), row.z, 1e-6) << row.n << " " << row.k;
    EXPECT_NEAR(quantile(clopper_pearson_lower(row.k, row.n, row.level).q), row.z_clopper_pearson,
                1e-8);
  }
}

// M by its definition, with another formula: a sum of binomial terms.
TEST(AnytimeBound, IsTheSmallestShareWhoseMixtureStaysBelow) {
  const auto mixture = [](double q, std::uint64_t k, std::uint64_t n) {
    // P(Bin(n+1, p) ≤ k) / ((n+1)·q·b(k; n, p))
    const double p = 1 - q, m = static_cast<double>(n);
    const auto log_term = [&](double total, double x) {
      return std::lgamma(total + 1) - std::lgamma(x + 1) - std::lgamma(total - x + 1) +
             x * std::log(p) + (total - x) * std::log(q);
    };
    double below = 0;
    for (std::uint64_t j = 0; j <= k; ++j)
      below += std::exp(log_term(m + 1, static_cast<double>(j)));
    return below / ((m + 1) * q * std::exp(log_term(m, static_cast<double>(k))));
  };
  for (const std::uint64_t n : {1ull, 7ull, 60ull, 400ull})
    for (std::uint64_t k = 1; k <= n; k += 1 + n / 23)
      for (const double level : {0.3, 0.05, 0.0005}) {
        const double q = anytime_lower(k, n, level).q;
        if (q >= 1 - 1e-6) continue;  // q is inflated by 1e-12
        EXPECT_GE(mixture(q, k, n) * level, 1) << n << " " << k << " " << level;
        EXPECT_LT(mixture(q * (1 - 3e-5 * (1 - q)), k, n) * level, 1)
            << n << " " << k << " " << level;
        EXPECT_TRUE(anytime_rejects(q, k, n, level));
        EXPECT_FALSE(anytime_rejects(q * (1 - 3e-5 * (1 - q)), k, n, level));
      }
}

TEST(AnytimeBound, UnanimousVotesHaveAClosedForm) {
  for (const std::uint64_t n : {1ull, 14ull, 1000ull, 10'000'000ull, 4'294'967'295ull})
    for (const double level : {0.05, 0.0005}) {
      const long double q = anytime_lower(n, n, level).q, m = static_cast<long double>(n);
      const long double mixture =
          -std::expm1((m + 1) * std::log1p(-q)) / ((m + 1) * q * std::exp(m * std::log1p(-q)));
      EXPECT_GE(mixture * level, 1) << n;
      EXPECT_LE(mixture * level, 1 + 1e-5) << n;
    }
}

TEST(AnytimeBound, FewestSamplesForAPositiveRadius) {
  const auto fewest = [](double level) {
    std::uint64_t n = 1;
    while (anytime_lower(n, n, level).q >= 0.5) ++n;
    return n;
  };
  EXPECT_EQ(fewest(0.05), 7u);
  EXPECT_EQ(fewest(0.001), 13u);
  EXPECT_EQ(fewest(0.0005), 14u);
}

TEST(AnytimeBound, MonotoneInCountAndLevelAndNeverAboveClopperPearson) {
  for (const std::uint64_t n : {1ull, 10ull, 777ull, 100'000ull, 10'000'000ull, 4'000'000'000ull}) {
    const std::uint64_t step = std::max<std::uint64_t>(1, n / 150);
    for (const double level : {1e-9, 0.0005, 0.05, 0.33}) {
      double last = 1;
      const auto check = [&](std::uint64_t k) {
        const double q = anytime_lower(k, n, level).q;
        EXPECT_LE(q, last) << k << " of " << n << " at " << level;
        EXPECT_GE(q, clopper_pearson_lower(k, n, level).q) << k << " of " << n << " at " << level;
        last = q;
      };
      for (std::uint64_t k = 0; k + 10 < n; k += step) check(k);
      for (std::uint64_t k = n < 10 ? 0 : n - 10; k <= n; ++k) check(k);
    }
    for (const std::uint64_t k : {n, n - n / 10, n - n / 2}) {
      double last = 2;
      for (const double level : {1e-12, 1e-9, 1e-6, 0.001, 0.05, 0.3}) {
        const double q = anytime_lower(k, n, level).q;
        EXPECT_LE(q, last) << k << " of " << n;
        last = q;
      }
    }
  }
}

TEST(AnytimeBound, EndsAndSlack) {
  EXPECT_EQ(anytime_lower(0, 100, 0.05).q, 1);
  EXPECT_EQ(anytime_lower(0, 100, 0.05).p_lower, 0);
  EXPECT_LT(anytime_lower(1, 10'000'000, 0.05).p_lower, 1e-7);
  EXPECT_EQ(anytime_upper(100, 100, 0.05), 1);
  EXPECT_EQ(anytime_upper(30, 100, 0.05), anytime_lower(70, 100, 0.05).q);
  EXPECT_NEAR(anytime_lower(90, 100, 0.05, 1e-3).q - anytime_lower(90, 100, 0.05).q, 1e-3, 1e-15);
  EXPECT_THROW(anytime_lower(1, 0, 0.05), UsageError);
  EXPECT_THROW(anytime_lower(2, 1, 0.05), UsageError);
  for (const double level : {0.0, 1.0 / 3, 0.5, -1.0, std::nan("")})
    EXPECT_THROW(anytime_lower(1, 2, level), UsageError) << level;
  for (const double slack : {-1e-9, 1.0, std::nan("")})
    EXPECT_THROW(anytime_lower(1, 2, 0.05, slack), UsageError);
  for (const double q : {0.0, 1.0, std::nan("")})
    EXPECT_THROW(anytime_rejects(q, 1, 2, 0.05), UsageError);
}

TEST(LowerConfidenceBound, SequentialSplitsItsLevelAndKeepsOneLookForTheEnd) {
  const Sampling run = Sampling::up_to(1000);
  EXPECT_EQ(lower_confidence_bound(480, 500, 0.01, run).q, anytime_lower(480, 500, 0.005).q);
  EXPECT_EQ(lower_confidence_bound(980, 1000, 0.01, run).q,
            clopper_pearson_lower(980, 1000, 0.005).q);
  EXPECT_EQ(lower_confidence_bound(980, 1000, 0.01, Sampling::fixed()).q,
            clopper_pearson_lower(980, 1000, 0.01).q);
  EXPECT_EQ(upper_confidence_bound(20, 500, 0.01, run), anytime_lower(480, 500, 0.005).q);
  EXPECT_THROW(lower_confidence_bound(1000, 1001, 0.01, run), UsageError);
  EXPECT_THROW(lower_confidence_bound(1, 10, 0.7, run), UsageError);
}

/// Smallest k of n whose bound, with p̲ ≤ p meaning no error, is above p: n + 1 where none is.
/// Bounds are monotone in k; those near the edge are computed once and kept.
class Edge {
 public:
  using Bound = std::function<double(std::uint64_t, std::uint64_t)>;  ///< q of (k, n)
  explicit Edge(Bound bound) : bound_(std::move(bound)) {}
  std::uint64_t first_above(double p, std::uint64_t n, std::uint64_t guess) {
    std::uint64_t k = std::min(guess, n + 1);
    while (k > 0 && above(k - 1, n, p)) --k;
    while (k <= n && !above(k, n, p)) ++k;
    return k;
  }

 private:
  bool above(std::uint64_t k, std::uint64_t n, double p) {
    auto [at, fresh] = known_.try_emplace({k, n}, 0.0);
    if (fresh) at->second = bound_(k, n);
    return 1 - at->second > p;
  }
  Bound bound_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, double> known_;
};

/// 40 shares: twenty spread out, twenty just below values of the bound at n_max, where the most
/// outcomes are errors.
std::vector<double> shares(std::uint64_t n_max, double alpha) {
  std::vector<double> p = {.02, .1, .3,  .5, .505, .52, .55, .6,  .65,  .7,
                           .75, .8, .85, .9, .93,  .95, .98, .99, .995, .9995};
  for (int i = 1; i <= 20; ++i) {
    const std::uint64_t k = n_max / 2 + n_max * static_cast<std::uint64_t>(i) / 40;
    p.push_back((1 - lower_confidence_bound(k, n_max, alpha, Sampling::up_to(n_max)).q) *
                (1 - 1e-9));
  }
  return p;
}

/// P(S_n = s, no error and not stopped so far), one sample further.
void advance(std::vector<double>& mass, double p) {
  mass.push_back(0);
  for (std::size_t s = mass.size(); s-- > 0;)
    mass[s] = mass[s] * (1 - p) + (s > 0 ? mass[s - 1] * p : 0);
}

// The worst rule there is, "stop as soon as the bound is wrong", by exact enumeration.
TEST(SequentialValidity, ExactErrorOfEveryLookIsAtMostAlpha) {
  double worst = 0;
  for (const std::uint64_t n_max : {300ull, 1000ull})
    for (const double alpha : {0.05, 0.001}) {
      Edge edge([&](std::uint64_t k, std::uint64_t n) {
        return lower_confidence_bound(k, n, alpha, Sampling::up_to(n_max)).q;
      });
      for (const double p : shares(n_max, alpha)) {
        std::vector<double> mass = {1};
        double error = 0;
        std::uint64_t first = 1;
        for (std::uint64_t n = 1; n <= n_max; ++n) {
          advance(mass, p);
          first = edge.first_above(p, n, first);
          for (std::uint64_t s = first; s <= n; ++s) {
            error += mass[s];
            mass[s] = 0;
          }
        }
        EXPECT_LE(error, alpha) << "p " << p << " n_max " << n_max << " alpha " << alpha;
        worst = std::max(worst, error / alpha);
      }
    }
  EXPECT_GT(worst, 0.5) << "a bound this loose would be of no use";
  RecordProperty("largest_error_over_alpha", std::to_string(worst));
}

// The anytime bound alone, at its whole level: 0.81 of it at most, as computed elsewhere.
TEST(SequentialValidity, AnytimeBoundAloneErrsAsComputedElsewhere) {
  const std::map<double, double> expected = {
      {.5, .766}, {.6, .784}, {.8, .810}, {.95, .647}, {.99, .282}};
  Edge edge([](std::uint64_t k, std::uint64_t n) { return anytime_lower(k, n, 0.025).q; });
  Edge last([](std::uint64_t k, std::uint64_t n) { return clopper_pearson_lower(k, n, 0.025).q; });
  for (const auto& [p, share] : expected) {
    std::vector<double> mass = {1};
    double error = 0;
    std::uint64_t first = 1;
    for (std::uint64_t n = 1; n <= 1000; ++n) {
      advance(mass, p);
      first = edge.first_above(p, n, first);
      if (n == 1000) first = std::min(first, last.first_above(p, n, first));
      for (std::uint64_t s = first; s <= n; ++s) {
        error += mass[s];
        mass[s] = 0;
      }
    }
    EXPECT_NEAR(error / 0.05, share, 0.0015) << p;
  }
}

// What a run does: it looks at checkpoints, stops by a rule and reports one bound.
TEST(SequentialValidity, ExactErrorWithStoppingRulesIsAtMostAlpha) {
  for (const std::uint64_t n_max : {300ull, 1000ull})
    for (const double alpha : {0.05, 0.001})
      for (const Stopping rule : {Stopping{StopRule::within, 0.05}, Stopping{StopRule::at, 0.4},
                                  Stopping{StopRule::at, 0}}) {
        BoundSettings settings;
        settings.alpha = alpha;
        settings.sampling = Sampling::up_to(n_max);
        std::vector<std::uint64_t> looks;
        for (std::uint64_t n = 20; n < n_max; n += (n + 7) / 8) looks.push_back(n);
        looks.push_back(n_max);
        std::map<std::uint64_t, std::vector<bool>> stops;
        std::map<std::uint64_t, std::vector<double>> q;
        for (const std::uint64_t n : looks)
          for (std::uint64_t s = 0; s <= n; ++s) {
            stops[n].push_back(stop_here({s, n - s, n}, settings, rule, looks.size()).has_value());
            q[n].push_back(lower_confidence_bound(s, n, alpha, settings.sampling).q);
          }
        double early = 0;
        for (const double p : shares(n_max, alpha)) {
          std::vector<double> mass = {1};
          double error = 0, left = 0;
          std::size_t look = 0;
          for (std::uint64_t n = 1; n <= n_max; ++n) {
            advance(mass, p);
            if (n != looks[look]) continue;
            ++look;
            for (std::uint64_t s = 0; s <= n; ++s) {
              if (!stops[n][s]) continue;
              if (1 - q[n][s] > p) error += mass[s];
              left += mass[s];
              if (n < n_max) early = std::max(early, mass[s]);
              mass[s] = 0;
            }
          }
          EXPECT_NEAR(left, 1, 1e-9) << "every image stops";
          EXPECT_LE(error, alpha) << "p " << p << " n_max " << n_max << " alpha " << alpha;
        }
        EXPECT_GT(early, 0.01) << "the rule never stopped";
      }
}

}  // namespace
}  // namespace smoothcert
