// The portable twins of the leaves in cuda/runtime/tensor_core.cuh, from the PTX ISA. Included by
// it.
#pragma once

#include <cmath>

#include "cuda_builtins.hpp"
#include "tensor_core_model.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

inline void mma_f16(Half2 (&d)[2], const Half2 (&a)[4], const Half2 (&b)[2], const Half2 (&c)[2],
                    SIMT_CALLER) {
  const simt::Words words{a[0], a[1], a[2], a[3], b[0], b[1], c[0], c[1]};
  simt::mma_f16_lane(simt::detail::warp_exchange_words(words, {file, line}),
                     simt::detail::lane_id(), d);
}

inline void mma_f32(float (&d)[4], const Half2 (&a)[4], const Half2 (&b)[2], SIMT_CALLER) {
  const simt::Words words{a[0], a[1], a[2], a[3], b[0], b[1]};
  simt::mma_f32_lane(simt::detail::warp_exchange_words(words, {file, line}),
                     simt::detail::lane_id(), d);
}

inline Half2 pack_halves(float low, float high) {
  return simt::to_half(low) | std::uint32_t{simt::to_half(high)} << 16;
}

inline float max_or_nan(float a, float b) { return b > a || std::isnan(b) ? b : a; }

inline Half2 max_halves(Half2 a, Half2 b) {
  return simt::map_halves(
      a, b, 0, [](double x, double y, double) { return y > x || std::isnan(x) ? y : x; });
}

inline Half2 fma_relu_halves(Half2 a, Half2 b, Half2 c) {
  // A product of halves is exact in double and the sum of a third is rounded once more at 2^-53:
  // below a half's last bit by far.
  return simt::map_halves(a, b, c, [](double x, double y, double z) {
    const double v = x * y + z;
    return v > 0 || std::isnan(v) ? v : 0.0;
  });
}

inline std::uint32_t permute_bytes(std::uint32_t a, std::uint32_t b, std::uint32_t selector) {
  const std::uint64_t bytes = std::uint64_t{b} << 32 | a;
  std::uint32_t r = 0;
  for (unsigned i = 0; i < 4; ++i) {
    r |= static_cast<std::uint32_t>(bytes >> 8 * (selector >> 4 * i & 7u) & 0xFFu) << 8 * i;
  }
  return r;
}

inline std::uint32_t add_clamp_s16x2(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  std::uint32_t r = 0;
  for (unsigned shift = 0; shift < 32; shift += 16) {
    const auto x = static_cast<std::int16_t>((a >> shift) + (b >> shift));
    const auto limit = static_cast<std::int16_t>(c >> shift);
    const int v = x < limit ? x : limit;
    r |= static_cast<std::uint32_t>(static_cast<std::uint16_t>(v < 0 ? 0 : v)) << shift;
  }
  return r;
}

inline std::uint32_t rotate_left(std::uint32_t a, std::uint32_t bits) {
  return std::rotl(a, static_cast<int>(bits));
}

inline std::uint32_t min3(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  const std::uint32_t m = a < b ? a : b;
  return m < c ? m : c;
}

inline float approximate_log2(float x) { return std::log2(x); }
inline float approximate_sqrt(float x) { return std::sqrt(x); }
inline float approximate_sin(float x) { return std::sin(x); }
inline float approximate_cos(float x) { return std::cos(x); }
inline float fma_saturate(float a, float b, float c) {
  const float v = std::fma(a, b, c);
  return v > 1.0f ? 1.0f : (v > 0.0f ? v : 0.0f);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
