// The parts of Philox4x32-10 over lanes that do not depend on which counter word differs between
// lanes.
//
// A lane is a 64-bit word whose high half is rubbish: a 32×32→64 multiply reads only the low half,
// and h(x) is one shift. Even and odd samples live in two such vectors; their low halves interleave
// into one vector of 32-bit lanes.
#pragma once

#include "cpu/lanes.hpp"
#include "smoothcert/device/philox.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

typedef std::uint64_t Wide __attribute__((vector_size(4 * kLanes)));

SMOOTHCERT_HD Wide wide(std::uint64_t x) { return x - Wide{}; }

/// Low half × low half, 64 bits.
SMOOTHCERT_HD Wide multiply(Wide a, Wide b) {
#if defined(__AVX512F__)
  return (Wide)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
  return (Wide)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#else
  return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu);
#endif
}

/// The four counter words of kLanes / 2 samples.
struct Half {
  Wide c0, c1, c2, c3;
};

struct RoundKeys {
  std::uint32_t k0[10], k1[10];
};

SMOOTHCERT_HD RoundKeys round_keys(std::uint64_t seed) {
  RoundKeys keys;
  std::uint32_t k0 = static_cast<std::uint32_t>(seed), k1 = static_cast<std::uint32_t>(seed >> 32);
  for (int r = 0; r < 10; ++r) {
    keys.k0[r] = k0;
    keys.k1[r] = k1;
    k0 += device::kPhiloxW0;
    k1 += device::kPhiloxW1;
  }
  return keys;
}

/// Low halves of even and odd samples → one word per lane.
SMOOTHCERT_HD UintLanes interleave(Wide even, Wide odd) {
  return (UintLanes)((even & 0xFFFFFFFFu) | (odd << 32));
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
