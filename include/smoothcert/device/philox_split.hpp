// Philox4x32-10 in two halves: what depends on the pixel group alone, and what depends on the
// sample alone. The same words as philox_at(), with 15 multiplications a call instead of 20: a
// kernel that draws many samples of one image keeps one PhiloxGroup per pixel group (shared by all
// samples) and one PhiloxSample per sample.
//
// With the counter (group, sample, image, purpose) the first two rounds never multiply a word that
// depends on both: round 0 multiplies group and image, round 1 multiplies one word of each half.
#pragma once

#include "smoothcert/device/philox.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// The keys of the ten rounds.
struct PhiloxKeys {
  std::uint32_t low[10], high[10];
};

SMOOTHCERT_HD PhiloxKeys philox_keys(std::uint64_t seed) {
  PhiloxKeys keys{};
  auto low = static_cast<std::uint32_t>(seed), high = static_cast<std::uint32_t>(seed >> 32);
  for (int round = 0; round < 10; ++round, low += kPhiloxW0, high += kPhiloxW1) {
    keys.low[round] = low;
    keys.high[round] = high;
  }
  return keys;
}

/// One 16-byte word a pixel group of an image and purpose.
struct alignas(16) PhiloxGroup {
  std::uint32_t v[4];
};

struct PhiloxSample {
  std::uint32_t high, low;
};

SMOOTHCERT_HD std::uint64_t philox_product(std::uint32_t multiplier, std::uint32_t word) {
  return std::uint64_t{multiplier} * word;
}
SMOOTHCERT_HD std::uint32_t high_word(std::uint64_t x) {
  return static_cast<std::uint32_t>(x >> 32);
}
SMOOTHCERT_HD std::uint32_t low_word(std::uint64_t x) { return static_cast<std::uint32_t>(x); }

SMOOTHCERT_HD PhiloxGroup philox_group(const PhiloxKeys& keys, std::uint32_t purpose,
                                       std::uint32_t image, std::uint32_t group) {
  const std::uint64_t g = philox_product(kPhiloxM0, group), i = philox_product(kPhiloxM1, image);
  const std::uint64_t second = philox_product(kPhiloxM1, high_word(g) ^ purpose ^ keys.high[0]);
  const std::uint32_t word0 = high_word(second) ^ low_word(i) ^ keys.low[1];
  const std::uint64_t third = philox_product(kPhiloxM0, word0);
  return {{low_word(g), low_word(second) ^ keys.low[2], high_word(third) ^ keys.high[2],
           low_word(third)}};
}

SMOOTHCERT_HD PhiloxSample philox_sample(const PhiloxKeys& keys, std::uint32_t image,
                                         std::uint32_t sample) {
  const std::uint64_t i = philox_product(kPhiloxM1, image);
  const std::uint64_t s = philox_product(kPhiloxM0, high_word(i) ^ sample ^ keys.low[0]);
  return {high_word(s) ^ keys.high[1], low_word(s)};
}

/// == philox_at(seed, purpose, image, sample, group).
SMOOTHCERT_HD PhiloxWords philox_join(const PhiloxKeys& keys, const PhiloxGroup& group,
                                      const PhiloxSample& sample) {
  const std::uint64_t p = philox_product(kPhiloxM1, sample.high ^ group.v[0]);
  PhiloxWords c{{high_word(p) ^ group.v[1], low_word(p), group.v[2] ^ sample.low, group.v[3]}};
#if defined(__CUDACC__)
#pragma unroll
#endif
  for (int round = 3; round < 10; ++round) {
    const std::uint64_t p0 = philox_product(kPhiloxM0, c.v[0]);
    const std::uint64_t p1 = philox_product(kPhiloxM1, c.v[2]);
    c = PhiloxWords{{high_word(p1) ^ c.v[1] ^ keys.low[round], low_word(p1),
                     high_word(p0) ^ c.v[3] ^ keys.high[round], low_word(p0)}};
  }
  return c;
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
