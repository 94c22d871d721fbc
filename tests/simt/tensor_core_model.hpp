// What a tensor core computes, from the fragment layouts of the PTX ISA. Products are exact, a k16
// block is summed in double onto C and rounded once to D's type.
#pragma once

#include <cstdint>

#include "engine.hpp"

namespace simt {

std::uint16_t to_half(double value);
double from_half(std::uint16_t bits);

/// From now on halves below the normal range are 0 as operands of products, which PTX allows; for
/// the test that notices it.
void flush_subnormals(bool flush);

/// `f` on both halves of three packed words.
template <class F>
std::uint32_t map_halves(std::uint32_t a, std::uint32_t b, std::uint32_t c, F f) {
  std::uint32_t r = 0;
  for (unsigned shift = 0; shift < 32; shift += 16) {
    const auto half = [shift](std::uint32_t w) {
      return from_half(static_cast<std::uint16_t>(w >> shift));
    };
    r |= std::uint32_t{to_half(f(half(a), half(b), half(c)))} << shift;
  }
  return r;
}

/// This lane's part of D = A·B + C: words are a[0..3], b[0..1] and, for fp16, c[0..1].
void mma_f16_lane(const LaneWords& lanes, unsigned lane, std::uint32_t (&d)[2]);
/// d holds the lane's part of C before and of D afterwards.
void mma_f32_lane(const LaneWords& lanes, unsigned lane, float (&d)[4]);

/// This lane's part of D (+)= A·B for a warp's 16 rows of a wgmma: words are a[0..3], B lies at `b`
/// in core matrices without swizzle (cuda/runtime/warpgroup.cuh), d has columns / 4 words.
void wgmma_lane(const LaneWords& lanes, unsigned lane, const unsigned char* b, int columns,
                bool accumulate, std::uint32_t* d);

}  // namespace simt
