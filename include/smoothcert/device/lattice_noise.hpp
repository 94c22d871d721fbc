// Rounded Gaussian noise on the pixel lattice: the sound default.
//
// An 8-bit image x lives on (1/255)Z^d. Per pixel an integer N with
//   P(N = k) = Φ((k + ½)/s) − Φ((k − ½)/s),  s = 255σ,
// is drawn independently of x, and 255x + N is what the classifier sees: a Gaussian followed by a
// fixed rounding, so Cohen et al.'s certificate holds as executed, not only in real arithmetic.
//
// The law comes from a Walker alias table (Walker 1977, Vose 1991) whose weights are integers that
// sum to 2^64 (src/noise/lattice_table.cpp). With L = log2_columns, a 32-bit word u gives
//   column c = u >> (32 − L), fraction f = u mod 2^(32−L);
// the column's threshold T has 64 − L bits, of which hot[c] holds the upper 32 − L (above the alias
// column in its low L bits) and cold[c] the lower 32. f < T >> 32 takes the column, f > T >> 32 the
// alias; when equal (probability ≤ 2^−(32−L) a draw), a second, independent word w takes the column
// if w < cold[c]. A column that never uses its alias has itself as alias, so that its threshold
// 2^(64−L) − 1 loses nothing. Integer arithmetic throughout: every backend draws the same noise.
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/philox.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// A table where it happens to lie (host, device, shared memory). POD, copied into kernels.
struct LatticeView {
  const std::uint32_t* hot;   ///< 2^L words: threshold >> 32 << L | alias column
  const std::uint32_t* cold;  ///< 2^L words: threshold mod 2^32
  int log2_columns;           ///< L
  int offset;                 ///< column c stands for the value c − offset
};

/// Noise of one pixel from one word. `refine()` returns the second word of this pixel (same counter
/// with purpose | kRefineTag, same word index) and is called only when the first leaves it open.
template <class Refine>
SMOOTHCERT_HD int lattice_noise(const LatticeView& table, std::uint32_t word, Refine&& refine) {
  const int length = table.log2_columns;
  const std::uint32_t column = word >> (32 - length);
  const std::uint32_t fraction = word & (0xFFFFFFFFu >> length);
  const std::uint32_t hot = table.hot[column];
  const std::uint32_t threshold = hot >> length;
  bool take_column = fraction < threshold;
  if (fraction == threshold) take_column = refine() < table.cold[column];
  const std::uint32_t alias = hot & ((1u << length) - 1u);
  return static_cast<int>(take_column ? column : alias) - table.offset;
}

/// Noise of flat CHW pixel p of one sample: word p mod 4 of the sample's Philox group p / 4.
/// Draws one group for one pixel: for tests and rare paths; engines share the group's four words.
SMOOTHCERT_HD int lattice_noise_at(const LatticeView& table, std::uint64_t seed,
                                   std::uint32_t purpose, std::uint32_t image, std::uint32_t sample,
                                   std::uint32_t pixel) {
  const std::uint32_t group = pixel / 4, lane = pixel % 4;
  return lattice_noise(table, philox_at(seed, purpose, image, sample, group).v[lane], [&] {
    return philox_at(seed, purpose | kRefineTag, image, sample, group).v[lane];
  });
}

/// The noisy pixel as an integer, 255x + N; with `clamp` limited to [0, 255], the integer form of
/// clamping to [0, 1].
SMOOTHCERT_HD int lattice_pixel(int pixel, int noise, bool clamp) {
  const int v = pixel + noise;
  if (!clamp) return v;
  return v < 0 ? 0 : (v > 255 ? 255 : v);
}

/// What exact mode feeds to the network for integer v: v · (1/255 as float).
SMOOTHCERT_HD float lattice_input(int v) { return static_cast<float>(v) * (1.0f / 255.0f); }

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
