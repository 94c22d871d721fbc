// Philox4x32-10 against its published vectors, and the layout of counters.
#include "smoothcert/device/philox.hpp"

#include <gtest/gtest.h>

namespace smoothcert::device {
namespace {

struct KnownAnswer {
  PhiloxWords counter;
  std::uint32_t key_lo, key_hi;
  PhiloxWords expected;
};

// Known answers of the Random123 distribution (kat_vectors, philox4x32 10 rounds).
const KnownAnswer kKnownAnswers[] = {
    {{{0, 0, 0, 0}}, 0, 0, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
    {{{~0u, ~0u, ~0u, ~0u}}, ~0u, ~0u, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
    {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
     0xa4093822,
     0x299f31d0,
     {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
};

TEST(Philox, KnownAnswers) {
  for (const auto& kat : kKnownAnswers) {
    const PhiloxWords got = philox4x32_10(kat.counter, kat.key_lo, kat.key_hi);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(got.v[i], kat.expected.v[i]);
  }
}

TEST(Philox, CounterLayoutIsGroupSampleImagePurpose) {
  const PhiloxWords a = philox_at(0x0000000700000005u, 1, 2, 3, 4);
  const PhiloxWords b = philox4x32_10(PhiloxWords{{4, 3, 2, 1}}, 5, 7);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(a.v[i], b.v[i]);
}

}  // namespace
}  // namespace smoothcert::device
