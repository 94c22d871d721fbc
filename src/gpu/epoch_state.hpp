// What a training step reads from device memory, so that one captured graph serves every step of
// every epoch with the same batch size.
#pragma once

#include <cstdint>

#include "smoothcert/label.hpp"
#include "train/optimizer_step.hpp"

namespace smoothcert::gpu {

/// Written by the host before an epoch; `step` is counted up by the device.
struct EpochState {
  std::uint64_t seed = 0;
  std::uint32_t step = 0;         ///< within the epoch
  std::uint32_t global_step = 0;  ///< of the epoch's first step: the counter of the noise
  std::uint32_t updating = 0;     ///< the step whose gradients the optimiser applies
};

/// The data set and the epoch's order, all in device memory.
struct EpochData {
  const std::uint8_t* pixels = nullptr;  ///< images × image_size
  const Label* labels = nullptr;
  const std::uint32_t* order = nullptr;  ///< image of each visit
  const EpochState* state = nullptr;
  std::uint32_t batch = 0;  ///< step s visits order[s·batch] and on
  std::uint32_t image_size = 0;
};

}  // namespace smoothcert::gpu
