// Numbers as text: rounded down, shortest, grouped.
#include "util/format_number.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace smoothcert {
namespace {

TEST(FormatNumber, DownNeverRoundsUp) {
  EXPECT_EQ(format_down(2.0746999, 4), "2.0746");
  EXPECT_EQ(format_down(0.99999999, 2), "0.99");
  EXPECT_EQ(format_down(1.0, 3), "1.000");
  EXPECT_EQ(format_down(2.9, 0), "2");
  EXPECT_EQ(format_down(-0.00001, 2), "0.00");
  EXPECT_EQ(format_down(std::nextafter(3.0, 0.0), 4), "2.9999");
  EXPECT_EQ(format_down(std::numeric_limits<double>::denorm_min(), 3), "0.000");
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    const double value = static_cast<double>(random() >> 11) * 0x1p-51;
    for (const int decimals : {1, 3, 6}) {
      const double shown = std::stod(format_down(value, decimals));
      ASSERT_LE(shown, value);
      ASSERT_GT(shown + std::pow(10.0, -decimals) * (1 + 1e-9), value);
    }
  }
}

TEST(FormatNumber, WhatIsNotANumberIsADash) {
  for (const double bad : {std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    EXPECT_EQ(format_down(bad, 2), "–");
    EXPECT_EQ(format_fixed(bad, 2), "–");
    EXPECT_EQ(format_percent(bad, 2), "–");
    EXPECT_EQ(format_shortest(bad), "–");
  }
  EXPECT_EQ(format_percent(-1, 2), "–");
}

TEST(FormatNumber, ForPeople) {
  EXPECT_EQ(format_percent(0.9653, 2), "96.53");
  EXPECT_EQ(format_shortest(0.05), "0.05");
  EXPECT_EQ(format_shortest(5), "5");
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(999), "999");
  EXPECT_EQ(format_count(1000), "1,000");
  EXPECT_EQ(format_count(12345678), "12,345,678");
  EXPECT_EQ(format_duration(0.44), "0.4 s");
  EXPECT_EQ(format_duration(59.4), "59 s");
  EXPECT_EQ(format_duration(75), "1 min 15 s");
  EXPECT_EQ(format_duration(7380), "2 h 3 min");
}

}  // namespace
}  // namespace smoothcert
