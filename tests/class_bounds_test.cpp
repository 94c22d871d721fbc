// Top-k radii and distances to classes: worst arrangements, exact error, golden values.
#include "smoothcert/class_bounds.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using boost::math::cdf;
using boost::math::complement;
using boost::math::quantile;
const boost::math::normal kNormal;

double normal(double x) { return cdf(kNormal, x); }

/// Bounds as infinitely many samples would give them: the shares themselves.
ClassBounds exact_bounds(const std::vector<double>& shares, std::size_t chosen) {
  ClassBounds bounds;
  bounds.chosen = chosen;
  bounds.q_chosen = 1 - shares[chosen];
  bounds.upper = shares;
  bounds.upper_none = 0;
  bounds.upper[chosen] = 1;
  return bounds;
}

/// One dimension, cut into cells of equal mass under N(0, 1), each given to a class: the smoothed
/// classifier of this arrangement, moved by `shift`.
class Arrangement {
 public:
  explicit Arrangement(int cells) : edges_(static_cast<std::size_t>(cells) + 1) {
    for (int i = 0; i <= cells; ++i) {
      const double share = static_cast<double>(i) / cells;
      edges_[static_cast<std::size_t>(i)] = i == 0       ? -HUGE_VAL
                                            : i == cells ? HUGE_VAL
                                                         : quantile(kNormal, share);
    }
  }
  double mass(std::size_t cell, double shift) const {
    const auto tail = [](double x) { return std::isinf(x) ? (x > 0 ? 1.0 : 0.0) : normal(x); };
    return tail(edges_[cell + 1] - shift) - tail(edges_[cell] - shift);
  }
  std::size_t cells() const { return edges_.size() - 1; }
  std::vector<double> shares(const std::vector<int>& owner, std::size_t classes,
                             double shift) const {
    std::vector<double> sum(classes, 0.0);
    for (std::size_t i = 0; i < owner.size(); ++i)
      sum[static_cast<std::size_t>(owner[i])] += mass(i, shift);
    return sum;
  }

 private:
  std::vector<double> edges_;
};

/// How many other classes are likelier than y times 1 + margin.
std::size_t rivals_ahead(const std::vector<double>& shares, std::size_t y, double margin) {
  std::size_t ahead = 0;
  for (std::size_t c = 0; c < shares.size(); ++c)
    if (c != y && shares[c] >= shares[y] * (1 + margin)) ++ahead;
  return ahead;
}

constexpr int kCells = 600;

/// Random counts of cells for `classes` classes, class 0 among the larger.
std::vector<int> random_cells(std::mt19937_64& random, std::size_t classes) {
  std::vector<double> weight(classes);
  for (double& w : weight) w = std::pow(std::uniform_real_distribution<>(0.02, 1)(random), 3);
  weight[0] += std::uniform_real_distribution<>(0, 2)(random);
  const double total = std::accumulate(weight.begin(), weight.end(), 0.0);
  std::vector<int> cells(classes);
  int left = kCells;
  for (std::size_t c = 1; c < classes; ++c) {
    cells[c] = std::max(4, static_cast<int>(weight[c] / total * kCells));
    left -= cells[c];
  }
  cells[0] = left;
  return cells;
}

/// The adversary's best: class 0 holds the cells that lose most. Of the k strongest rivals, the one
/// with the fewest cells takes those that gain most until it is level with class 0, then the next.
std::vector<int> worst_case(const Arrangement& line, std::vector<int> cells, std::uint32_t k,
                            double shift) {
  std::vector<std::size_t> rivals(cells.size() - 1);
  std::iota(rivals.begin(), rivals.end(), std::size_t{1});
  std::stable_sort(rivals.begin(), rivals.end(),
                   [&](std::size_t a, std::size_t b) { return cells[a] > cells[b]; });
  std::vector<int> owner(line.cells(), 0);
  double target = 0;
  for (std::size_t i = 0; i < static_cast<std::size_t>(cells[0]); ++i)
    target += line.mass(i, shift);
  std::size_t top = line.cells();
  for (std::size_t r = k; r-- > 0;) {
    const std::size_t c = rivals[r];
    for (double moved = 0; moved < target && cells[c] > 0; --cells[c]) {
      moved += line.mass(--top, shift);
      owner[top] = static_cast<int>(c);
    }
  }
  for (const std::size_t c : rivals)
    for (; cells[c] > 0; --cells[c]) owner[--top] = static_cast<int>(c);
  return owner;
}

TEST(TopK, NoArrangementOfTheSpaceContradictsTheRadii) {
  const Arrangement line(kCells);
  std::mt19937_64 random(20);
  const BoundSettings settings{1, 0.001};
  int certified = 0, tight = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const std::size_t classes = 3 + static_cast<std::size_t>(trial % 5);
    const std::vector<int> cells = random_cells(random, classes);
    std::vector<double> shares(classes);
    for (std::size_t c = 0; c < classes; ++c) shares[c] = static_cast<double>(cells[c]) / kCells;
    const ClassBounds bounds = exact_bounds(shares, 0);
    for (std::uint32_t k = 1; k < classes; ++k) {
      const double radius = top_k_radius(bounds, k, settings);
      if (!(radius > 0)) continue;
      ++certified;
      std::vector<int> owner;
      for (std::size_t c = 0; c < classes; ++c)
        owner.insert(owner.end(), static_cast<std::size_t>(cells[c]), static_cast<int>(c));
      for (int shuffle = 0; shuffle < 4; ++shuffle) {
        EXPECT_LT(rivals_ahead(line.shares(owner, classes, radius), 0, 1e-9), k);
        std::shuffle(owner.begin() + shuffle * cells[0] / 4, owner.end(), random);
      }
      EXPECT_LT(
          rivals_ahead(line.shares(worst_case(line, cells, k, radius), classes, radius), 0, 1e-9),
          k)
          << trial << " k " << k;
      // A little beyond, the worst case does push the class out: the radius is no guess.
      const double beyond = radius * 1.05 + 0.02;
      tight +=
          rivals_ahead(line.shares(worst_case(line, cells, k, beyond), classes, beyond), 0, 0) >= k
              ? 1
              : 0;
    }
  }
  EXPECT_GT(certified, 80);
  EXPECT_GT(tight, certified * 9 / 10);
}

TEST(TopK, FromOneShareIsCohensForKOfOneAndGainsWithK) {
  const BoundSettings settings{0.5, 0.001};
  const auto radius = [&](std::uint32_t k) { return top_k_radius(900, 1000, k, settings); };
  EXPECT_EQ(radius(1), bound_votes({900, 100, 1000}, settings).radius);
  const double gains[] = {0.4307, 0.6745, 0.8416, 0.9674};
  for (std::uint32_t k = 2; k <= 5; ++k)
    EXPECT_NEAR(radius(k) - radius(1), 0.5 * gains[k - 2], 5e-5) << k;
  EXPECT_GT(top_k_radius(400, 1000, 2, settings), 0) << "a share below one half";
  EXPECT_EQ(top_k_radius(0, 1000, 5, settings), 0);
  EXPECT_THROW(top_k_radius(900, 1000, 0, settings), UsageError);
}

// Without other classes' counts the k rivals may hold all the rest: then no arrangement does better
// than equal shares, and both formulas answer the same question.
TEST(TopK, FromOneShareHoldsAgainstEqualRivals) {
  const Arrangement line(kCells);
  for (std::uint32_t k = 1; k <= 4; ++k)
    for (const int mine : {180, 300, 420, 540}) {
      const double share = static_cast<double>(mine) / kCells;
      const double radius = quantile(kNormal, share) - quantile(complement(kNormal, k / (k + 1.0)));
      if (radius <= 0) continue;
      std::vector<int> cells(k + 1, (kCells - mine) / static_cast<int>(k));
      cells[0] = kCells - std::accumulate(cells.begin() + 1, cells.end(), 0);
      EXPECT_LT(
          rivals_ahead(line.shares(worst_case(line, cells, k, radius), k + 1, radius), 0, 1e-9), k);
    }
}

TEST(TopK, AllCountsForKOfOneIsCountedOfTheSameBounds) {
  std::mt19937_64 random(3);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<std::uint64_t> counts(5);
    for (auto& count : counts) count = random() % 200;
    counts[2] += 300;
    for (const double slack : {0.0, 1e-12, 1e-3}) {
      const BoundSettings settings{0.5, 0.01, slack};
      const ClassBounds bounds = class_bounds(counts, 7, 2, settings);
      double second = bounds.upper_none;
      for (const std::size_t c : {0, 1, 3, 4}) second = std::max(second, bounds.upper[c]);
      const double p_b = std::min(second, bounds.q_chosen);
      const double expected = bounds.q_chosen + slack + p_b + slack < 1
                                  ? counted_radius(bounds.q_chosen + slack, p_b + slack, 0.5, slack)
                                  : 0;
      EXPECT_NEAR(top_k_radius(bounds, 1, settings), expected, 1e-10) << trial << " " << slack;
    }
  }
}

// Above the radius no t of the k rivals satisfies the condition, below it one does; δ twice.
TEST(TopK, IsTheLargestRadiusOfItsCondition) {
  std::mt19937_64 random(4);
  int positive = 0;
  for (int trial = 0; trial < 60; ++trial) {
    std::vector<std::uint64_t> counts(7);
    for (auto& count : counts) count = random() % 150;
    counts[0] += random() % 900;
    const double slack = trial % 3 == 0 ? 0 : trial % 3 == 1 ? 1e-4 : 0.01;
    const BoundSettings settings{1, 0.01, slack};
    const ClassBounds bounds = class_bounds(counts, 0, 0, settings);
    std::vector<double> rivals(bounds.upper.begin() + 1, bounds.upper.end());
    rivals.push_back(bounds.upper_none);
    std::sort(rivals.rbegin(), rivals.rend());
    for (std::uint32_t k = 1; k < 7; ++k) {
      const double radius = top_k_radius(bounds, k, settings);
      const auto holds = [&](double r) {
        double sum = 0;
        for (std::uint32_t t = 1; t <= k; ++t) {
          sum += rivals[k - t];
          const double p = std::min(sum, bounds.q_chosen) + slack;
          const double mine =
              normal(quantile(complement(kNormal, bounds.q_chosen + slack)) - r) - slack;
          const double theirs = (p >= 1 ? 1 : normal(quantile(kNormal, p) + r)) + slack;
          if (mine > theirs / t) return true;
        }
        return false;
      };
      if (bounds.q_chosen + slack >= 1) continue;
      EXPECT_FALSE(holds(radius + 1e-8)) << trial << " " << k;
      if (!(radius > 0)) continue;
      EXPECT_TRUE(holds(radius - 1e-9)) << trial << " " << k;
      ++positive;
    }
  }
  EXPECT_GT(positive, 100);
}

TEST(TopK, MonotoneInKAndAsksForFewerThanAllClasses) {
  const BoundSettings settings{0.5, 0.001};
  const std::vector<std::uint64_t> counts = {500, 200, 150, 100, 30, 20};
  const ClassBounds bounds = class_bounds(counts, 0, 0, settings);
  double last = 0;
  for (std::uint32_t k = 1; k < 6; ++k) {
    const double radius = top_k_radius(bounds, k, settings);
    EXPECT_GE(radius, last) << k;
    last = radius;
    EXPECT_LE(top_k_radius(500, 1000, k, settings), top_k_radius(500, 1000, k + 1, settings));
  }
  EXPECT_THROW(top_k_radius(bounds, 0, settings), UsageError);
  EXPECT_THROW(top_k_radius(bounds, 6, settings), UsageError);
  EXPECT_THROW(class_bounds(counts, 0, 6, settings), UsageError);
}

// Every outcome of n = 14 over three classes and "no answer": the chance that any bound is wrong.
TEST(ClassBounds, HoldTogetherAtTheirLevelExactly) {
  constexpr std::uint64_t n = 14;
  constexpr double alpha = 0.2;
  for (const Sampling sampling : {Sampling::fixed(), Sampling::up_to(14)})
    for (const std::vector<double>& p : {std::vector<double>{.5, .3, .1, .1},
                                         {.8, .1, .05, .05},
                                         {.25, .25, .25, .25},
                                         {.9, .05, .04, .01},
                                         {.4, .35, .2, .05}}) {
      double wrong = 0, total = 0;
      for (std::uint64_t a = 0; a <= n; ++a)
        for (std::uint64_t b = 0; a + b <= n; ++b)
          for (std::uint64_t c = 0; a + b + c <= n; ++c) {
            const std::uint64_t counts[] = {a, b, c}, none = n - a - b - c;
            double log_share = std::lgamma(n + 1.0);
            for (int i = 0; i < 4; ++i) {
              const auto x = static_cast<double>(i < 3 ? counts[i] : none);
              log_share += x * std::log(p[static_cast<std::size_t>(i)]) - std::lgamma(x + 1);
            }
            const double share = std::exp(log_share);
            total += share;
            const ClassBounds bounds =
                class_bounds(counts, none, 0, {1, alpha, 0, SecondBound::complement, sampling});
            if (1 - bounds.q_chosen > p[0] || bounds.upper[1] < p[1] || bounds.upper[2] < p[2] ||
                bounds.upper_none < p[3])
              wrong += share;
          }
      EXPECT_NEAR(total, 1, 1e-9);
      EXPECT_LE(wrong, alpha);
    }
}

TEST(ClassDistances, AreTheRadiiAgainstSingleClasses) {
  const std::vector<std::uint64_t> counts = {20, 700, 250, 30, 0};
  for (const double slack : {0.0, 1e-3}) {
    const BoundSettings settings{0.5, 0.001, slack};
    const ClassBounds bounds = class_bounds(counts, 0, 1, settings);
    const std::vector<double> distances = class_distances(bounds, settings);
    EXPECT_EQ(distances[1], 0);
    EXPECT_LT(distances[2], distances[3]);
    EXPECT_LT(distances[3], distances[0] * (1 + 1e-9) + 0.2);
    EXPECT_LT(distances[0], distances[4]);
    // The nearest class is no nearer than top-1 says, and all are certified by it.
    for (const std::size_t c : {0, 2, 3, 4})
      EXPECT_GE(distances[c], top_k_radius(bounds, 1, settings) - 1e-10);
    // 1-D: the class at the far side of the line, moved towards it.
    for (const std::size_t c : {0, 2, 3, 4}) {
      const double a = quantile(complement(kNormal, bounds.q_chosen + slack)),
                   b = quantile(kNormal, bounds.upper[c] + slack), s = distances[c] / 0.5;
      EXPECT_GE(normal(a - s) - normal(b + s), 2 * slack - 1e-12) << c;
      EXPECT_LT(normal(a - s - 1e-6) - normal(b + s + 1e-6), 2 * slack) << c;
    }
  }
  // Samples without an answer are not A, and no class either.
  const BoundSettings settings{0.5, 0.001};
  const auto with = class_distances(class_bounds(counts, 300, 1, settings), settings);
  const auto without = class_distances(class_bounds(counts, 0, 1, settings), settings);
  EXPECT_LT(with[3], without[3]);
  // A class that is ahead has no distance.
  EXPECT_EQ(class_distances(class_bounds(counts, 0, 2, settings), settings)[1], 0);
}

}  // namespace
}  // namespace smoothcert
