// How long sums are cut into pieces, one block each, whose results are then added in order: enough
// blocks to fill a GPU, the same ones every time.
#pragma once

#include <cstdint>

#include "smoothcert/device/hd.hpp"

namespace smoothcert::gpu {

inline constexpr std::uint32_t kSliceValues = 2048, kMaxSlices = 64;

SMOOTHCERT_HD std::uint32_t slice_count(std::uint64_t values) {
  const std::uint64_t slices = (values + kSliceValues - 1) / kSliceValues;
  return static_cast<std::uint32_t>(slices < 1 ? 1 : slices > kMaxSlices ? kMaxSlices : slices);
}

struct Slice {
  std::uint32_t first, last;
};
SMOOTHCERT_HD Slice slice_of(std::uint32_t values, std::uint32_t slices, std::uint32_t index) {
  const std::uint32_t length = (values + slices - 1) / slices, first = index * length;
  const std::uint32_t last = first + length;
  return {first < values ? first : values, last < values ? last : values};
}

}  // namespace smoothcert::gpu
