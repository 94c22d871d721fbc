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
  /// Makes the device current for the calling thread, which prepares, submits and collects then.
  virtual void enter() {}
  /// Allocates for batches of that many samples; throws OutOfDeviceMemory.
  virtual void prepare(std::uint32_t samples) = 0;
  [[nodiscard]] virtual std::size_t slots() const = 0;
  [[nodiscard]] virtual std::uint32_t max_segments() const = 0;
  virtual void submit(std::size_t slot, const VoteBatch& batch) = 0;
  /// Waits for the slot's batch; (classes + 1) counts per segment, valid until the next submit.
  virtual std::span<const std::uint64_t> collect(std::size_t slot) = 0;
};

/// A device between runs: what it has allocated serves the next run with the same settings.
struct KeptVoteDevice {
  std::unique_ptr<VoteDevice> device;
  std::uint32_t granted = 0;  ///< samples of the batch that memory was found for; 0: not prepared
  bool failed = false;        ///< it threw: not to be used again
};
using KeptVoteDevices = std::vector<std::shared_ptr<KeptVoteDevice>>;
KeptVoteDevices keep(std::vector<std::unique_ptr<VoteDevice>> devices);

/// Works until nothing is left or the run has stopped. `samples` is the batch to try first, halved
/// down to `least` while memory runs out; each time `note` gets one line. Other failures go to
/// scheduler.fail() after the batches in flight were given back.
void run_vote_worker(VoteScheduler& scheduler, KeptVoteDevice& kept, std::uint32_t samples,
                     std::uint32_t least, const std::function<void(const std::string&)>& note);

/// A vote run on several devices, one thread each. It holds the devices until it is destroyed.
std::unique_ptr<VoteRun> start_vote_run(std::unique_ptr<VoteScheduler> scheduler,
                                        KeptVoteDevices devices, std::uint32_t samples,
                                        std::uint32_t least,
                                        std::function<void(const std::string&)> note);

}  // namespace smoothcert::gpu
