// Box–Muller: accuracy against double arithmetic, the law, and equal bits on lanes.
#include "smoothcert/device/normal.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numbers>
#include <vector>

#include "cpu/lane_math.hpp"

namespace smoothcert {
namespace {

using device::normal_pair;
using device::ScalarMath;
using Pair = device::NormalPair<ScalarMath>;

double exact_radius(std::uint32_t w) {
  // ln u through log1p of the exact 1 − u where that is small
  const double complement = (static_cast<double>(~w) + 0.5) * 0x1p-32;
  return std::sqrt(-2.0 * std::log1p(-complement));
}

std::vector<std::uint32_t> awkward_words() {
  std::vector<std::uint32_t> words;
  for (int bit = 0; bit < 32; ++bit)
    for (int d = -3; d <= 3; ++d)
      words.push_back((std::uint32_t{1} << bit) + static_cast<std::uint32_t>(d));
  for (std::uint32_t octant = 0; octant < 8; ++octant)
    for (int d = -300; d <= 300; d += 50)
      words.push_back((octant << 29) + static_cast<std::uint32_t>(d));
  for (int d = -5; d <= 5; ++d)  // where the logarithm's two expressions meet
    words.push_back(0xB504F333u + static_cast<std::uint32_t>(100 * d));
  return words;
}

TEST(Normal, WithinOneMillionthOfDoubleArithmetic) {
  double worst = 0, worst_radius = 0;
  const auto check = [&](std::uint32_t a, std::uint32_t b) {
    const Pair z = normal_pair<ScalarMath>(a, b);
    const double r = exact_radius(a), theta = 2 * std::numbers::pi * (b * 0x1p-32);
    worst = std::max({worst, std::fabs(z.first - r * std::cos(theta)),
                      std::fabs(z.second - r * std::sin(theta))});
    worst_radius = std::max(worst_radius, std::fabs(device::normal_radius<ScalarMath>(a) - r) / r);
  };
  const auto words = awkward_words();
  for (const std::uint32_t a : words)
    for (const std::uint32_t b : words) check(a, b);
  for (std::uint32_t g = 0; g < 200000; ++g) {
    const auto w = device::philox_at(1, 0, 0, 0, g);
    check(w.v[0], w.v[1]);
  }
  EXPECT_LT(worst, 1e-6);
  EXPECT_LT(worst_radius, 2.5e-7);
  RecordProperty("worst_z", std::to_string(worst));
}

TEST(Normal, SmallestAndLargestRadius) {
  EXPECT_NEAR(device::normal_radius<ScalarMath>(0), std::sqrt(2 * 33 * std::numbers::ln2), 1e-6);
  const float smallest = device::normal_radius<ScalarMath>(0xFFFFFFFFu);
  EXPECT_NEAR(smallest, std::sqrt(0x1p-32), 1e-11);
  EXPECT_GT(smallest, 0.0f);
}

TEST(Normal, PixelsShareTheWordsOfTheirPair) {
  const auto w = device::philox_at(9, 1, 2, 3, 5);
  const Pair low = normal_pair<ScalarMath>(w.v[0], w.v[1]);
  const Pair high = normal_pair<ScalarMath>(w.v[2], w.v[3]);
  EXPECT_EQ(device::normal_at(9, 1, 2, 3, 20), low.first);
  EXPECT_EQ(device::normal_at(9, 1, 2, 3, 21), low.second);
  EXPECT_EQ(device::normal_at(9, 1, 2, 3, 22), high.first);
  EXPECT_EQ(device::normal_at(9, 1, 2, 3, 23), high.second);
}

// Stratified radius words (every 2^32/m-th) remove most of the sampling error of the radius.
TEST(Normal, MomentsOfTheRadiusLaw) {
  const std::uint32_t m = 1u << 20;
  double r2 = 0, r4 = 0, r6 = 0;
  for (std::uint32_t i = 0; i < m; ++i) {
    const double r = device::normal_radius<ScalarMath>(i * 4096u + 2048u);
    r2 += r * r;
    r4 += r * r * r * r;
    r6 += r * r * r * r * r * r;
  }
  EXPECT_NEAR(r2 / m, 2, 1e-4);  // r² is exponential with mean 2
  EXPECT_NEAR(r4 / m, 8, 2e-3);
  EXPECT_NEAR(r6 / m, 48, 0.05);
}

struct Draws {
  std::vector<float> z;
};
const Draws& draws() {
  static const Draws d = [] {
    Draws made;
    made.z.reserve(1u << 20);
    for (std::uint32_t g = 0; g < (1u << 18); ++g) {
      const auto w = device::philox_at(77, 1, 4, 0, g);
      for (int i = 0; i < 4; i += 2) {
        const Pair p = normal_pair<ScalarMath>(w.v[i], w.v[i + 1]);
        made.z.push_back(p.first);
        made.z.push_back(p.second);
      }
    }
    return made;
  }();
  return d;
}

TEST(Normal, MomentsOfAMillionDraws) {
  const auto& z = draws().z;
  const double n = static_cast<double>(z.size());
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, cross = 0, cross2 = 0;
  for (std::size_t i = 0; i < z.size(); ++i) {
    const double x = z[i];
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
    m4 += x * x * x * x;
    if (i % 2 == 0) {
      cross += x * z[i + 1];
      cross2 += (x * x - 1) * (static_cast<double>(z[i + 1]) * z[i + 1] - 1);
    }
  }
  EXPECT_LT(std::fabs(m1 / n) * std::sqrt(n), 4.9);
  EXPECT_LT(std::fabs(m2 / n - 1) * std::sqrt(n / 2), 4.9);
  EXPECT_LT(std::fabs(m3 / n) * std::sqrt(n / 15), 4.9);
  EXPECT_LT(std::fabs(m4 / n - 3) * std::sqrt(n / 96), 4.9);
  EXPECT_LT(std::fabs(cross) / std::sqrt(n / 2), 4.9);
  EXPECT_LT(std::fabs(cross2) / (2 * std::sqrt(n / 2)), 4.9);
}

TEST(Normal, ChiSquareOfAMillionDraws) {
  const auto& z = draws().z;
  constexpr int kCells = 200;  // equally likely under Φ
  std::vector<double> count(kCells, 0);
  for (const float x : z) {
    const double p = 0.5 * std::erfc(-x / std::numbers::sqrt2);
    ++count[static_cast<std::size_t>(std::min<double>(kCells - 1, p * kCells))];
  }
  const double expected = static_cast<double>(z.size()) / kCells;
  double chi2 = 0;
  for (const double c : count) chi2 += (c - expected) * (c - expected) / expected;
  EXPECT_LT(std::fabs(chi2 - (kCells - 1)) / std::sqrt(2.0 * (kCells - 1)), 4.9) << chi2;
}

// Tail probabilities of r² ~ exponential are exact functions of the word: count words, not draws.
TEST(Normal, TailsReachBeyondFiveAndAHalf) {
  for (const double t : {3.0, 4.0, 5.0, 5.5, 6.0, 6.5}) {
    // the smallest word whose radius is ≤ t, by bisection (the radius falls with the word)
    std::uint32_t below = 0, above = 0xFFFFFFFFu;
    while (above - below > 1) {
      const std::uint32_t mid = below + (above - below) / 2;
      (device::normal_radius<ScalarMath>(mid) > t ? below : above) = mid;
    }
    const double p = std::exp(-t * t / 2);
    EXPECT_NEAR(above * 0x1p-32, p, 1.5 * 0x1p-32 + 4e-6 * p) << t;
  }
  float largest = 0;
  for (const float x : draws().z) largest = std::max(largest, std::fabs(x));
  EXPECT_GT(largest, 4.2f);  // P(max of 2^20 normals < 4.2) < 1e-12
  EXPECT_LT(largest, 6.77f);
}

TEST(Normal, LanesGiveTheBitsOfTheScalar) {
  using cpu::kLanes;
  using cpu::LaneMath;
  auto words = awkward_words();
  for (std::uint32_t g = 0; g < 20000; ++g)
    for (const std::uint32_t w : device::philox_at(3, 0, 0, 0, g).v) words.push_back(w);
  for (std::size_t at = 0; at + 2 * kLanes <= words.size(); at += 2 * kLanes) {
    cpu::UintLanes a, b;
    for (int l = 0; l < kLanes; ++l) {
      a[l] = words[at + static_cast<std::size_t>(l)];
      b[l] = words[at + static_cast<std::size_t>(kLanes + l)];
    }
    const auto pair = normal_pair<LaneMath>(a, b);
    const auto noisy =
        device::gaussian_pixel<LaneMath>(cpu::broadcast(0.5f), 0.25f, pair.first, true);
    for (int l = 0; l < kLanes; ++l) {
      const Pair scalar = normal_pair<ScalarMath>(a[l], b[l]);
      ASSERT_EQ(ScalarMath::float_to_bits(pair.first[l]), ScalarMath::float_to_bits(scalar.first));
      ASSERT_EQ(ScalarMath::float_to_bits(pair.second[l]),
                ScalarMath::float_to_bits(scalar.second));
      ASSERT_EQ(noisy[l], device::gaussian_pixel<ScalarMath>(0.5f, 0.25f, scalar.first, true));
    }
  }
}

TEST(Normal, NoisyPixelIsOneFmaAndAClamp) {
  EXPECT_EQ(device::gaussian_pixel<ScalarMath>(0.3f, 0.7f, 1.1f, false),
            std::fma(0.7f, 1.1f, 0.3f));
  EXPECT_EQ(device::gaussian_pixel<ScalarMath>(0.3f, 0.7f, 2.0f, true), 1.0f);
  EXPECT_EQ(device::gaussian_pixel<ScalarMath>(0.3f, 0.7f, -2.0f, true), 0.0f);
}

}  // namespace
}  // namespace smoothcert
