// Votes on one GPU by the fused feature kernel and matrix products, with two batches in flight.
#include "cuda/votes/feature_vote_device.hpp"

#include <algorithm>
#include <array>
#include <vector>

#include "cuda/runtime/nvtx.hpp"
#include "cuda/votes/cublas_half.hpp"
#include "cuda/votes/feature_pass.hpp"
#include "cuda/votes/noise_table.hpp"
#include "cuda/votes/vote_device.hpp"
#include "cuda/votes/vote_slot.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
namespace {

/// A block per SM, as wide as its shared memory holds. No blocks when not even the smallest fits.
FeatureShape launch_shape(int device, NoiseLaw law) {
  cudaDeviceProp properties{};
  SMOOTHCERT_CUDA(cudaGetDeviceProperties(&properties, device));
  FeatureShape shape;
  const DeviceScope scope(device);
  shape.warps = feature_warps();
  const bool fits = feature_shared_bytes(law, shape.warps) <= properties.sharedMemPerBlockOptin;
  shape.blocks = fits ? static_cast<unsigned>(properties.multiProcessorCount) : 0;
  return shape;
}

class FeatureVoteDevice final : public VoteDevice {
 public:
  FeatureVoteDevice(int device, const FeaturePlan& plan, const VoteSettings& settings)
      : device_(device), plan_(plan), settings_(settings) {}

  ~FeatureVoteDevice() override {
    cudaSetDevice(device_);
    for (const Slot& slot : slots_) slot.votes.drain();
  }

  void enter() override { SMOOTHCERT_CUDA(cudaSetDevice(device_)); }

  void prepare(std::uint32_t samples) override {
    if (samples != plan_.tile) throw Error("feature votes run in whole tiles");
    for (Slot& slot : slots_) {
      slot.votes = VoteSlot(plan_.image_size, static_cast<std::size_t>(plan_.network.classes));
    }
    const cudaStream_t stream = slots_[0].votes.stream.get();
    const FeatureNetwork& network = plan_.network;
    fragments_ = upload(pack_features(network), stream);
    model_.noise = settings_.noise;
    model_.weights = fragments_.data();
    model_.channel_pairs = (network.channels2 + 1) / 2;
    table_ = NoiseTable(settings_.noise, stream);
    model_.table = table_.view();
    std::size_t hidden = 0, sums = 0;
    weights_.clear(), biases_.clear(), linear_.clear();
    for (const PackedLinear& layer : pack_linear(network)) {
      hidden = sums;  // the widest before the last
      sums = std::max(sums, static_cast<std::size_t>(layer.out));
      weights_.push_back(upload(layer.weights, stream));
      biases_.push_back(upload(layer.bias, stream));
      linear_.push_back(
          {layer.in, layer.out, layer.scale, weights_.back().data(), biases_.back().data()});
    }
    for (Slot& slot : slots_) {
      slot.features = tile_of<std::uint16_t>(static_cast<std::size_t>(linear_[0].in), slot);
      slot.hidden = tile_of<std::uint16_t>(hidden, slot);
      slot.sums = tile_of<float>(sums, slot);
      slot.engine = make_half_engine();
    }
  }

  std::size_t slots() const override { return slots_.size(); }
  std::uint32_t max_segments() const override { return VoteSlot::kMaxSegments; }

  void submit(std::size_t index, const VoteBatch& batch) override {
    const NvtxRange range("submit feature vote batch");
    Slot& slot = slots_[index];
    const DeviceSegments on_device = slot.votes.stage(batch);
    count_feature_votes(slot.votes.stream.get(), *slot.engine, model_, plan_.shape, linear_,
                        plan_.network.classes, on_device,
                        {slot.features.data(), slot.hidden.data(), slot.sums.data()}, plan_.tile,
                        slot.votes.counts.data());
    slot.votes.finish();
  }

  std::span<const std::uint64_t> collect(std::size_t index) override {
    const NvtxRange range("collect feature vote batch");
    return slots_[index].votes.collect();
  }

 private:
  struct Slot {
    VoteSlot votes;
    DeviceBuffer<std::uint16_t> features, hidden;
    DeviceBuffer<float> sums;
    std::unique_ptr<HalfEngine> engine;
  };

  /// Zeros: the tail of a short batch is computed and not counted.
  template <class T>
  DeviceBuffer<T> tile_of(std::size_t values, const Slot& slot) const {
    DeviceBuffer<T> buffer(values * plan_.tile);
    if (buffer.size() > 0) {
      SMOOTHCERT_CUDA(
          cudaMemsetAsync(buffer.data(), 0, buffer.size() * sizeof(T), slot.votes.stream.get()));
    }
    return buffer;
  }

  int device_;
  FeaturePlan plan_;
  VoteSettings settings_;
  FeatureModel model_;
  DeviceBuffer<std::uint32_t> fragments_;
  NoiseTable table_;
  std::vector<DeviceBuffer<std::uint16_t>> weights_;
  std::vector<DeviceBuffer<float>> biases_;
  std::vector<DeviceLinear> linear_;
  std::array<Slot, 2> slots_;
};

}  // namespace

std::optional<FeaturePlan> plan_features(int device, const InferencePlan& plan,
                                         const VoteSettings& settings, std::string* why_not) {
  if (settings.mode != Mode::fast) {
    if (why_not) *why_not = "the feature kernel is of fast mode";
    return std::nullopt;
  }
  if (noise_traits(settings.noise.law).has_width()) {  // they draw Gaussian noise alone
    if (why_not) *why_not = noise_traits(settings.noise.law).words;
    return std::nullopt;
  }
  if (settings.noise.table && settings.noise.table->log2_columns > kSharedTableLog2Columns) {
    if (why_not) *why_not = "the noise table is too large for shared memory";
    return std::nullopt;
  }
  auto network = match_feature_network(plan, settings.noise, why_not);
  if (!network) return std::nullopt;
  const FeatureShape shape = launch_shape(device, settings.noise.law);
  if (shape.blocks == 0) {
    if (why_not) *why_not = "the device has too little shared memory";
    return std::nullopt;
  }
  return FeaturePlan{*std::move(network), shape, plan.input.size(), tile_sizes().feature};
}

std::unique_ptr<VoteDevice> make_feature_vote_device(int device, const FeaturePlan& plan,
                                                     const VoteSettings& settings) {
  return std::make_unique<FeatureVoteDevice>(device, plan, settings);
}

std::string describe_feature_votes(int device) {
  const DeviceScope scope(device);
  return "cuda fused features fp16 mma + " + make_half_engine()->describe() + ", tiles of " +
         std::to_string(tile_sizes().feature) + " samples";
}

}  // namespace smoothcert::gpu
