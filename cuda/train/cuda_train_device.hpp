// A GPU as the trainer sees it.
#pragma once

#include <memory>

#include "cuda/train/train_device.hpp"

namespace smoothcert::gpu {

/// On the calling thread's current device, which must be current in every later call, too.
std::unique_ptr<TrainDevice> make_cuda_train_device();

}  // namespace smoothcert::gpu
