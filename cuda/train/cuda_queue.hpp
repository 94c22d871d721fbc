// A GPU as the trainer sees it.
#pragma once

#include <memory>

#include "cuda/train/device_queue.hpp"

namespace smoothcert::gpu {

/// On the calling thread's current device, which must be current in every later call, too.
std::unique_ptr<DeviceQueue> make_cuda_queue();

}  // namespace smoothcert::gpu
