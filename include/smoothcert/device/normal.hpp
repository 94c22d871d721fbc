// Continuous Gaussian noise in float32: Box & Muller 1958, written out in add, multiply, fma, sqrt,
// shifts and selects, with no call into a math library, so that a CPU lane, a CPU scalar and a GPU
// thread produce the same bits.
//
// A pair of normals takes two words of one Philox call:
//   u = (w₀ + ½)·2^−32 ∈ (0, 1),  r = √(−2 ln u),  θ = 2π·w₁·2^−32,  z = (r cos θ, r sin θ).
// All 32 bits of both words count. |z| ≤ √(2·33·ln 2) = 6.764; z differs from the exact function of
// (w₀, w₁) by less than 1e-6 (about 2.5e-7·max(1, |z|)). Pixel p even takes r cos θ of words
// p mod 4 and p mod 4 + 1, pixel p + 1 takes r sin θ.
//
// Certificates on this noise hold in real arithmetic only; lattice_noise.hpp is the sound default.
//
// `Math` carries the value types and the few operations without an operator: ScalarMath, or groups
// of lanes on the CPU (src/cpu/lane_math.hpp).
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/device/scalar_math.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

template <class Math>
struct NormalPair {
  typename Math::Float first, second;  ///< pixels p (even) and p + 1
};

/// (w + ½)·2^−32 with one rounding: both halves of w are exact floats.
template <class Math>
SMOOTHCERT_HD typename Math::Float unit_interval(typename Math::Uint w) {
  const auto high = Math::to_float(Math::to_signed(w >> 16));
  const auto low = Math::to_float(Math::to_signed(w & 0xFFFFu)) + 0.5f;
  return Math::fma(high, Math::splat(0x1p-16f), low * 0x1p-32f);
}

/// r = √(−2 ln u), u = (w + ½)·2^−32.
template <class Math>
SMOOTHCERT_HD typename Math::Float normal_radius(typename Math::Uint w) {
  constexpr std::uint32_t kRootHalfBits = 0x3F3504F3u;  // √½
  const auto u = unit_interval<Math>(w);
  // u = 2^e · (1 + f), 1 + f ∈ [√½, √2)
  const auto bits = Math::float_to_bits(u) - kRootHalfBits;
  const auto e = Math::to_float(Math::to_signed(bits) >> 23);
  auto f = Math::bits_to_float((bits & 0x7FFFFFu) + kRootHalfBits) - 1.0f;
  // Near 1 the float u has lost the digits that matter; 1 − u has them, and e = 0.
  f = Math::select(u >= Math::splat(0x1.6A09E6p-1f), -unit_interval<Math>(~w), f);
  // ln(1 + f) = f − f²/2 + f³·P(f), P minimax (relative error of ln below 6e-9 before rounding)
  auto p = Math::splat(-0.07634493f);
  p = Math::fma(p, f, Math::splat(0.127615756f));
  p = Math::fma(p, f, Math::splat(-0.131601831f));
  p = Math::fma(p, f, Math::splat(0.142017582f));
  p = Math::fma(p, f, Math::splat(-0.166233573f));
  p = Math::fma(p, f, Math::splat(0.200012269f));
  p = Math::fma(p, f, Math::splat(-0.25000821f));
  p = Math::fma(p, f, Math::splat(0.333333317f));
  const auto log1p = Math::fma(f * f, Math::fma(f, p, Math::splat(-0.5f)), f);
  const auto log_u = Math::fma(e, Math::splat(0.693147181f), log1p);
  return Math::sqrt(log_u * -2.0f);
}

/// Two independent standard normals from two words.
template <class Math>
SMOOTHCERT_HD NormalPair<Math> normal_pair(typename Math::Uint radius_word,
                                           typename Math::Uint angle_word) {
  const auto r = normal_radius<Math>(radius_word);
  // θ = q·π/2 + x, x ∈ [−π/4, π/4)
  const auto q = (angle_word + 0x20000000u) >> 30;
  const auto x = Math::to_float(Math::to_signed(angle_word - (q << 30))) * 1.46291807927e-9f;
  const auto x2 = x * x;
  auto s = Math::fma(x2, Math::splat(-1.95172674e-4f), Math::splat(8.33217792e-3f));
  s = Math::fma(x2, s, Math::splat(-0.166666549f));
  const auto sine = Math::fma(x * x2, s, x);
  auto c = Math::fma(x2, Math::splat(2.44384154e-5f), Math::splat(-1.38873672e-3f));
  c = Math::fma(x2, c, Math::splat(0.0416666469f));
  const auto cosine = Math::fma(x2 * x2, c, Math::fma(x2, Math::splat(-0.5f), Math::splat(1.0f)));
  const auto odd = Math::to_signed(q & 1u) != 0;
  const auto cos_bits = Math::float_to_bits(Math::select(odd, sine, cosine));
  const auto sin_bits = Math::float_to_bits(Math::select(odd, cosine, sine));
  return {r * Math::bits_to_float(cos_bits ^ (((q + 1u) & 2u) << 30)),
          r * Math::bits_to_float(sin_bits ^ ((q & 2u) << 30))};
}

/// x + σ·z with one rounding, clamped to [0, 1] or not. x = pixel · (1/255 as float).
template <class Math>
SMOOTHCERT_HD typename Math::Float gaussian_pixel(typename Math::Float x, float sigma,
                                                  typename Math::Float z, bool clamp) {
  const auto noisy = Math::fma(Math::splat(sigma), z, x);
  return clamp ? clamp01(noisy, Math::splat(0.0f), Math::splat(1.0f)) : noisy;
}

/// z of flat CHW pixel p of one sample. Draws one Philox group for one pixel: for tests and plain
/// code; engines share the group's four words.
SMOOTHCERT_HD float normal_at(std::uint64_t seed, std::uint32_t purpose, std::uint32_t image,
                              std::uint32_t sample, std::uint32_t pixel) {
  const PhiloxWords words = philox_at(seed, purpose, image, sample, pixel / 4);
  const std::uint32_t even = pixel % 4 & ~1u;
  const NormalPair<ScalarMath> pair = normal_pair<ScalarMath>(words.v[even], words.v[even + 1]);
  return pixel % 2 == 0 ? pair.first : pair.second;
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
