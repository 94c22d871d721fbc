// Votes by one fused kernel on one GPU, with two batches in flight.
#include "cuda/votes/fused_vote_device.hpp"

#include <algorithm>
#include <array>

#include "cuda/runtime/context.hpp"
#include "cuda/runtime/nvtx.hpp"
#include "cuda/votes/noise_table.hpp"
#include "cuda/votes/vote_slot.hpp"
#include "gpu/fused_packing.hpp"
#include "gpu/vote_tiles.hpp"

namespace smoothcert::gpu {
namespace {

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp properties{};
  SMOOTHCERT_CUDA(cudaGetDeviceProperties(&properties, device));
  return properties;
}

/// wgmma on compute capability 9.0 where it was built; elsewhere as many warps an SM as its shared
/// memory holds. No blocks when not even the smallest fits.
FusedShape launch_shape(int device, NoiseLaw law) {
  const cudaDeviceProp properties = properties_of(device);
  FusedShape shape;
  shape.blocks = static_cast<unsigned>(properties.multiProcessorCount);
  if (properties.major == 9 && properties.minor == 0 && wgmma_is_built()) {
    shape.warpgroups = 3;
    return shape;
  }
  for (const int warps : {8, 4}) {
    shape.warps = warps;
    if (fused_shared_bytes(law, warps) <= properties.sharedMemPerBlockOptin) return shape;
  }
  shape.blocks = 0;
  return shape;
}

class FusedVoteDevice final : public VoteDevice {
 public:
  FusedVoteDevice(int device, const FusedPlan& plan, const VoteSettings& settings)
      : device_(device), plan_(plan), settings_(settings) {}

  ~FusedVoteDevice() override {
    cudaSetDevice(device_);
    for (const Slot& slot : slots_) slot.votes.drain();
  }

  void enter() override { SMOOTHCERT_CUDA(cudaSetDevice(device_)); }

  void prepare(std::uint32_t) override {
    for (Slot& slot : slots_) {
      slot.votes =
          VoteSlot(plan_.image_size, static_cast<std::size_t>(plan_.classes), kMaxSegments);
      slot.tiles = DeviceBuffer<std::uint32_t>(kMaxSegments + 1);
      slot.host_tiles = PinnedBuffer<std::uint32_t>(kMaxSegments + 1);
    }
    const cudaStream_t stream = slots_[0].votes.stream.get();
    model_.noise = settings_.noise;
    if (plan_.half) {
      shape_ = launch_shape(device_, settings_.noise.law);
      fragments_ =
          upload(shape_.warpgroups > 0 ? pack_warpgroup(*plan_.half) : pack_fragments(*plan_.half),
                 stream);
      model_.fragments = fragments_.data();
      std::copy(std::begin(plan_.half->bias), std::end(plan_.half->bias), model_.bias);
      model_.classes = plan_.classes;
    } else {
      shape_.blocks = static_cast<unsigned>(4 * properties_of(device_).multiProcessorCount);
      weights_ = upload(plan_.exact->weights, stream);
    }
    table_ = NoiseTable(settings_.noise, stream);
    model_.table = table_.view();
  }

  std::size_t slots() const override { return slots_.size(); }
  std::uint32_t max_segments() const override { return kMaxSegments; }

  void submit(std::size_t index, const VoteBatch& batch) override {
    const NvtxRange range("submit fused vote batch");
    Slot& slot = slots_[index];
    const cudaStream_t stream = slot.votes.stream.get();
    const auto tiles =
        tile_offsets(batch.segments, batch.samples,
                     plan_.half ? shape_.tile() : static_cast<std::uint32_t>(plan_.exact->samples));
    std::copy(tiles.begin(), tiles.end(), slot.host_tiles.data());
    copy_to_device(slot.tiles.data(), slot.host_tiles.data(), tiles.size(), stream);
    const DeviceSegments staged = slot.votes.stage(batch);
    const FusedBatch on_device{staged.segments, slot.tiles.data(), staged.count,
                               batch.samples,   staged.pixels,     slot.votes.counts.data()};
    if (plan_.half) {
      count_fused_votes(stream, model_, on_device, shape_);
    } else {
      count_fused_exact_votes(stream, *plan_.exact, weights_.data(), settings_.noise, model_.table,
                              on_device, shape_.blocks);
    }
    slot.votes.finish();
  }

  std::span<const std::uint64_t> collect(std::size_t index) override {
    const NvtxRange range("collect fused vote batch");
    return slots_[index].votes.collect();
  }

 private:
  static constexpr std::uint32_t kMaxSegments = 8192;

  struct Slot {
    VoteSlot votes;
    DeviceBuffer<std::uint32_t> tiles;
    PinnedBuffer<std::uint32_t> host_tiles;
  };

  int device_;
  FusedPlan plan_;
  VoteSettings settings_;
  FusedShape shape_;
  FusedModel model_;
  DeviceBuffer<std::uint32_t> fragments_;
  NoiseTable table_;
  DeviceBuffer<float> weights_;
  std::array<Slot, 2> slots_;
};

}  // namespace

std::optional<FusedPlan> plan_fused(int device, const InferencePlan& plan,
                                    const VoteSettings& settings, std::string* why_not) {
  if (noise_traits(settings.noise.law).has_width()) {  // they draw Gaussian noise alone
    if (why_not) *why_not = noise_traits(settings.noise.law).words;
    return std::nullopt;
  }
  if (settings.noise.table && settings.noise.table->log2_columns > kSharedTableLog2Columns) {
    if (why_not) *why_not = "the noise table is too large for shared memory";
    return std::nullopt;
  }
  FusedPlan fused;
  fused.image_size = plan.input.size();
  fused.classes = plan.classes;
  if (settings.mode == Mode::fast) {
    fused.half = match_fused_network(plan, settings.noise, why_not);
    if (!fused.half) return std::nullopt;
    const FusedShape shape = launch_shape(device, settings.noise.law);
    if (shape.blocks == 0) {
      if (why_not) *why_not = "the device has too little shared memory";
      return std::nullopt;
    }
    fused.kernel = shape.warpgroups > 0 ? "cuda fused fp16 wgmma" : "cuda fused fp16 mma";
    fused.batch = 1u << 22;
  } else {
    fused.exact = make_exact_program(plan, properties_of(device).sharedMemPerBlockOptin, why_not);
    if (!fused.exact) return std::nullopt;
    fused.kernel = "cuda exact fused";
    fused.batch = 1u << 19;
  }
  return fused;
}

std::unique_ptr<VoteDevice> make_fused_vote_device(int device, const FusedPlan& plan,
                                                   const VoteSettings& settings) {
  return std::make_unique<FusedVoteDevice>(device, plan, settings);
}

}  // namespace smoothcert::gpu
