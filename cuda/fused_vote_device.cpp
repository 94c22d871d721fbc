#include "fused_vote_device.hpp"

#include <algorithm>
#include <array>

#include "context.hpp"
#include "gpu/fused_packing.hpp"
#include "gpu/vote_tiles.hpp"
#include "nvtx.hpp"

namespace smoothcert::gpu {
namespace {

constexpr std::size_t kImage = 784;

/// As many warps an SM as its shared memory holds; 0 when not even the smallest block fits.
FusedShape launch_shape(int device, NoiseLaw law) {
  cudaDeviceProp properties{};
  SMOOTHCERT_CUDA(cudaGetDeviceProperties(&properties, device));
  for (const int warps : {12, 8, 4}) {
    // Which widths exist for which architecture: width_is_built() of the kernel.
    if (warps != 4 && (warps == 12) != (properties.major >= 9)) continue;
    if (fused_shared_bytes(law, warps) <= properties.sharedMemPerBlockOptin) {
      return {static_cast<unsigned>(properties.multiProcessorCount), warps};
    }
  }
  return {0, 0};
}

class FusedVoteDevice final : public VoteDevice {
 public:
  FusedVoteDevice(int device, const FusedPlan& plan, const VoteSettings& settings)
      : device_(device), network_(plan.network), settings_(settings) {}

  ~FusedVoteDevice() override {
    cudaSetDevice(device_);
    for (const Lane& lane : lanes_) {
      if (lane.stream) cudaStreamSynchronize(lane.stream.get());
    }
  }

  void prepare(std::uint32_t) override {
    SMOOTHCERT_CUDA(cudaSetDevice(device_));
    shape_ = launch_shape(device_, settings_.noise.law);
    for (Lane& lane : lanes_) lane = make_lane();
    const cudaStream_t stream = lanes_[0].stream.get();
    fragments_ = upload(pack_fragments(network_), stream);
    model_.noise = settings_.noise;
    model_.fragments = fragments_.data();
    std::copy(std::begin(network_.bias), std::end(network_.bias), model_.bias);
    model_.classes = network_.classes;
    if (settings_.noise.law == NoiseLaw::lattice) {
      const LatticeTable& table = *settings_.noise.table;
      hot_ = upload(table.hot, stream);
      cold_ = upload(table.cold, stream);
      model_.table = {hot_.data(), cold_.data(), table.log2_columns, table.offset};
    }
  }

  std::size_t lanes() const override { return lanes_.size(); }
  std::uint32_t max_segments() const override { return kMaxSegments; }

  void submit(std::size_t index, const VoteBatch& batch) override {
    const NvtxRange range("submit fused vote batch");
    Lane& lane = lanes_[index];
    const cudaStream_t stream = lane.stream.get();
    const std::size_t segments = batch.segments.size();
    const auto tiles = tile_offsets(batch.segments, batch.samples, 16);
    lane.counters = segments * static_cast<std::size_t>(network_.classes + 1);
    std::copy(batch.segments.begin(), batch.segments.end(), lane.host_segments.data());
    std::copy(tiles.begin(), tiles.end(), lane.host_tiles.data());
    for (std::size_t s = 0; s < segments; ++s) {
      std::copy_n(batch.pixels[s], kImage, lane.host_pixels.data() + s * kImage);
    }
    copy_to_device(lane.segments.data(), lane.host_segments.data(), segments, stream);
    copy_to_device(lane.tiles.data(), lane.host_tiles.data(), tiles.size(), stream);
    copy_to_device(lane.pixels.data(), lane.host_pixels.data(), segments * kImage, stream);
    SMOOTHCERT_CUDA(
        cudaMemsetAsync(lane.counts.data(), 0, lane.counters * sizeof(unsigned long long), stream));
    count_fused_votes(
        stream, model_,
        {lane.segments.data(), lane.tiles.data(), static_cast<std::uint32_t>(segments),
         batch.samples, lane.pixels.data(), lane.counts.data()},
        shape_);
    SMOOTHCERT_CUDA(cudaMemcpyAsync(lane.host_counts.data(), lane.counts.data(),
                                    lane.counters * sizeof(std::uint64_t), cudaMemcpyDeviceToHost,
                                    stream));
    SMOOTHCERT_CUDA(cudaEventRecord(lane.finished.get(), stream));
  }

  std::span<const std::uint64_t> collect(std::size_t index) override {
    const NvtxRange range("collect fused vote batch");
    Lane& lane = lanes_[index];
    SMOOTHCERT_CUDA(cudaEventSynchronize(lane.finished.get()));
    return {lane.host_counts.data(), lane.counters};
  }

 private:
  static constexpr std::uint32_t kMaxSegments = 8192;

  struct Lane {
    OwnedStream stream;
    OwnedEvent finished;
    DeviceBuffer<VoteSegment> segments;
    DeviceBuffer<std::uint32_t> tiles;
    DeviceBuffer<std::uint8_t> pixels;
    DeviceBuffer<unsigned long long> counts;
    PinnedBuffer<VoteSegment> host_segments;
    PinnedBuffer<std::uint32_t> host_tiles;
    PinnedBuffer<std::uint8_t> host_pixels;
    PinnedBuffer<std::uint64_t> host_counts;
    std::size_t counters = 0;
  };

  Lane make_lane() const {
    const auto counters =
        std::size_t{kMaxSegments} * static_cast<std::size_t>(network_.classes + 1);
    Lane lane;
    lane.stream = make_stream();
    lane.finished = make_event();
    lane.segments = DeviceBuffer<VoteSegment>(kMaxSegments);
    lane.tiles = DeviceBuffer<std::uint32_t>(kMaxSegments + 1);
    lane.pixels = DeviceBuffer<std::uint8_t>(kMaxSegments * kImage);
    lane.counts = DeviceBuffer<unsigned long long>(counters);
    lane.host_segments = PinnedBuffer<VoteSegment>(kMaxSegments);
    lane.host_tiles = PinnedBuffer<std::uint32_t>(kMaxSegments + 1);
    lane.host_pixels = PinnedBuffer<std::uint8_t>(kMaxSegments * kImage);
    lane.host_counts = PinnedBuffer<std::uint64_t>(counters);
    return lane;
  }

  int device_;
  FusedNetwork network_;
  VoteSettings settings_;
  FusedShape shape_;
  FusedModel model_;
  DeviceBuffer<std::uint32_t> fragments_, hot_, cold_;
  std::array<Lane, 2> lanes_;
};

}  // namespace

std::optional<FusedPlan> plan_fused(int device, const InferencePlan& plan, const NoiseSpec& noise,
                                    std::string* why_not) {
  const auto network = match_fused_network(plan, noise, why_not);
  if (!network) return std::nullopt;
  if (launch_shape(device, noise.law).warps == 0) {
    if (why_not) *why_not = "the device has too little shared memory";
    return std::nullopt;
  }
  return FusedPlan{*network, "cuda fused fp16 mma"};
}

std::unique_ptr<VoteDevice> make_fused_vote_device(int device, const FusedPlan& plan,
                                                   const VoteSettings& settings) {
  return std::make_unique<FusedVoteDevice>(device, plan, settings);
}

}  // namespace smoothcert::gpu
