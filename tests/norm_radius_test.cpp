// L2 radii in other norms.
#include "smoothcert/norm_radius.hpp"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_bin_float.hpp>
#include <cmath>

#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using Quad = boost::multiprecision::cpp_bin_float_quad;

TEST(LpRadius, IsTheExactOneRoundedDown) {
  for (const std::size_t pixels : {1ul, 784ul, 3072ul, 3ul * 512 * 512, 1ul << 60})
    for (const double radius : {0.0, 1e-9, 0.25, 3.1})
      for (const double p : {1.0, 1.5, 2.0, 2.0000001, 3.0, 7.3, 1e9, HUGE_VAL}) {
        const double r = lp_radius(radius, p, pixels);
        if (p <= 2) {
          EXPECT_EQ(r, radius);
          continue;
        }
        const Quad exponent = Quad(1) / 2 - (std::isinf(p) ? Quad(0) : 1 / Quad(p));
        const Quad exact = Quad(radius) * pow(Quad(pixels), -exponent);
        EXPECT_LE(Quad(r), exact) << pixels << " " << p;
        EXPECT_GE(Quad(r), exact * (1 - Quad(1e-13))) << pixels << " " << p;
      }
}

TEST(LpRadius, TheBallLiesInsideTheL2Ball) {
  // The corner of an L∞ ball is where it touches.
  const std::size_t pixels = 784;
  const double r = lp_radius(1.0, HUGE_VAL, pixels);
  EXPECT_LE(std::sqrt(static_cast<double>(pixels)) * r, 1);
  EXPECT_NEAR(r, 1.0 / 28, 1e-14);
  EXPECT_NEAR(lp_radius(1.0, 4, 16), 0.5, 1e-14);
}

TEST(LpRadius, RefusesNonsense) {
  EXPECT_THROW(lp_radius(1, 0.99, 10), UsageError);
  EXPECT_THROW(lp_radius(1, std::nan(""), 10), UsageError);
  EXPECT_THROW(lp_radius(1, 2, 0), UsageError);
  EXPECT_THROW(lp_radius(-1, 2, 10), UsageError);
  EXPECT_THROW(lp_radius(HUGE_VAL, 2, 10), UsageError);
}

}  // namespace
}  // namespace smoothcert
