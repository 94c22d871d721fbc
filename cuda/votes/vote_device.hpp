// One GPU's pipeline of vote batches: two streams, each with its own buffers, no host round trip
// within a batch.
#pragma once

#include <memory>

#include "cuda/runtime/context.hpp"
#include "cuda/votes/exact_pass.hpp"
#include "gpu/vote_worker.hpp"

namespace smoothcert::gpu {

/// A network's plan on one GPU.
struct DevicePlan {
  int device = 0;
  InferencePlan plan;
  ValueLayout layout;
  DeviceBuffer<float> params;
};

std::shared_ptr<const DevicePlan> make_device_plan(int device, InferencePlan plan);

/// The batch that fills the GPU without taking more than a quarter of its free memory.
std::uint32_t default_vote_batch(const DevicePlan& plan);

std::unique_ptr<VoteDevice> make_exact_vote_device(std::shared_ptr<const DevicePlan> plan,
                                                   const VoteSettings& settings);

}  // namespace smoothcert::gpu
