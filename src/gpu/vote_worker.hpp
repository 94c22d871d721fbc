// The host thread of one device during a vote run, without the device: fills its pipeline from the
// scheduler, drains it, halves the batch when memory runs out, and hands unfinished work back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "gpu/device_memory.hpp"
#include "gpu/vote_scheduler.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert::gpu {

/// One device's pipeline of `slots()` batches in flight (a stream each).
class VoteDevice {
 public:
  virtual ~VoteDevice() = default;
  /// Allocates for batches of that many samples; throws OutOfDeviceMemory.
  virtual void prepare(std::uint32_t samples) = 0;
  [[nodiscard]] virtual std::size_t slots() const = 0;
  [[nodiscard]] virtual std::uint32_t max_segments() const = 0;
  virtual void submit(std::size_t slot, const VoteBatch& batch) = 0;
  /// Waits for the slot's batch; (classes + 1) counts per segment, valid until the next submit.
  virtual std::span<const std::uint64_t> collect(std::size_t slot) = 0;
};

/// Works until nothing is left or the run has stopped. `samples` is the batch to try first, halved
/// down to `least` while memory runs out; each time `note` gets one line. Other failures go to
/// scheduler.fail() after the batches in flight were given back.
void run_vote_worker(VoteScheduler& scheduler, VoteDevice& device, std::uint32_t samples,
                     std::uint32_t least, const std::function<void(const std::string&)>& note);

/// A vote run on several devices, one thread each.
std::unique_ptr<VoteRun> start_vote_run(std::unique_ptr<VoteScheduler> scheduler,
                                        std::vector<std::unique_ptr<VoteDevice>> devices,
                                        std::uint32_t samples, std::uint32_t least,
                                        std::function<void(const std::string&)> note);

}  // namespace smoothcert::gpu
