// Checkpoints and stopping rules: when an image stops, and that bounds hold where it does.
#include "smoothcert/stopping.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

BoundSettings run(std::uint64_t n_max, double alpha = 0.001, double sigma = 0.5) {
  BoundSettings settings;
  settings.sigma = sigma;
  settings.alpha = alpha;
  settings.sampling = Sampling::up_to(n_max);
  return settings;
}

VoteSplit of_two(std::uint64_t a, std::uint64_t n) { return {a, n - a, n}; }

TEST(Checkpoints, GrowByAQuarterAndEndAtNMax) {
  EXPECT_THAT(checkpoints(1000), testing::ElementsAre(500, 625, 782, 978, 1000));
  EXPECT_THAT(checkpoints(500), testing::ElementsAre(500));
  EXPECT_THAT(checkpoints(12), testing::ElementsAre(12));
  const auto at = checkpoints(100'000);
  EXPECT_EQ(at.size(), 25u);
  EXPECT_EQ(at.back(), 100'000u);
  for (std::size_t i = 1; i < at.size(); ++i) EXPECT_LT(at[i - 1], at[i]);
  EXPECT_LT(checkpoints(4'294'967'295).size(), 100u);
}

TEST(Stopping, WithinAShareOfTheProjectedRadius) {
  const BoundSettings settings = run(100'000);
  const Stopping rule{StopRule::within, 0.05};
  // The radius now against that of n_max samples in the same proportions.
  std::uint64_t stopped_at = 0;
  for (const std::uint64_t n : checkpoints(100'000)) {
    const VoteSplit votes = of_two(n - n / 100, n);
    if (stop_here(votes, settings, rule, 25)) {
      stopped_at = n;
      break;
    }
    EXPECT_LT(bound_votes(votes, settings).radius,
              0.95 * bound_votes(of_two(99'000, 100'000), settings).radius * (1 + 1e-3));
  }
  // p = 0.99: 9,500 samples when checked every 100 (mean over draws).
  EXPECT_GE(stopped_at, 7000u);
  EXPECT_LE(stopped_at, 14000u);
  EXPECT_EQ(stop_here(of_two(stopped_at - stopped_at / 100, stopped_at), settings, rule, 25),
            StopReason::target);
  // Unanimous: 62,200.
  EXPECT_FALSE(stop_here(of_two(60'000, 60'000), settings, rule, 25));
  EXPECT_EQ(stop_here(of_two(64'000, 64'000), settings, rule, 25), StopReason::target);
  EXPECT_EQ(stop_here(of_two(100'000, 100'000), settings, rule, 25), StopReason::n_max);
}

TEST(Stopping, AtARadiusBothWays) {
  const BoundSettings settings = run(100'000);  // r = 0.5 is one σ: p = 0.8413
  const Stopping rule{StopRule::at, 0.5};
  EXPECT_EQ(stop_here(of_two(500, 500), settings, rule, 25), StopReason::decided);
  EXPECT_GE(bound_votes(of_two(500, 500), settings).radius, 0.5);
  EXPECT_FALSE(stop_here(of_two(430, 500), settings, rule, 25));
  EXPECT_EQ(stop_here(of_two(360, 500), settings, rule, 25), StopReason::decided);  // p̄ = 0.80
  EXPECT_EQ(stop_here(of_two(150, 500), settings, rule, 25), StopReason::futile);
  EXPECT_EQ(stop_here(of_two(84'130, 100'000), settings, rule, 25), StopReason::n_max);
  // r = 0: is A the class at all?
  const Stopping any{StopRule::at, 0};
  EXPECT_EQ(stop_here(of_two(330, 500), settings, any, 25), StopReason::decided);
  EXPECT_GT(bound_votes(of_two(330, 500), settings).radius, 0);
  EXPECT_FALSE(stop_here(of_two(255, 500), settings, any, 25));
  EXPECT_EQ(stop_here(of_two(200, 500), settings, any, 25), StopReason::futile);
}

TEST(Stopping, FutilityInBothRulesAndInNeitherWithoutOne) {
  const BoundSettings settings = run(10'000);
  const VoteSplit hopeless = of_two(200, 500);  // p̄ = 0.469 at 1e-3
  EXPECT_EQ(stop_here(hopeless, settings, {StopRule::within, 0.05}, 10), StopReason::futile);
  EXPECT_EQ(stop_here(hopeless, settings, {StopRule::at, 0.3}, 10), StopReason::futile);
  EXPECT_FALSE(stop_here(hopeless, settings, {}, 10));
  EXPECT_EQ(stop_here(of_two(5000, 10'000), settings, {}, 10), StopReason::n_max);
}

// 45 % against a scattered rest: hopeless for 1 − p̲_A, certified where p̄_B is counted.
TEST(Stopping, CountedSecondBoundIsAskedWhereItIsUsed) {
  BoundSettings settings = run(100'000);
  const VoteSplit spread{2250, 600, 5000};
  const Stopping rule{StopRule::at, 0.1};
  EXPECT_EQ(stop_here(spread, settings, rule, 25), StopReason::futile);
  settings.p_b = SecondBound::counted;
  EXPECT_EQ(stop_here(spread, settings, rule, 25), StopReason::decided);
  EXPECT_GE(bound_votes(spread, settings).radius, 0.1);
  EXPECT_EQ(stop_here({1000, 2500, 5000}, settings, rule, 25), StopReason::futile);
}

// A certified decision is certified: whatever the counts, `decided` with a radius below the target
// means that more samples would hardly have reached it.
TEST(Stopping, DecisionsAreConsistentWithTheBound) {
  const BoundSettings settings = run(20'000);
  for (const std::uint64_t n : checkpoints(20'000))
    for (std::uint64_t a = n / 2; a <= n; a += 1 + n / 97) {
      const VoteSplit votes = of_two(a, n);
      const auto reason = stop_here(votes, settings, {StopRule::at, 0.6}, 20);
      const double radius = bound_votes(votes, settings).radius;
      if (n < 20'000 && radius >= 0.6) {
        EXPECT_EQ(reason, StopReason::decided);
      }
      if (n < 20'000 && reason == StopReason::decided && radius < 0.6) {
        EXPECT_LT(method_ceiling(votes, 1e-3 / 20, settings.sigma), 0.6 * (1 + 1e-9));
      }
      if (reason == StopReason::futile) {
        EXPECT_EQ(radius, 0);
      }
    }
}

TEST(Stopping, TargetsOutOfReachNameTheSamplesTheyTake) {
  const BoundSettings settings = run(1000, 0.001, 1);
  try {
    validate({StopRule::at, 3.0}, settings);
    FAIL();
  } catch (const UsageError& error) {
    const auto needed = samples_for_radius(3.0, settings);
    ASSERT_TRUE(needed);
    EXPECT_THAT(error.what(), testing::HasSubstr("n = " + std::to_string(*needed)));
    EXPECT_NO_THROW(validate({StopRule::at, 3.0}, run(*needed, 0.001, 1)));
    EXPECT_THROW(validate({StopRule::at, 3.0}, run(*needed - 1, 0.001, 1)), UsageError);
    // (α/2)^(1/n) = Φ(3)
    EXPECT_NEAR(static_cast<double>(*needed), std::log(0.0005) / std::log1p(-0.0013498980316301),
                1.5);
  }
  EXPECT_FALSE(samples_for_radius(7.0, settings));
  EXPECT_THROW(validate({StopRule::at, 7.0}, settings), UsageError);
  for (const double share : {0.0, 1.0, -0.05, std::nan("")})
    EXPECT_THROW(validate({StopRule::within, share}, settings), UsageError) << share;
  for (const double radius : {-1.0, HUGE_VAL, std::nan("")})
    EXPECT_THROW(validate({StopRule::at, radius}, settings), UsageError) << radius;
  EXPECT_NO_THROW(validate({StopRule::at, 0}, settings));
  EXPECT_NO_THROW(validate({}, settings));
  EXPECT_THROW(validate({}, run(10, 0.001)), UsageError)
      << "n_max = 10 certifies nothing at 0.0005";
  EXPECT_NO_THROW(validate({}, run(11, 0.001)));
  EXPECT_THROW(validate({}, run(1000, 0.7)), UsageError);
  BoundSettings fixed = settings;
  fixed.sampling = Sampling::fixed();
  EXPECT_THROW(validate({StopRule::within, 0.05}, fixed), UsageError);
  EXPECT_NO_THROW(validate({}, fixed));
}

TEST(MethodCeiling, BracketsTheTrueRadiusOfAHalfSpace) {
  // n = 100,000, p = 0.999, both at 0.001: 3.000 σ … 3.187 σ around 3.090.
  const VoteSplit votes = of_two(99'900, 100'000);
  EXPECT_NEAR(bound_votes(votes, {1, 0.001}).radius, 3.000, 5e-4);
  EXPECT_NEAR(method_ceiling(votes, 0.001, 1), 3.187, 1e-3);
  EXPECT_NEAR(method_ceiling(votes, 0.001, 0.5), 3.187 / 2, 1e-3);
  EXPECT_TRUE(std::isinf(method_ceiling(of_two(10, 10), 0.001, 1)));
  EXPECT_EQ(method_ceiling(of_two(400, 1000), 0.001, 1), 0);
  // A sequential run's ceiling holds at any n too, and is wider.
  EXPECT_GT(method_ceiling(votes, 0.001, 1, Sampling::up_to(200'000)),
            method_ceiling(votes, 0.001, 1));
  for (std::uint64_t k = 500; k < 1000; k += 7)
    EXPECT_GE(method_ceiling(of_two(k, 1000), 0.4, 1),
              bound_votes(of_two(k, 1000), {1, 0.4}).radius);
}

}  // namespace
}  // namespace smoothcert
