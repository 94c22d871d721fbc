// L1 certificates of uniform and of splitting noise, by brute force.
#include "smoothcert/l1_certificates.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using device::split_code;

TEST(SplitNoise, IsTheMiddleOfThePartThatHoldsThePixel) {
  // The cut at s = c + ½ grey levels leaves [0, s] and [s, 255]: middles s/2 and (s + 255)/2.
  for (const std::uint32_t width : {255u, 256u, 441u, 600u})
    for (std::uint32_t cut = 0; cut < width; ++cut)
      for (const int pixel : {0, 1, 17, 100, 254, 255}) {
        const double s = std::min(cut + 0.5, 255.0);
        const double middle = pixel > s ? (s + 255) / 2 : s / 2;
        EXPECT_EQ(split_code(pixel, cut, 0, width), middle / 255 * 1020) << cut << " " << pixel;
        // offset + split, modulo the width
        EXPECT_EQ(split_code(pixel, (cut + 7) % width, width - 7, width),
                  split_code(pixel, cut, 0, width));
      }
}

TEST(SplitNoise, AGreyLevelIsCrossedByExactlyOneSplit) {
  for (const std::uint32_t width : {255u, 300u})
    for (const std::uint32_t offset : {0u, 5u, width - 1})
      for (int pixel = 0; pixel < 255; ++pixel) {
        int changed = 0;
        for (std::uint32_t j = 0; j < width; ++j)
          changed += split_code(pixel, offset, j, width) != split_code(pixel + 1, offset, j, width);
        EXPECT_EQ(changed, 1) << pixel;
      }
}

TEST(SplitNoise, OffsetsAreDrawnOnceForAllImages) {
  std::vector<int> seen(441, 0);
  for (std::uint32_t pixel = 0; pixel < 44'100; ++pixel) {
    const std::uint32_t offset = device::split_offset(1, pixel, 441);
    ASSERT_LT(offset, 441u);
    ++seen[offset];
  }
  double chi2 = 0;
  for (const int count : seen) chi2 += (count - 100.0) * (count - 100.0) / 100.0;
  EXPECT_LT(std::fabs(chi2 - 440) / std::sqrt(880), 4.9);
  EXPECT_NE(device::split_offset(1, 0, 1 << 20), device::split_offset(2, 0, 1 << 20));
}

/// A two-pixel classifier that answers by hash, with a share of its answers fixed to class 1 and
/// some left out: nothing about it is smooth.
class HashModel {
 public:
  HashModel(std::uint64_t key, std::uint32_t bias) : key_(key), bias_(bias) {}
  int answer(int first, int second) const {
    std::uint64_t h =
        key_ + 1021 * static_cast<std::uint64_t>(first) + static_cast<std::uint64_t>(second);
    for (int round = 0; round < 3; ++round) h = (h ^ h >> 29) * 0xBF58476D1CE4E5B9u;
    if (h >> 40 & 15u) return h >> 8 % 64 & 0xFFu ? pick(h) : -1;
    return -1;
  }

 private:
  int pick(std::uint64_t h) const {
    return (h >> 16 & 0xFFu) < bias_ ? 1 : static_cast<int>((h >> 50) % 3);
  }
  std::uint64_t key_;
  std::uint32_t bias_;
};

struct Votes {
  std::vector<std::uint64_t> counts;
  std::uint64_t invalid = 0;
};

Votes votes_at(const HashModel& model, int first, int second, std::uint32_t width) {
  Votes votes{{0, 0, 0}, 0};
  for (std::uint32_t j = 0; j < width; ++j) {
    const int answer =
        model.answer(split_code(first, 11, j, width), split_code(second, 200, j, width));
    if (answer < 0)
      ++votes.invalid;
    else
      ++votes.counts[static_cast<std::size_t>(answer)];
  }
  return votes;
}

// Every image of the ball of K units, every classifier a hash: the answer must not change. A model
// that depends on both pixels at random changes about one vote a unit, so a K that is one too large
// would be caught by the models whose lead is small.
TEST(SplitCertificate, HoldsForEveryImageOfItsBall) {
  int balls = 0, images = 0;
  for (std::uint64_t trial = 0; trial < 60; ++trial) {
    const std::uint32_t width = 255 + static_cast<std::uint32_t>(trial % 4) * 15;
    const HashModel model(trial * 7919 + 13, static_cast<std::uint32_t>(trial % 6) * 5);
    const int x = 20 + static_cast<int>(trial * 37 % 200),
              y = 20 + static_cast<int>(trial * 91 % 200);
    const Votes at = votes_at(model, x, y, width);
    const SplitCertificate certificate = split_certificate(at.counts, at.invalid, width);
    ASSERT_GE(certificate.prediction, 0);
    const int reach = static_cast<int>(std::min<std::uint64_t>(certificate.units, 12));
    balls += reach > 0 ? 1 : 0;
    for (int dx = -reach; dx <= reach; ++dx)
      for (int dy = std::abs(dx) - reach; dy <= reach - std::abs(dx); ++dy) {
        const Votes there = votes_at(model, x + dx, y + dy, width);
        EXPECT_EQ(split_certificate(there.counts, there.invalid, width).prediction,
                  certificate.prediction)
            << trial << " " << dx << " " << dy;
        ++images;
      }
  }
  EXPECT_GT(balls, 30);
  EXPECT_GT(images, 2000);
}

/// Any way in which `changed` of the votes may have changed: the worst for A.
int worst_answer(std::vector<std::uint64_t> votes, int a, std::uint64_t changed) {
  for (std::size_t b = 0; b < votes.size(); ++b) {
    if (static_cast<int>(b) == a) continue;
    std::vector<std::uint64_t> moved = votes;
    const std::uint64_t lost = std::min(changed, moved[static_cast<std::size_t>(a)]);
    moved[static_cast<std::size_t>(a)] -= lost;
    moved[b] += lost;
    if (top_class(moved) != a) return static_cast<int>(b);
  }
  return a;
}

TEST(SplitCertificate, IsTheLargestThatVotesAloneAllow) {
  for (std::uint64_t trial = 0; trial < 3000; ++trial) {
    std::vector<std::uint64_t> votes(4, 0);
    std::uint64_t left = 255 + trial % 3, h = trial * 0x9E3779B97F4A7C15u;
    const auto width = static_cast<std::uint32_t>(left);
    for (std::size_t c = 0; c < 3; ++c) {
      votes[c] = (h >> (8 * c) & 0xFFu) % (left + 1);
      left -= votes[c];
    }
    votes[3] = left;
    std::rotate(votes.begin(), votes.begin() + static_cast<std::ptrdiff_t>(trial % 4), votes.end());
    const SplitCertificate c = split_certificate(votes, 0, width);
    EXPECT_EQ(c.prediction, top_class(votes));
    EXPECT_EQ(worst_answer(votes, c.prediction, c.units), c.prediction) << trial;
    EXPECT_NE(worst_answer(votes, c.prediction, c.units + 1), c.prediction) << trial;
  }
}

// One pixel, class 1 where it lies above the cut: g is known, and the certificate reaches it.
TEST(SplitCertificate, ReachesTheTrueDistanceOfAThreshold) {
  for (const std::uint32_t width : {255u, 256u, 301u}) {
    const auto votes_of = [&](int x) {
      std::vector<std::uint64_t> votes = {0, 0};
      for (std::uint32_t j = 0; j < width; ++j) ++votes[split_code(x, 99, j, width) > 510 ? 1 : 0];
      return votes;
    };
    std::vector<int> answer(256);
    for (int x = 0; x < 256; ++x) answer[static_cast<std::size_t>(x)] = top_class(votes_of(x));
    for (int x = 0; x < 256; ++x) {
      const SplitCertificate c = split_certificate(votes_of(x), 0, width);
      int nearest = 1;  // distance of the nearest pixel with another answer
      const auto other = [&](int at) {
        return at >= 0 && at < 256 && answer[static_cast<std::size_t>(at)] != c.prediction;
      };
      while (nearest < 256 && !other(x - nearest) && !other(x + nearest)) ++nearest;
      ASSERT_LT(nearest, 256);
      EXPECT_EQ(c.units + 1, static_cast<std::uint64_t>(nearest)) << width << " " << x;
      EXPECT_LE(static_cast<long double>(c.radius) * 255, static_cast<long double>(c.units));
      EXPECT_NEAR(c.radius, static_cast<double>(c.units) / 255, 1e-15);
    }
  }
}

TEST(SplitCertificate, TiesAndRefusals) {
  EXPECT_EQ(split_certificate(std::vector<std::uint64_t>{128, 128}, 0, 256).prediction, 0);
  EXPECT_EQ(split_certificate(std::vector<std::uint64_t>{128, 128}, 0, 256).units, 0u);
  EXPECT_EQ(split_certificate(std::vector<std::uint64_t>{129, 127}, 0, 256).units, 1u);
  EXPECT_EQ(split_certificate(std::vector<std::uint64_t>{127, 129}, 0, 256).units, 0u)
      << "one unit makes a tie, which goes to class 0";
  EXPECT_EQ(split_certificate(std::vector<std::uint64_t>{0, 0}, 255, 255).prediction, -1);
  EXPECT_EQ(split_certificate(std::vector<std::uint64_t>{200, 0}, 55, 255).units, 100u);
  EXPECT_THROW(split_certificate(std::vector<std::uint64_t>{200, 0}, 0, 255), Error);
  EXPECT_THROW(split_certificate(std::vector<std::uint64_t>{254, 0}, 0, 254), Error);
  EXPECT_THROW(split_certificate(std::vector<std::uint64_t>{255}, 0, 255), Error);
  EXPECT_EQ(split_width(0.5), 255u);
  EXPECT_EQ(split_width(0.5 * std::sqrt(3.0)), 442u);
  for (const double lambda : {0.0, -1.0, 0.499, 1e300, std::nan("")})
    EXPECT_THROW(split_width(lambda), UsageError) << lambda;
}

// One pixel, x + u ≤ threshold: the share of A is known exactly, and so is g.
TEST(UniformCertificate, ReachesTheTrueDistanceOfAThreshold) {
  constexpr std::uint32_t width = 256;
  for (std::uint32_t margin = 0; margin <= 128; ++margin) {
    const double q = static_cast<double>(margin + 1) / width;  // share that is not A
    const UniformCertificate c = uniform_certificate(q, width);
    // Each grey level towards the threshold costs 1/W; A answers while its share is > ½.
    const std::uint32_t first_lost = margin + 1 >= width / 2 ? 0 : width / 2 - (margin + 1);
    EXPECT_EQ(c.units, first_lost == 0 ? 0 : first_lost - 1) << margin;
    EXPECT_LE(c.radius * 255, first_lost) << margin;
    EXPECT_GE(c.radius * 255, first_lost * (1 - 1e-12)) << margin;
  }
}

TEST(UniformCertificate, SlackIsSpentAtBothEnds) {
  for (const double slack : {1e-6, 1e-3, 0.02}) {
    const double raw = 0.1, q = raw + slack;
    const UniformCertificate c = uniform_certificate(q, 1024, slack);
    const double units = 1024 * (0.5 - raw - 2 * slack);
    EXPECT_LE(c.radius * 255, units);
    EXPECT_NEAR(c.radius * 255, units, 1e-9);
    EXPECT_LT(static_cast<double>(c.units), units);
    EXPECT_GE(static_cast<double>(c.units) + 1, units - 1e-9);
  }
  EXPECT_EQ(uniform_certificate(0.49, 256, 0.02).radius, 0);
  EXPECT_EQ(uniform_certificate(1, 256).units, 0u);
  EXPECT_THROW(uniform_certificate(0, 256), UsageError);
  EXPECT_THROW(uniform_certificate(0.1, 0), UsageError);
  EXPECT_THROW(uniform_certificate(0.1, 256, -1), UsageError);
}

}  // namespace
}  // namespace smoothcert
