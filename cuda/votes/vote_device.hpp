// One GPU's pipeline of vote batches: two streams, each with its own buffers, no host round trip
// within a batch.
#pragma once

#include <memory>
#include <string>

#include "cuda/runtime/context.hpp"
#include "cuda/votes/exact_pass.hpp"
#include "gpu/tile_sizes.hpp"
#include "gpu/vote_worker.hpp"

namespace smoothcert::gpu {

/// A network's plan on one GPU.
struct DevicePlan {
  int device = 0;
  InferencePlan plan;
  ValueLayout layout;
  DeviceBuffer<float> params;
  std::uint32_t library_tile = 0;    ///< samples the library path computes together
  mutable std::string library_text;  ///< describe_library_votes(), which costs a cuDNN handle
};

/// The tile sizes of this build: TileSizes{} on GPUs; simulated ones compute whole tiles, slowly,
/// and take small ones.
TileSizes tile_sizes();

std::shared_ptr<const DevicePlan> make_device_plan(int device, InferencePlan plan);

/// The batch that fills the GPU without taking more than a quarter of its free memory.
std::uint32_t default_vote_batch(const DevicePlan& plan);

std::unique_ptr<VoteDevice> make_exact_vote_device(std::shared_ptr<const DevicePlan> plan,
                                                   const VoteSettings& settings);

}  // namespace smoothcert::gpu
