// Noise into rows: the lane kernels' samples, one after the other in memory as other people's
// networks want them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "cpu/thread_pool.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::cpu {

/// `count` consecutive samples of one image, to be written to rows of `floats` each.
struct NoisyRows {
  const std::uint8_t* pixels = nullptr;  ///< CHW
  std::uint32_t image = 0;
  Purpose purpose = Purpose::estimate;
  std::uint64_t first = 0;  ///< sample; the counter wraps at 2^32
  std::size_t count = 0;
  float* out = nullptr;  ///< count × size floats
};

/// Fills all rows. `size` is CHW, the floats of one row.
void draw_rows(const NoiseSpec& noise, std::size_t size, std::span<const NoisyRows> rows,
               ThreadPool& pool);

}  // namespace smoothcert::cpu
