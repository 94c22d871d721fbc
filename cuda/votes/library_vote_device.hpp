// Votes of any network by cuDNN and cuBLAS: fast mode where the fused kernel does not apply.
#pragma once

#include <memory>
#include <string>

#include "cuda/votes/vote_device.hpp"

namespace smoothcert::gpu {

/// Two streams, each with an engine and a tile of its own; prepare() takes DevicePlan::library_tile
/// samples and nothing else.
std::unique_ptr<VoteDevice> make_library_vote_device(std::shared_ptr<const DevicePlan> plan,
                                                     const VoteSettings& settings);

/// For the record: libraries, precision, tile, algorithms chosen.
std::string describe_library_votes(const DevicePlan& plan);

}  // namespace smoothcert::gpu
