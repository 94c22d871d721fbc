#pragma once

#include <cstdint>

#include "gpu/value_layout.hpp"

namespace smoothcert::gpu {

/// How many samples fast mode's library path runs at once: a power of two from 256 to 8192 whose
/// values take at most 512 MiB. A function of the network alone, since a library's rounding may
/// depend on it: part of what the base classifier is, and of its description. (16 to 64 on the
/// tests' simulated GPUs; only cuda/, which they compile anew, may call it.)
constexpr std::uint32_t library_tile(const ValueLayout& layout) {
  constexpr std::size_t kBytes = std::size_t{512} << 20;
#if defined(SMOOTHCERT_SIMULATED_GPU)
  constexpr std::uint32_t kMost = 64, kLeast = 16;  // a simulated GPU computes whole tiles, slowly
#else
  constexpr std::uint32_t kMost = 8192, kLeast = 256;
#endif
  std::uint32_t tile = kMost;
  while (tile > kLeast && tile * layout.total * sizeof(float) > kBytes) tile /= 2;
  return tile;
}

}  // namespace smoothcert::gpu
