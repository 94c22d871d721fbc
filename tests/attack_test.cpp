// Attacks on small networks: steps, projections, budgets, the iterate that counts.
#include "smoothcert/attack.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "attack/attack_steps.hpp"
#include "attack/attack_strength.hpp"
#include "linear_model_support.hpp"

namespace smoothcert {
namespace {

using test::LinearModel;
using ::testing::HasSubstr;

constexpr ImageShape kShape{1, 6, 6};
constexpr std::size_t kPixels = 36;
constexpr int kClasses = 3;

std::vector<float> random_floats(std::size_t count, float low, float high, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> draw(low, high);
  std::vector<float> values(count);
  for (float& v : values) v = draw(random);
  return values;
}

LinearModel random_model(unsigned seed = 1) {
  return {kShape, kClasses, random_floats(kClasses * kPixels, -1, 1, seed),
          random_floats(kClasses, -0.1f, 0.1f, seed + 1)};
}

struct Distance {
  double l1 = 0, l2 = 0, linf = 0;
  std::size_t moved = 0;
};

Distance distance(std::span<const float> a, std::span<const float> b) {
  Distance d;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double gap = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    d.l1 += gap;
    d.l2 += gap * gap;
    d.linf = std::max(d.linf, gap);
    if (gap > 0) ++d.moved;
  }
  d.l2 = std::sqrt(d.l2);
  return d;
}

struct Attacked {
  std::vector<float> clean, x;
  [[nodiscard]] Distance moved(std::size_t i) const {
    return distance(std::span(clean).subspan(i * kPixels, kPixels),
                    std::span(x).subspan(i * kPixels, kPixels));
  }
};

constexpr std::size_t kImages = 20;
const std::vector<Label> kLabels = [] {
  std::vector<Label> labels(kImages);
  for (std::size_t i = 0; i < kImages; ++i) labels[i] = static_cast<Label>(i % kClasses);
  return labels;
}();

Attacked attack(BackendModel& model, const AttackSpec& spec, float low = 0.4f, float high = 0.6f) {
  Attacked result;
  result.clean = random_floats(kImages * kPixels, low, high, 7);
  result.x.resize(result.clean.size());
  std::vector<std::uint32_t> ids(kImages);
  std::iota(ids.begin(), ids.end(), 100u);
  attack_batch(model, spec, result.clean, kLabels, ids, result.x);
  return result;
}

AttackSpec named(const std::string& name, double epsilon) {
  auto spec = attack_from_name(name);
  spec.epsilon = epsilon;
  return spec;
}

TEST(AttackNames, AreTheStudysDefaults) {
  for (const auto& name : all_names<AttackKind>()) {
    const auto spec = attack_from_name(name);
    EXPECT_EQ(to_name(spec.kind), name);
    EXPECT_EQ(spec.epsilon, name.ends_with("linf") ? 0.3 : 5.0) << name;
    EXPECT_EQ(spec.steps, name.starts_with("pgd") ? 20 : 1) << name;
    EXPECT_EQ(spec.loss, LossKind::cross_entropy);
    EXPECT_FALSE(spec.random_start);
  }
}

TEST(AttackNames, SuggestTheNearest) {
  try {
    attack_from_name("pdg-l2");
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_THAT(e.what(), HasSubstr("did you mean 'pgd-l2'?"));
  }
}

TEST(AttackSpecCheck, RefusesNonsense) {
  const auto refused = [](const std::string& name, auto change) {
    auto spec = attack_from_name(name);
    change(spec);
    EXPECT_THROW(validate(spec), UsageError) << name;
  };
  refused("l2", [](auto& s) { s.epsilon = -1; });
  refused("l2", [](auto& s) { s.epsilon = std::nan(""); });
  refused("l2", [](auto& s) { s.random_start = true; });
  refused("pgd-l2", [](auto& s) { s.steps = 0; });
  refused("pgd-l2", [](auto& s) { s.step_size = -0.1; });
  refused("pgd-l2", [](auto& s) { s.restarts = 0; });
  refused("pgd-l2", [](auto& s) { s.restarts = 2; });  // without a random start
}

TEST(AttackBatch, RefusesSizesThatDiffer) {
  auto model = random_model();
  std::vector<float> x(kPixels), out(kPixels);
  const std::vector<Label> labels{0, 1};
  const std::vector<std::uint32_t> ids{0, 1};
  EXPECT_THROW(attack_batch(model, attack_from_name("l2"), x, labels, ids, out), UsageError);
}

// Far from the walls of [0,1] nothing is clamped: the distance is ε to float rounding.
TEST(OneStep, HasExactlyItsNorm) {
  auto model = random_model();
  for (const double epsilon : {0.01, 0.1, 0.35}) {
    const auto l2 = attack(model, named("l2", epsilon));
    const auto l1 = attack(model, named("l1", epsilon));
    const auto linf = attack(model, named("linf", epsilon));
    const auto steepest = attack(model, named("l1-steepest", epsilon));
    for (std::size_t i = 0; i < kImages; ++i) {
      EXPECT_NEAR(l2.moved(i).l2, epsilon, 4e-7) << epsilon;
      EXPECT_NEAR(l1.moved(i).l1, epsilon, 2e-6) << epsilon;
      EXPECT_NEAR(linf.moved(i).linf, epsilon, 1e-7) << epsilon;
      EXPECT_EQ(linf.moved(i).moved, kPixels);
      EXPECT_NEAR(steepest.moved(i).linf, epsilon, 1e-7) << epsilon;
      EXPECT_EQ(steepest.moved(i).moved, 1u);
    }
  }
}

TEST(OneStep, FollowsTheGradient) {
  auto model = random_model();
  const auto l2 = attack(model, named("l2", 0.2));
  std::vector<float> gradient(l2.clean.size());
  model.input_gradient(l2.clean, kLabels, LossKind::cross_entropy, gradient, {});
  for (std::size_t i = 0; i < kImages; ++i) {
    double dot = 0, norm = 0;
    for (std::size_t p = i * kPixels; p < (i + 1) * kPixels; ++p) {
      dot += static_cast<double>(gradient[p]) * (static_cast<double>(l2.x[p]) - l2.clean[p]);
      norm += static_cast<double>(gradient[p]) * gradient[p];
    }
    EXPECT_NEAR(dot / std::sqrt(norm), 0.2, 1e-6);
  }
  const auto steepest = attack(model, named("l1-steepest", 0.2));
  for (std::size_t i = 0; i < kImages; ++i) {
    const auto g = std::span(gradient).subspan(i * kPixels, kPixels);
    const auto top = std::max_element(g.begin(), g.end(),
                                      [](float a, float b) { return std::abs(a) < std::abs(b); });
    const auto p = i * kPixels + static_cast<std::size_t>(top - g.begin());
    EXPECT_NEAR(steepest.x[p] - steepest.clean[p], *top > 0 ? 0.2 : -0.2, 1e-7);
  }
}

TEST(OneStep, ATinyGradientIsStillAStepOfFullLength) {
  std::vector<float> weight = random_floats(kClasses * kPixels, -1, 1, 3);
  for (float& w : weight) w *= 1e-25f;
  LinearModel model(kShape, kClasses, weight, {0, 0, 0});
  const auto l2 = attack(model, named("l2", 0.2));
  for (std::size_t i = 0; i < kImages; ++i) EXPECT_NEAR(l2.moved(i).l2, 0.2, 4e-7);
}

TEST(AnyAttack, StaysInTheUnitBoxAndPgdInTheBall) {
  auto model = random_model();
  for (const auto& name : all_names<AttackKind>()) {
    auto spec = attack_from_name(name);
    if (name.starts_with("pgd")) spec.random_start = true;
    const auto result = attack(model, spec, 0.0f, 1.0f);
    for (const float v : result.x) {
      EXPECT_GE(v, 0.0f);
      EXPECT_LE(v, 1.0f);
    }
    for (const double epsilon : {0.05, 0.3, 2.0}) {
      spec.epsilon = epsilon;
      const auto small = attack(model, spec, 0.0f, 1.0f);
      for (std::size_t i = 0; i < kImages; ++i) {
        if (spec.kind == AttackKind::pgd_l2) {
          EXPECT_LE(small.moved(i).l2, epsilon + 1e-6);
        } else if (spec.kind == AttackKind::pgd_linf) {
          EXPECT_LE(small.moved(i).linf, epsilon + 1e-7);
        }
      }
    }
  }
}

TEST(AnyAttack, AZeroGradientLeavesTheImage) {
  LinearModel model(kShape, kClasses, std::vector<float>(kClasses * kPixels), {1, 2, 3});
  for (const auto& name : all_names<AttackKind>()) {
    const auto result = attack(model, attack_from_name(name), 0.0f, 1.0f);
    EXPECT_EQ(result.x, result.clean) << name;
  }
}

double total_loss(BackendModel& model, std::span<const float> x, LossKind loss) {
  std::vector<float> logits(kImages * kClasses);
  model.forward(x, logits);
  double total = 0;
  for (std::size_t i = 0; i < kImages; ++i)
    total += static_cast<double>(
        attack_detail::strength(std::span(logits).subspan(i * kClasses, kClasses), kLabels[i], loss)
            .loss);
  return total;
}

// A linear model has one best point in the L∞ ball, and one step already finds it.
TEST(ProjectedSteps, ReachTheOptimumOfALinearModel) {
  auto model = random_model();
  for (const auto& [pgd, fgm] : {std::pair{"pgd-linf", "linf"}, std::pair{"pgd-l2", "l2"}}) {
    auto spec = named(pgd, 0.2);
    spec.loss = LossKind::margin;
    auto single = named(fgm, 0.2);
    single.loss = LossKind::margin;
    const double many = total_loss(model, attack(model, spec).x, LossKind::margin);
    EXPECT_GE(many, total_loss(model, attack(model, single).x, LossKind::margin) - 1e-4) << pgd;
  }
}

// Per image: broken stays broken, and the loss never falls below the start's. A step this large
// overshoots, so the last iterate alone would not do.
TEST(ProjectedSteps, AreNeverWeakerThanTheirStart) {
  auto model = random_model(5);
  for (const LossKind loss : {LossKind::cross_entropy, LossKind::margin}) {
    auto spec = named("pgd-l2", 0.5);
    spec.loss = loss;
    spec.step_size = 40;
    const auto result = attack(model, spec, 0.0f, 1.0f);
    std::vector<float> before(kImages * kClasses), after(before);
    model.forward(result.clean, before);
    model.forward(result.x, after);
    for (std::size_t i = 0; i < kImages; ++i) {
      const auto row = [&](auto& all) { return std::span(all).subspan(i * kClasses, kClasses); };
      const auto start = attack_detail::strength(row(before), kLabels[i], loss);
      const auto end = attack_detail::strength(row(after), kLabels[i], loss);
      EXPECT_FALSE(start > end) << i;
    }
  }
}

TEST(ProjectedSteps, MoreRestartsAreNeverWeaker) {
  auto model = random_model(9);
  auto spec = named("pgd-l2", 0.4);
  spec.random_start = true;
  spec.steps = 1;
  double last = -1e9;
  for (const int restarts : {1, 2, 5, 10}) {
    spec.restarts = restarts;
    const double loss = total_loss(model, attack(model, spec).x, spec.loss);
    EXPECT_GE(loss, last);
    last = loss;
  }
}

TEST(RandomStarts, ArePureFunctionsOfSeedImageAndRestart) {
  const auto centre = random_floats(kPixels, 0.3f, 0.7f, 1);
  const auto start = [&](AttackKind kind, std::uint64_t seed, std::uint32_t image,
                         std::uint32_t restart) {
    std::vector<float> x(kPixels);
    attack_detail::random_start(kind, centre, 0.2f, seed, image, restart, x);
    return x;
  };
  for (const AttackKind kind : {AttackKind::pgd_l2, AttackKind::pgd_linf}) {
    const auto first = start(kind, 1, 2, 3);
    EXPECT_EQ(start(kind, 1, 2, 3), first);
    EXPECT_NE(start(kind, 9, 2, 3), first);
    EXPECT_NE(start(kind, 1, 9, 3), first);
    EXPECT_NE(start(kind, 1, 2, 9), first);
  }
}

// In 36 dimensions a uniform point of the ball is at (r/ε)^36 ~ U(0,1) of its radius.
TEST(RandomStarts, FillTheBallUniformly) {
  const std::vector<float> centre(kPixels, 0.5f);
  std::vector<float> x(kPixels);
  double l2_share = 0, linf_pixel = 0, linf_square = 0;
  constexpr int kDraws = 2000;
  for (std::uint32_t i = 0; i < kDraws; ++i) {
    attack_detail::random_start(AttackKind::pgd_l2, centre, 0.2f, 1, i, 0, x);
    const double r = distance(centre, x).l2;
    EXPECT_LE(r, 0.2 + 1e-6);
    l2_share += std::pow(r / 0.2, static_cast<double>(kPixels)) / kDraws;
    attack_detail::random_start(AttackKind::pgd_linf, centre, 0.2f, 1, i, 0, x);
    for (const float v : x) {
      const double offset = (static_cast<double>(v) - 0.5) / 0.2;
      linf_pixel += offset / (kDraws * kPixels);
      linf_square += offset * offset / (kDraws * kPixels);
    }
  }
  EXPECT_NEAR(l2_share, 0.5, 4.9 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(linf_pixel, 0.0, 4.9 * std::sqrt(1.0 / 3 / (kDraws * kPixels)));
  EXPECT_NEAR(linf_square, 1.0 / 3, 0.01);
}

TEST(Strength, BreakingCountsBeforeTheLoss) {
  using attack_detail::Strength;
  EXPECT_TRUE((Strength{true, 0.1f} > Strength{false, 9.0f}));
  EXPECT_TRUE((Strength{true, 0.2f} > Strength{true, 0.1f}));
  EXPECT_FALSE((Strength{false, 0.2f} > Strength{false, 0.2f}));
  const std::vector<float> tie{1.0f, 1.0f, 0.0f}, nan{0.0f, std::nanf(""), 0.0f};
  EXPECT_EQ(attack_detail::predicted_class(tie), 0);
  EXPECT_FALSE(attack_detail::strength(tie, 0, LossKind::margin).broken);
  EXPECT_TRUE(attack_detail::strength(tie, 1, LossKind::margin).broken);
  EXPECT_TRUE(attack_detail::strength(nan, 0, LossKind::cross_entropy).broken);
}

}  // namespace
}  // namespace smoothcert
