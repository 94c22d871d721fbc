// The alias table against independently computed integers, and the way it is read.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <sstream>

#include "places_support.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {
namespace {

using Wide = unsigned __int128;

device::LatticeView view(const LatticeTable& t) {
  return {t.hot.data(), t.cold.data(), t.log2_columns, t.offset};
}

/// Exact weight of every value, by the definition in lattice_noise.hpp.
std::map<int, Wide> weights_of(const LatticeTable& t) {
  std::map<int, Wide> weights;
  const int length = t.log2_columns;
  for (std::uint32_t c = 0; c < t.hot.size(); ++c) {
    const Wide threshold = Wide{t.hot[c] >> length} << 32 | t.cold[c];
    const std::uint32_t alias = t.hot[c] & ((1u << length) - 1);
    weights[static_cast<int>(c) - t.offset] += threshold;
    weights[static_cast<int>(alias) - t.offset] += (Wide{1} << (64 - length)) - threshold;
  }
  return weights;
}

TEST(LatticeTable, WeightsEqualTheIndependentlyComputedOnes) {
  // golden/lattice_weights.txt comes from golden/make_lattice_weights.py (mpmath, 60 digits).
  std::ifstream in(test::source_folder().string() + "/tests/golden/lattice_weights.txt");
  ASSERT_TRUE(in) << "tests/golden/lattice_weights.txt is missing";
  double sigma = 0;
  int length = 0, checked = 0;
  std::string k, value;
  std::map<double, std::map<int, Wide>> weights;
  while (in >> sigma >> length >> k >> value) {
    const auto table = make_lattice_table(sigma, 784);
    ASSERT_EQ(table->log2_columns, length) << "sigma " << sigma;
    if (weights.count(sigma) == 0) weights[sigma] = weights_of(*table);
    if (k == "slack") {
      EXPECT_GE(table->slack_per_pixel, std::stod(value)) << "sigma " << sigma;
      EXPECT_LE(table->slack_per_pixel, std::stod(value) * (1 + 1e-10)) << "sigma " << sigma;
    } else {
      for (const int sign : {1, -1})
        EXPECT_EQ(static_cast<std::uint64_t>(weights[sigma][sign * std::stoi(k)]),
                  std::stoull(value))
            << "sigma " << sigma << " k " << sign * std::stoi(k);
    }
    ++checked;
  }
  EXPECT_EQ(checked, 85);
}

TEST(LatticeTable, WeightsAddUpToTwoToThe64) {
  for (const double sigma : {0.25, 0.5, 1.0, 0.12, 0.7}) {
    Wide sum = 0;
    for (const auto& [value, weight] : weights_of(*make_lattice_table(sigma, 784))) sum += weight;
    EXPECT_TRUE(sum == Wide{1} << 64) << sigma;
  }
}

TEST(LatticeTable, GoldenHashes) {
  EXPECT_EQ(make_lattice_table(0.25, 784)->sha256,
            "5fd32cb4875738edf4c0c71bdeea4958c385dd419b91ca1600ac641fd4f22b0b");
  EXPECT_EQ(make_lattice_table(0.5, 784)->sha256,
            "c603104864c4f8c44bc84dd1f5c5d3d639a1696ec4aae1fd8dcc42e791845c92");
  EXPECT_EQ(make_lattice_table(1.0, 784)->sha256,
            "097e81ae0fa4cb33e2d82f1325aec06026d22b8b097de27b538c5d258f28116a");
}

TEST(LatticeTable, SlackStaysBelowOneInTenToTheEleven) {
  for (const double sigma : {0.25, 0.5, 1.0})
    for (const std::size_t pixels : {784u, 3072u})
      EXPECT_LE(make_lattice_table(sigma, pixels)->slack_per_pixel * static_cast<double>(pixels),
                1e-11);
}

TEST(LatticeTable, RefusesWhatItCannotDraw) {
  for (const double sigma : {0.0, -1.0, 4.01, 5.0, 1e-9, std::nan(""), HUGE_VAL})
    EXPECT_THROW(make_lattice_table(sigma, 784), UsageError) << sigma;
}

// What used to be refused: large σ, large images. The slack is subtracted, and it is known.
TEST(LatticeTable, GoesUpToSigma4AndImagesOf512x512) {
  struct Case {
    double sigma;
    std::size_t pixels;
    int log2_columns;
    double most_slack;
    const char* sha256;
  };
  for (const Case& c :
       {Case{0.5, 150528, 12, 1e-11,
             "c603104864c4f8c44bc84dd1f5c5d3d639a1696ec4aae1fd8dcc42e791845c92"},
        {0.75, 150528, 12, 2e-11,
         "befcffef03bef610930f66484dcda5e0310415edd26cfce9dbd7f0344aa353bf"},
        {1.0, 150528, 13, 2e-11,
         "fe8dfff4e3b19fbf22df48cbdbbbc3a2296895a7a29cf3262a4f2d108c0b79ba"},
        {1.01, 784, 13, 1e-11, "ccadaa761a788658f6ebc59fc9b865d8eff853a4111569eedcd46c9f316299c6"},
        {2.0, 150528, 14, 4e-11,
         "0fab06359fe8ce46d273d5ae8c726ce7a727deb724e584ef65ba2dac75545544"},
        {4.0, 784, 14, 1e-11, "32a5506680be7e8f0d1f95833443e377f2519ab931d30d61f3ae5a6a2597b953"},
        {4.0, 786432, 15, 4e-10,
         "395cc446c6e5f22b5717bde85b738806c7df69c7ac0e34203e88e35e90154dd6"}}) {
    const auto table = make_lattice_table(c.sigma, c.pixels);
    EXPECT_EQ(table->log2_columns, c.log2_columns) << c.sigma << " " << c.pixels;
    EXPECT_LE(table->slack_per_pixel * static_cast<double>(c.pixels), c.most_slack) << c.sigma;
    EXPECT_EQ(table->sha256, c.sha256) << c.sigma << " " << c.pixels;
    Wide sum = 0;
    for (const auto& [value, weight] : weights_of(*table)) sum += weight;
    EXPECT_TRUE(sum == Wide{1} << 64) << c.sigma;
  }
}

TEST(LatticeTable, IsMadeOncePerSigma) {
  EXPECT_EQ(make_lattice_table(0.25, 784), make_lattice_table(0.25, 3072));
}

// Forced words: every decision of the sampler at its edges, against 96-bit integer arithmetic.
TEST(LatticeNoise, ForcedWordsAndThresholdEquality) {
  for (const double sigma : {0.25, 1.0}) {
    const auto table = make_lattice_table(sigma, 784);
    const int length = table->log2_columns;
    const auto columns = static_cast<std::uint32_t>(table->hot.size());
    for (std::uint32_t c = 0; c < columns; ++c) {
      const std::uint32_t threshold = table->hot[c] >> length, base = c << (32 - length);
      const std::uint32_t last = 0xFFFFFFFFu >> length;
      const int own = static_cast<int>(c) - table->offset;
      const int alias = static_cast<int>(table->hot[c] & (columns - 1)) - table->offset;
      const auto draw = [&](std::uint32_t fraction, std::uint32_t second, bool expect_second) {
        bool asked = false;
        const int n = device::lattice_noise(view(*table), base | fraction, [&] {
          asked = true;
          return second;
        });
        EXPECT_EQ(asked, expect_second);
        return n;
      };
      if (threshold > 0) {
        EXPECT_EQ(draw(threshold - 1, 0xFFFFFFFFu, false), own);
      }
      if (threshold < last) {
        EXPECT_EQ(draw(threshold + 1, 0, false), alias);
      }
      const std::uint32_t cold = table->cold[c];
      if (cold > 0) {
        EXPECT_EQ(draw(threshold, cold - 1, true), own);
      }
      EXPECT_EQ(draw(threshold, cold, true), alias);
    }
  }
}

TEST(LatticeNoise, FirstAndLastWord) {
  const auto table = make_lattice_table(1.0, 784);
  const auto never = []() -> std::uint32_t { return 0; };
  // Column 0 (−2048) has no weight; its alias must answer. The last column (2047) has 293/2^64.
  EXPECT_GT(device::lattice_noise(view(*table), 0, never), -2048);
  EXPECT_LE(std::abs(device::lattice_noise(view(*table), 0xFFFFFFFFu, never)), 2047);
}

TEST(LatticeNoise, SecondWordComesFromTheTaggedCounter) {
  // A table of two columns whose thresholds make every draw an equality, and the second word
  // decide.
  const std::uint32_t hot[2] = {0, 0}, cold[2] = {0x80000000u, 0x80000000u};
  const std::uint32_t column_words[] = {0, 0x80000000u};
  const device::LatticeView coin{hot, cold, 1, 0};
  for (const std::uint32_t word : column_words)
    EXPECT_EQ(device::lattice_noise(coin, word, [] { return 0x7FFFFFFFu; }), word == 0 ? 0 : 1);
  // On the real table: find a pixel whose first word ties and repeat the draw by hand.
  const auto table = make_lattice_table(1.0, 784);
  int ties = 0;
  for (std::uint32_t group = 0; group < (1u << 21) && ties < 3; ++group) {
    const auto words = device::philox_at(5, 1, 2, 3, group);
    for (std::uint32_t i = 0; i < 4; ++i) {
      const std::uint32_t column = words.v[i] >> 20, hot_word = table->hot[column];
      if ((words.v[i] & 0xFFFFFu) != hot_word >> 12) continue;
      ++ties;
      const std::uint32_t second = device::philox_at(5, 1 | 0x80000000u, 2, 3, group).v[i];
      const int expected = second < table->cold[column] ? static_cast<int>(column)
                                                        : static_cast<int>(hot_word & 0xFFFu);
      EXPECT_EQ(device::lattice_noise_at(view(*table), 5, 1, 2, 3, 4 * group + i),
                expected - table->offset);
    }
  }
  EXPECT_GE(ties, 1);
}

TEST(LatticeNoise, PixelIsAnIntegerClampedOrNot) {
  EXPECT_EQ(device::lattice_pixel(200, 100, true), 255);
  EXPECT_EQ(device::lattice_pixel(200, 100, false), 300);
  EXPECT_EQ(device::lattice_pixel(3, -100, true), 0);
  EXPECT_EQ(device::lattice_pixel(3, -100, false), -97);
  EXPECT_EQ(device::lattice_input(255), 255 * (1.0f / 255.0f));
  EXPECT_EQ(device::lattice_input(0), 0.0f);
}

// χ² of 2^20 draws against the exact law, and variance s² + 1/12 (Sheppard).
TEST(LatticeNoise, LawOfAMillionDraws) {
  for (const double sigma : {0.25, 1.0}) {
    const auto table = make_lattice_table(sigma, 784);
    const double s = 255 * sigma, n = 1 << 20;
    std::map<int, double> count;
    double sum = 0, squares = 0;
    for (std::uint32_t group = 0; group < (1u << 18); ++group) {
      const auto words = device::philox_at(11, 0, 0, 0, group);
      for (std::uint32_t i = 0; i < 4; ++i) {
        const int k = device::lattice_noise(view(*table), words.v[i], [&] {
          return device::philox_at(11, kRefineTag, 0, 0, group).v[i];
        });
        ++count[k];
        sum += k;
        squares += static_cast<double>(k) * k;
      }
    }
    const auto phi = [&](double x) { return 0.5 * std::erfc(-x / s / std::sqrt(2.0)); };
    double chi2 = 0, expected = 0, observed = 0;
    int cells = 0;
    for (int k = -2047; k <= 2047; ++k) {
      expected += n * (phi(k + 0.5) - phi(k - 0.5));
      observed += count[k];
      if (expected < 20) continue;
      chi2 += (observed - expected) * (observed - expected) / expected;
      expected = observed = 0;
      ++cells;
    }
    EXPECT_LT(std::fabs(chi2 - (cells - 1)) / std::sqrt(2.0 * (cells - 1)), 4.9) << sigma;
    const double mean = sum / n, variance = squares / n - mean * mean;
    EXPECT_LT(std::fabs(mean) / (s / std::sqrt(n)), 4.9);
    const double law = s * s + 1.0 / 12;
    EXPECT_LT(std::fabs(variance - law) / (law * std::sqrt(2 / n)), 4.9);
  }
}

}  // namespace
}  // namespace smoothcert
