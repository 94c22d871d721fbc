// The host thread of one device during a vote run, without the device: fills its pipeline from the
// scheduler, drains it, halves the batch when memory runs out, and hands unfinished work back.
#include "gpu/vote_worker.hpp"

#include <optional>
#include <thread>
#include <utility>

#include "smoothcert/backend.hpp"

namespace smoothcert::gpu {
namespace {

void prepare_halving(KeptVoteDevice& kept, std::uint32_t samples, std::uint32_t least,
                     const std::function<void(const std::string&)>& note) {
  while (kept.granted == 0) {
    try {
      kept.device->prepare(samples);
      kept.granted = samples;
    } catch (const OutOfDeviceMemory& error) {
      if (samples / 2 < least) throw;
      if (note) {
        note(std::string(error.what()) + ": batch halved to " + std::to_string(samples / 2) +
             " samples");
      }
      samples /= 2;
    }
  }
}

void work(VoteScheduler& scheduler, VoteDevice& device, std::uint32_t samples,
          std::vector<std::optional<VoteBatch>>& in_flight) {
  std::size_t slot = 0, busy = 0;
  while (!scheduler.stopped()) {
    if (in_flight[slot]) {
      scheduler.complete(*in_flight[slot], device.collect(slot));
      in_flight[slot].reset();
      --busy;
    }
    if (auto batch = scheduler.next(samples, device.max_segments())) {
      in_flight[slot] = std::move(batch);
      ++busy;
      device.submit(slot, *in_flight[slot]);
    } else if (busy == 0 && !scheduler.wait_for_work()) {
      return;
    }
    slot = (slot + 1) % in_flight.size();
  }
}

class DeviceVoteRun final : public VoteRun {
 public:
  DeviceVoteRun(std::unique_ptr<VoteScheduler> scheduler, KeptVoteDevices devices,
                std::uint32_t samples, std::uint32_t least,
                std::function<void(const std::string&)> note)
      : scheduler_(std::move(scheduler)), devices_(std::move(devices)), note_(std::move(note)) {
    for (auto& device : devices_) {
      threads_.emplace_back([this, d = device.get(), samples, least] {
        run_vote_worker(*scheduler_, *d, samples, least, note_);
      });
    }
  }
  ~DeviceVoteRun() override {
    scheduler_->cancel();
    for (auto& thread : threads_) thread.join();
  }
  DeviceVoteRun(const DeviceVoteRun&) = delete;
  DeviceVoteRun& operator=(const DeviceVoteRun&) = delete;

  void wait() override { scheduler_->wait(); }
  void cancel() override { scheduler_->cancel(); }
  std::uint64_t samples_done() const override { return scheduler_->samples_done(); }

 private:
  std::unique_ptr<VoteScheduler> scheduler_;
  KeptVoteDevices devices_;
  std::function<void(const std::string&)> note_;
  std::vector<std::thread> threads_;
};

}  // namespace

KeptVoteDevices keep(std::vector<std::unique_ptr<VoteDevice>> devices) {
  KeptVoteDevices kept;
  for (auto& device : devices)
    kept.push_back(std::make_shared<KeptVoteDevice>(KeptVoteDevice{std::move(device)}));
  return kept;
}

void run_vote_worker(VoteScheduler& scheduler, KeptVoteDevice& kept, std::uint32_t samples,
                     std::uint32_t least, const std::function<void(const std::string&)>& note) {
  std::vector<std::optional<VoteBatch>> in_flight;
  VoteDevice& device = *kept.device;
  try {
    device.enter();
    prepare_halving(kept, samples, least, note);
    in_flight.resize(device.slots());
    work(scheduler, device, kept.granted, in_flight);
    // A stopped run may have left batches behind: let the device finish before its memory goes.
    for (std::size_t slot = 0; slot < in_flight.size(); ++slot) {
      if (in_flight[slot]) device.collect(slot);
    }
  } catch (...) {
    kept.failed = true;
    for (const auto& batch : in_flight) {
      if (batch) scheduler.give_back(*batch);
    }
    scheduler.fail(std::current_exception());
  }
}

std::unique_ptr<VoteRun> start_vote_run(std::unique_ptr<VoteScheduler> scheduler,
                                        KeptVoteDevices devices, std::uint32_t samples,
                                        std::uint32_t least,
                                        std::function<void(const std::string&)> note) {
  if (devices.empty()) throw Error("votes: there is no device to count them");
  return std::make_unique<DeviceVoteRun>(std::move(scheduler), std::move(devices), samples, least,
                                         std::move(note));
}

}  // namespace smoothcert::gpu
