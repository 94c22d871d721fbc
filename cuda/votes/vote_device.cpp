// Exact mode on one GPU by direct kernels, and a network made ready for a GPU.
#include "cuda/votes/vote_device.hpp"

#include <algorithm>
#include <array>

#include "cuda/runtime/nvtx.hpp"
#include "cuda/votes/noise_table.hpp"
#include "cuda/votes/vote_slot.hpp"

namespace smoothcert::gpu {
namespace {

class ExactVoteDevice final : public VoteDevice {
 public:
  ExactVoteDevice(std::shared_ptr<const DevicePlan> plan, const VoteSettings& settings)
      : plan_(std::move(plan)), settings_(settings) {}

  ~ExactVoteDevice() override {
    cudaSetDevice(plan_->device);
    for (const Slot& slot : slots_) slot.votes.drain();
  }

  void enter() override { SMOOTHCERT_CUDA(cudaSetDevice(plan_->device)); }

  void prepare(std::uint32_t samples) override {
    for (Slot& slot : slots_) slot = Slot{};  // free the larger try first
    for (Slot& slot : slots_) {
      slot.votes =
          VoteSlot(plan_->plan.input.size(), static_cast<std::size_t>(plan_->plan.classes));
      slot.values = DeviceBuffer<float>(plan_->layout.total * value_pitch(samples));
    }
    table_ = NoiseTable(settings_.noise, slots_[0].votes.stream.get());
  }

  std::size_t slots() const override { return slots_.size(); }
  std::uint32_t max_segments() const override { return VoteSlot::kMaxSegments; }

  void submit(std::size_t index, const VoteBatch& batch) override {
    const NvtxRange range("submit vote batch");
    Slot& slot = slots_[index];
    const DeviceSegments on_device = slot.votes.stage(batch);
    count_exact_votes(slot.votes.stream.get(), plan_->plan, plan_->layout, plan_->params.data(),
                      settings_.noise, table_.view(), on_device, slot.values.data(),
                      slot.votes.counts.data());
    slot.votes.finish();
  }

  std::span<const std::uint64_t> collect(std::size_t index) override {
    const NvtxRange range("collect vote batch");
    return slots_[index].votes.collect();
  }

 private:
  struct Slot {
    VoteSlot votes;
    DeviceBuffer<float> values;
  };

  std::shared_ptr<const DevicePlan> plan_;
  VoteSettings settings_;
  NoiseTable table_;
  std::array<Slot, 2> slots_;
};

}  // namespace

TileSizes tile_sizes() {
#if defined(SMOOTHCERT_SIMULATED_GPU)
  return {.feature = 64, .library_most = 64, .library_least = 16};
#else
  return {};
#endif
}

std::shared_ptr<const DevicePlan> make_device_plan(int device, InferencePlan plan) {
  const DeviceScope scope(device);
  auto result = std::make_shared<DevicePlan>();
  result->device = device;
  result->layout = lay_out_values(plan);
  result->library_tile = library_tile(result->layout, tile_sizes());
  const OwnedStream stream = make_stream();
  result->params = upload(plan.params, stream.get());
  result->plan = std::move(plan);
  return result;
}

std::uint32_t default_vote_batch(const DevicePlan& plan) {
  const DeviceScope scope(plan.device);
  std::size_t free = 0, total = 0;
  SMOOTHCERT_CUDA(cudaMemGetInfo(&free, &total));
  const std::size_t per_sample = plan.layout.total * sizeof(float);
  const std::size_t fits = free / 4 / per_sample;
  return static_cast<std::uint32_t>(std::clamp<std::size_t>(fits, 256, 32768));
}

std::unique_ptr<VoteDevice> make_exact_vote_device(std::shared_ptr<const DevicePlan> plan,
                                                   const VoteSettings& settings) {
  return std::make_unique<ExactVoteDevice>(std::move(plan), settings);
}

}  // namespace smoothcert::gpu
