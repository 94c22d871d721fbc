// Votes of any network by cuDNN and cuBLAS: fast mode where the fused kernel does not apply.
#include "cuda/votes/library_vote_device.hpp"

#include <array>

#include "cuda/layers/library_engine.hpp"
#include "cuda/runtime/nvtx.hpp"
#include "cuda/votes/library_pass.hpp"
#include "cuda/votes/noise_table.hpp"
#include "cuda/votes/vote_slot.hpp"

namespace smoothcert::gpu {
namespace {

class LibraryVoteDevice final : public VoteDevice {
 public:
  LibraryVoteDevice(std::shared_ptr<const DevicePlan> plan, const VoteSettings& settings)
      : plan_(std::move(plan)), settings_(settings), tile_(plan_->library_tile) {}

  ~LibraryVoteDevice() override {
    cudaSetDevice(plan_->device);
    for (const Slot& slot : slots_) slot.votes.drain();
  }

  void enter() override { SMOOTHCERT_CUDA(cudaSetDevice(plan_->device)); }

  void prepare(std::uint32_t samples) override {
    if (samples != tile_) throw Error("library votes run in whole tiles");
    const InferencePlan& plan = plan_->plan;
    for (Slot& slot : slots_) {
      slot.votes = VoteSlot(plan.input.size(), static_cast<std::size_t>(plan.classes));
      slot.values = DeviceBuffer<float>(plan_->layout.total * tile_);
      // The tail of a short batch is computed and not counted.
      SMOOTHCERT_CUDA(cudaMemsetAsync(slot.values.data(), 0, slot.values.size() * sizeof(float),
                                      slot.votes.stream.get()));
      slot.engine = make_library_engine(MathPrecision::tf32);
      prepare_engine(*slot.engine, plan, tile_);
    }
    table_ = NoiseTable(settings_.noise, slots_[0].votes.stream.get());
  }

  std::size_t slots() const override { return slots_.size(); }
  std::uint32_t max_segments() const override { return VoteSlot::kMaxSegments; }

  void submit(std::size_t index, const VoteBatch& batch) override {
    const NvtxRange range("submit library vote batch");
    Slot& slot = slots_[index];
    const DeviceSegments on_device = slot.votes.stage(batch);
    count_library_votes(slot.votes.stream.get(), *slot.engine, plan_->plan, plan_->layout,
                        plan_->params.data(), settings_.noise, table_.view(), on_device,
                        slot.values.data(), tile_, slot.votes.counts.data());
    slot.votes.finish();
  }

  std::span<const std::uint64_t> collect(std::size_t index) override {
    const NvtxRange range("collect library vote batch");
    return slots_[index].votes.collect();
  }

 private:
  struct Slot {
    VoteSlot votes;
    DeviceBuffer<float> values;
    std::unique_ptr<LayerEngine> engine;
  };

  std::shared_ptr<const DevicePlan> plan_;
  VoteSettings settings_;
  std::uint32_t tile_;
  NoiseTable table_;
  std::array<Slot, 2> slots_;
};

}  // namespace

std::unique_ptr<VoteDevice> make_library_vote_device(std::shared_ptr<const DevicePlan> plan,
                                                     const VoteSettings& settings) {
  return std::make_unique<LibraryVoteDevice>(std::move(plan), settings);
}

std::string describe_library_votes(const DevicePlan& plan) {
  if (!plan.library_text.empty()) return plan.library_text;
  const DeviceScope scope(plan.device);
  const auto engine = make_library_engine(MathPrecision::tf32);
  const std::uint32_t tile = plan.library_tile;
  prepare_engine(*engine, plan.plan, tile);
  std::string text =
      "cuda library (" + engine->describe() + ", tiles of " + std::to_string(tile) + " samples";
  for (const std::string& line : engine->algorithms()) text += "; " + line;
  return plan.library_text = text + ")";
}

}  // namespace smoothcert::gpu
