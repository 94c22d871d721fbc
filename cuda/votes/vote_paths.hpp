// The ways to count votes on GPUs, tried in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cuda/votes/vote_device.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert::gpu {

/// A network's plan on each GPU.
using DevicePlans = std::vector<std::shared_ptr<const DevicePlan>>;

/// One way that fits a network, the settings and every device.
struct VotePath {
  std::uint32_t batch = 0;  ///< samples of a batch
  std::uint32_t least =
      0;  ///< where the device has less memory than hoped for: no fewer than these
  std::function<std::unique_ptr<VoteDevice>(std::size_t)> make;  ///< for the i-th device
  std::function<std::string()> describe;                         ///< for the record
  /// Network with which self_test() takes this path; none where pixels are no small halves.
  std::string probe = {};
};

/// The first path that fits; the last one, exact mode's direct kernels or fast mode's libraries,
/// fits every network.
VotePath choose_vote_path(const DevicePlans& plans, const VoteSettings& settings);

}  // namespace smoothcert::gpu
