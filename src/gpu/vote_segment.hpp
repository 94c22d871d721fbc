// The samples of one job inside one batch, as host and kernels see them.
#pragma once

#include <cstdint>

namespace smoothcert::gpu {

struct VoteSegment {
  std::uint32_t begin = 0;         ///< first sample of the segment, counted within the batch
  std::uint32_t image = 0;         ///< Philox counter word 2
  std::uint32_t purpose = 0;       ///< Philox counter word 3
  std::uint32_t first_sample = 0;  ///< Philox counter word 1 of the first sample
};

}  // namespace smoothcert::gpu
