// Noise over lanes: Philox4x32-10 with one sample per lane, then the alias table, Box–Muller or the
// upper bits; splitting noise draws once for all lanes.
//
// The counter is (pixel group, sample, image, purpose) and only `sample` differs between lanes, so
// the first rounds are mostly scalar. With h(x) = high half, l(x) = low half of a product:
//   round 1  c0 = h(M1·image)^sample^k0: per lane, the same for all groups; c1, c2, c3 uniform
//   round 2  M0·c0 once per call; c2 = h(M0·c0)^uniform, c3 = l(M0·c0); c0, c1 uniform
//   round 3  one product per lane (M1·c2), the other uniform
// which leaves 15 products per lane and group instead of 20, and few exclusive-ors in rounds 1–3.
#pragma once

#include "cpu/lane_kernels.hpp"
#include "cpu/lane_math.hpp"
#include "cpu/lane_philox.hpp"
#include "cpu/lane_split.hpp"
#include "cpu/lanes.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/device/uniform_noise.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

/// What does not depend on the pixel group, for one half.
struct HalfStart {
  Wide low;   ///< M0·c0 of round 2
  Wide high;  ///< its high half ^ the key of round 2
};

/// Rounds 3–10 of one half, given the uniform words after round 2.
SMOOTHCERT_HD Half finish_rounds(const RoundKeys& keys, const HalfStart& start, std::uint32_t c0,
                                 std::uint32_t c1, std::uint32_t c3_before) {
  const Wide m0 = wide(device::kPhiloxM0), m1 = wide(device::kPhiloxM1);
  // Round 3: c2 = start.high ^ c3_before and c3 = start.low differ between lanes.
  const std::uint64_t p0_uniform = std::uint64_t{device::kPhiloxM0} * c0;
  const Wide p1_first = multiply(m1, start.high ^ wide(c3_before));
  Half c;
  c.c0 = (p1_first >> 32) ^ wide(c1 ^ keys.k0[2]);
  c.c1 = p1_first;
  c.c2 = start.low ^ wide((p0_uniform >> 32) ^ keys.k1[2]);
  c.c3 = wide(p0_uniform);
#pragma GCC unroll 8
  for (int r = 3; r < 10; ++r) {
    const Wide p0 = multiply(m0, c.c0), p1 = multiply(m1, c.c2);
    c.c0 = (p1 >> 32) ^ c.c1 ^ wide(keys.k0[r]);
    c.c2 = (p0 >> 32) ^ c.c3 ^ wide(keys.k1[r]);
    c.c1 = p1;
    c.c3 = p0;
  }
  return c;
}

/// Draws words for kLanes consecutive samples, one pixel group after the other.
class LanePhilox {
 public:
  LanePhilox(const NoiseStep& s, std::uint32_t purpose) : keys_(round_keys(s.seed)) {
    purpose_ = purpose;
    image_product_ = std::uint64_t{device::kPhiloxM1} * s.image;
    even_ = start(s, 0);
    odd_ = start(s, 1);
  }

  SMOOTHCERT_HD void draw(std::uint32_t group, UintLanes (&words)[4]) const {
    const std::uint64_t p0 = std::uint64_t{device::kPhiloxM0} * group;  // round 1
    const std::uint32_t c2 = static_cast<std::uint32_t>(p0 >> 32) ^ purpose_ ^ keys_.k1[0];
    const std::uint32_t c3 = static_cast<std::uint32_t>(p0);
    const std::uint64_t p1 = std::uint64_t{device::kPhiloxM1} * c2;  // round 2
    const std::uint32_t c0 = static_cast<std::uint32_t>(p1 >> 32) ^
                             static_cast<std::uint32_t>(image_product_) ^ keys_.k0[1];
    const std::uint32_t c1 = static_cast<std::uint32_t>(p1);
    const Half even = finish_rounds(keys_, even_, c0, c1, c3);
    const Half odd = finish_rounds(keys_, odd_, c0, c1, c3);
    words[0] = interleave(even.c0, odd.c0);
    words[1] = interleave(even.c1, odd.c1);
    words[2] = interleave(even.c2, odd.c2);
    words[3] = interleave(even.c3, odd.c3);
  }

 private:
  SMOOTHCERT_HD HalfStart start(const NoiseStep& s, std::uint32_t parity) const {
    Wide sample{};
    for (int l = 0; l < kLanes / 2; ++l)
      sample[l] = s.first_sample + static_cast<std::uint32_t>(2 * l) + parity;  // wraps at 2^32
    const Wide c0 = sample ^ wide((image_product_ >> 32) ^ keys_.k0[0]);
    const Wide low = multiply(wide(device::kPhiloxM0), c0);
    return {low, (low >> 32) ^ wide(keys_.k1[1])};
  }

  RoundKeys keys_;
  std::uint32_t purpose_;
  std::uint64_t image_product_;
  HalfStart even_, odd_;
};

/// Lanes of device::lattice_pixel and device::lattice_input.
template <bool kClamp>
SMOOTHCERT_HD Lanes lattice_input(IntLanes value) {
  if (kClamp) {
    const IntLanes zero{}, top = broadcast(std::int32_t{255});
    value = value < zero ? zero : value;
    value = value > top ? top : value;
  }
  return to_float(value) * broadcast(1.0f / 255.0f);
}

/// Some lane's threshold comparison came out equal (about one draw in a million) and takes a second
/// word: the whole pixel again, by the scalar leaf.
__attribute__((noinline)) void redraw_pixel(const NoiseStep& s, std::size_t pixel, float* out) {
  const device::LatticeView table{s.hot, s.cold, s.log2_columns, s.offset};
  for (int l = 0; l < kLanes; ++l) {
    const int noise = device::lattice_noise_at(table, s.seed, s.purpose, s.image,
                                               s.first_sample + static_cast<std::uint32_t>(l),
                                               static_cast<std::uint32_t>(pixel));
    out[l] = device::lattice_input(device::lattice_pixel(s.pixels[pixel], noise, s.clamp));
  }
}

template <bool kClamp>
void draw_lattice(const NoiseStep& s, float* out) {
  const LanePhilox philox(s, s.purpose);
  const int log2_columns = s.log2_columns, shift = 32 - log2_columns;
  const UintLanes fraction_mask = broadcast((1u << shift) - 1);
  const UintLanes alias_mask = broadcast((1u << log2_columns) - 1);
  for (std::size_t pixel = 0; pixel < s.count; pixel += 4) {
    UintLanes words[4];
    philox.draw(static_cast<std::uint32_t>(pixel / 4), words);
    const std::size_t in_group = s.count - pixel < 4 ? s.count - pixel : 4;
    IntLanes equal{};
    for (std::size_t i = 0; i < in_group; ++i) {
      const UintLanes column = words[i] >> shift;
      const UintLanes entry = gather(s.hot, column);
      const IntLanes fraction = (IntLanes)(words[i] & fraction_mask);
      const IntLanes threshold = (IntLanes)(entry >> log2_columns);
      const IntLanes chosen =
          fraction < threshold ? (IntLanes)column : (IntLanes)(entry & alias_mask);
      equal |= fraction == threshold;
      const IntLanes value = chosen + broadcast(s.pixels[pixel + i] - s.offset);
      store(out + (pixel + i) * kLanes, lattice_input<kClamp>(value));
    }
    if (__builtin_expect(any(equal), 0))
      for (std::size_t i = 0; i < in_group; ++i)
        redraw_pixel(s, pixel + i, out + (pixel + i) * kLanes);
  }
}

void lattice_noise(const NoiseStep& s, float* out) {
  if (s.clamp)
    draw_lattice<true>(s, out);
  else
    draw_lattice<false>(s, out);
}

void gaussian_noise(const NoiseStep& s, float* out) {
  const LanePhilox philox(s, s.purpose);
  for (std::size_t pixel = 0; pixel < s.count; pixel += 4) {
    UintLanes words[4];
    philox.draw(static_cast<std::uint32_t>(pixel / 4), words);
    const std::size_t in_group = s.count - pixel < 4 ? s.count - pixel : 4;
    for (std::size_t i = 0; i < in_group; i += 2) {
      const auto pair = device::normal_pair<LaneMath>(words[i], words[i + 1]);
      const Lanes z[2] = {pair.first, pair.second};
      for (std::size_t j = i; j < i + 2 && j < in_group; ++j) {
        const Lanes x = broadcast(device::lattice_input(s.pixels[pixel + j]));
        store(out + (pixel + j) * kLanes,
              device::gaussian_pixel<LaneMath>(x, s.sigma, z[j - i], s.clamp));
      }
    }
  }
}

template <bool kClamp>
void draw_uniform(const NoiseStep& s, float* out) {
  const LanePhilox philox(s, s.purpose);
  const int log2_width = 31 - __builtin_clz(s.width);
  for (std::size_t pixel = 0; pixel < s.count; pixel += 4) {
    UintLanes words[4];
    philox.draw(static_cast<std::uint32_t>(pixel / 4), words);
    const std::size_t in_group = s.count - pixel < 4 ? s.count - pixel : 4;
    for (std::size_t i = 0; i < in_group; ++i) {
      // Lanes of device::uniform_noise.
      const IntLanes noise = (IntLanes)(words[i] >> (32 - log2_width)) -
                             broadcast(std::int32_t{1} << (log2_width - 1));
      store(out + (pixel + i) * kLanes,
            lattice_input<kClamp>(noise + broadcast(std::int32_t{s.pixels[pixel + i]})));
    }
  }
}

void uniform_noise(const NoiseStep& s, float* out) {
  if (s.clamp)
    draw_uniform<true>(s, out);
  else
    draw_uniform<false>(s, out);
}

/// Lanes beyond the last split hold inputs that nobody counts.
void split_noise(const NoiseStep& s, float* out) {
  const UintLanes split = broadcast(s.first_sample) + lane_index();
  const UintLanes width = broadcast(s.width);
  for (std::size_t pixel = 0; pixel < s.count; pixel += 4) {
    const auto words = device::split_offset_words(s.seed, static_cast<std::uint32_t>(pixel / 4));
    const std::size_t in_group = s.count - pixel < 4 ? s.count - pixel : 4;
    for (std::size_t i = 0; i < in_group; ++i)
      store(out + (pixel + i) * kLanes,
            split_inputs(broadcast(std::int32_t{2 * s.pixels[pixel + i]}), split,
                         device::split_offset_of(words.v[i], s.width), width));
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
