// Batches into lanes: one data-set image per lane, with training noise.
#pragma once

#include "cpu/lane_math.hpp"
#include "cpu/lane_philox.hpp"
#include "cpu/lane_split.hpp"
#include "cpu/lanes.hpp"
#include "cpu/train_kernels.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/split_noise.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {
namespace {

void load_images(const std::uint8_t* const* pixels, std::size_t count, float* out) {
  for (std::size_t p = 0; p < count; ++p) {
    IntLanes v{};
    for (int l = 0; l < kLanes; ++l) v[l] = pixels[l][p];
    store(out + p * kLanes, to_float(v) * broadcast(device::kPixelScale));
  }
}

/// Philox words for one data-set image per lane, the same sample for all: as in lane_noise.hpp, but
/// word 2 of the counter is what differs. After two rounds, with the images' products worked out
/// once, every word differs between lanes.
class ImagePhilox {
 public:
  explicit ImagePhilox(const ImageNoise& s) : keys_(round_keys(s.seed)), sample_(s.step) {
    even_ = start(s, 0);
    odd_ = start(s, 1);
  }

  SMOOTHCERT_HD void draw(std::uint32_t group, UintLanes (&words)[4]) const {
    const Half even = rounds(even_, group), odd = rounds(odd_, group);
    words[0] = interleave(even.c0, odd.c0);
    words[1] = interleave(even.c1, odd.c1);
    words[2] = interleave(even.c2, odd.c2);
    words[3] = interleave(even.c3, odd.c3);
  }

 private:
  struct Start {
    Wide image_low;  ///< low half of M1·image: c1 after round 1
    Wide p0;         ///< M0·c0 of round 2
  };

  SMOOTHCERT_HD Start start(const ImageNoise& s, int parity) const {
    Wide image{};
    for (int l = 0; l < kLanes / 2; ++l) image[l] = s.images[2 * l + parity];
    const Wide p1 = multiply(wide(device::kPhiloxM1), image);  // round 1
    const Wide c0 = (p1 >> 32) ^ wide(sample_ ^ keys_.k0[0]);
    return {p1, multiply(wide(device::kPhiloxM0), c0)};
  }

  SMOOTHCERT_HD Half rounds(const Start& start, std::uint32_t group) const {
    const Wide m0 = wide(device::kPhiloxM0), m1 = wide(device::kPhiloxM1);
    const std::uint64_t q0 = std::uint64_t{device::kPhiloxM0} * group;  // round 1
    const std::uint32_t c2 = static_cast<std::uint32_t>(q0 >> 32) ^
                             static_cast<std::uint32_t>(Purpose::train_noise) ^ keys_.k1[0];
    const std::uint64_t q1 = std::uint64_t{device::kPhiloxM1} * c2;  // round 2
    Half c;
    c.c0 = start.image_low ^ wide((q1 >> 32) ^ keys_.k0[1]);
    c.c1 = wide(q1);
    c.c2 = (start.p0 >> 32) ^ wide((q0 & 0xFFFFFFFFu) ^ keys_.k1[1]);
    c.c3 = start.p0;
#pragma GCC unroll 8
    for (int r = 2; r < 10; ++r) {
      const Wide p0 = multiply(m0, c.c0), p1 = multiply(m1, c.c2);
      c.c0 = (p1 >> 32) ^ c.c1 ^ wide(keys_.k0[r]);
      c.c2 = (p0 >> 32) ^ c.c3 ^ wide(keys_.k1[r]);
      c.c1 = p1;
      c.c3 = p0;
    }
    return c;
  }

  RoundKeys keys_;
  std::uint32_t sample_;
  Start even_, odd_;
};

/// Each lane's image in its one split.
void add_split_noise(const ImageNoise& s, float* x) {
  UintLanes split{};
  for (int l = 0; l < kLanes; ++l)
    split[l] = device::training_split(s.seed, s.images[l], s.step, s.width);
  const UintLanes width = broadcast(s.width);
  for (std::size_t pixel = 0; pixel < s.count; pixel += 4) {
    const auto words = device::split_offset_words(s.seed, static_cast<std::uint32_t>(pixel / 4));
    const std::size_t in_group = s.count - pixel < 4 ? s.count - pixel : 4;
    for (std::size_t i = 0; i < in_group; ++i) {
      float* at = x + (pixel + i) * kLanes;
      // x is n · (1/255 as float): the nearest whole number of grey levels is n.
      const Lanes levels = load(at) * broadcast(255.0f) + broadcast(0.5f);
      const IntLanes grey = __builtin_convertvector(levels, IntLanes);
      store(at,
            split_inputs(grey + grey, split, device::split_offset_of(words.v[i], s.width), width));
    }
  }
}

void add_noise(const ImageNoise& s, float* x) {
  if (s.width > 0) return add_split_noise(s, x);
  const ImagePhilox philox(s);
  for (std::size_t pixel = 0; pixel < s.count; pixel += 4) {
    UintLanes words[4];
    philox.draw(static_cast<std::uint32_t>(pixel / 4), words);
    const std::size_t in_group = s.count - pixel < 4 ? s.count - pixel : 4;
    for (std::size_t i = 0; i < in_group; i += 2) {
      const auto pair = device::normal_pair<LaneMath>(words[i], words[i + 1]);
      const Lanes z[2] = {pair.first, pair.second};
      for (std::size_t j = i; j < i + 2 && j < in_group; ++j) {
        float* at = x + (pixel + j) * kLanes;
        store(at, device::gaussian_pixel<LaneMath>(load(at), s.sigma, z[j - i], s.clamp));
      }
    }
  }
}

}  // namespace
}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
