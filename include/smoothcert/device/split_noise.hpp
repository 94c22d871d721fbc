// Splitting noise of an 8-bit pixel (Levine & Feizi 2021, DSSN), in integers.
//
// Pixel i has a fixed offset v_i of 0 … W − 1. In split j of 0 … W − 1 its range is cut at
// s = ((v_i + j) mod W) + ½ grey levels, if that lies within it; the network sees the middle of the
// part that holds the pixel. For W ≥ 255 there is at most one cut, and moving a pixel by one grey
// level crosses it in exactly one of the W splits: see l1_certificates.hpp.
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/philox.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

/// The middle of the pixel's part times 1020: an integer of 0 … 1020, exact in fp16.
SMOOTHCERT_HD int split_code(int pixel, std::uint32_t offset, std::uint32_t split,
                             std::uint32_t width) {
  const std::uint32_t sum = offset + split;
  const int twice_cut = static_cast<int>(2 * (sum < width ? sum : sum - width) + 1);
  return (twice_cut < 510 ? twice_cut : 510) + (2 * pixel > twice_cut ? 510 : 0);
}

/// What exact mode feeds to the network for a code: code · (1/1020 as float).
SMOOTHCERT_HD float split_input(int code) { return static_cast<float>(code) * (1.0f / 1020.0f); }

/// An offset from its word.
SMOOTHCERT_HD std::uint32_t split_offset_of(std::uint32_t word, std::uint32_t width) {
  return static_cast<std::uint32_t>((std::uint64_t{word} * width) >> 32);
}

/// The words of the offsets of four neighbouring pixels.
SMOOTHCERT_HD PhiloxWords split_offset_words(std::uint64_t seed, std::uint32_t group) {
  return philox_at(seed, static_cast<std::uint32_t>(Purpose::split_offsets), 0, 0, group);
}

/// The offset of flat CHW pixel p, from word p mod 4 of group p / 4 of sample 0 of image 0: one g
/// for all images. Any offsets are sound; these are uniform to within width / 2^32.
SMOOTHCERT_HD std::uint32_t split_offset(std::uint64_t seed, std::uint32_t pixel,
                                         std::uint32_t width) {
  return split_offset_of(split_offset_words(seed, pixel / 4).v[pixel % 4], width);
}

/// The split in which a training step shows an image: one for all of its pixels.
SMOOTHCERT_HD std::uint32_t training_split(std::uint64_t seed, std::uint32_t image,
                                           std::uint32_t step, std::uint32_t width) {
  const auto purpose = static_cast<std::uint32_t>(Purpose::train_noise);
  return split_offset_of(philox_at(seed, purpose, image, step, 0).v[0], width);
}

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
