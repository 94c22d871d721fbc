#include "vote_device.hpp"

#include <algorithm>
#include <array>

#include "nvtx.hpp"

namespace smoothcert::gpu {
namespace {

class ExactVoteDevice final : public VoteDevice {
 public:
  ExactVoteDevice(std::shared_ptr<const DevicePlan> plan, const VoteSettings& settings)
      : plan_(std::move(plan)), settings_(settings) {}

  ~ExactVoteDevice() override {
    cudaSetDevice(plan_->device);
    for (const Lane& lane : lanes_) {
      if (lane.stream) cudaStreamSynchronize(lane.stream.get());
    }
  }

  void prepare(std::uint32_t samples) override {
    SMOOTHCERT_CUDA(cudaSetDevice(plan_->device));
    for (Lane& lane : lanes_) lane = Lane{};  // free the larger try first
    const std::size_t image = plan_->plan.input.size();
    const auto counters = std::size_t{kMaxSegments} * static_cast<std::size_t>(classes() + 1);
    for (Lane& lane : lanes_) {
      lane.stream = make_stream();
      lane.finished = make_event();
      lane.values = DeviceBuffer<float>(plan_->layout.total * value_pitch(samples));
      lane.segments = DeviceBuffer<VoteSegment>(kMaxSegments);
      lane.pixels = DeviceBuffer<std::uint8_t>(kMaxSegments * image);
      lane.counts = DeviceBuffer<unsigned long long>(counters);
      lane.host_segments = PinnedBuffer<VoteSegment>(kMaxSegments);
      lane.host_pixels = PinnedBuffer<std::uint8_t>(kMaxSegments * image);
      lane.host_counts = PinnedBuffer<std::uint64_t>(counters);
    }
    if (settings_.noise.law == NoiseLaw::lattice) {
      const LatticeTable& table = *settings_.noise.table;
      hot_ = upload(table.hot, lanes_[0].stream.get());
      cold_ = upload(table.cold, lanes_[0].stream.get());
      lattice_ = {hot_.data(), cold_.data(), table.log2_columns, table.offset};
    }
  }

  std::size_t lanes() const override { return lanes_.size(); }
  std::uint32_t max_segments() const override { return kMaxSegments; }

  void submit(std::size_t index, const VoteBatch& batch) override {
    const NvtxRange range("submit vote batch");
    Lane& lane = lanes_[index];
    const cudaStream_t stream = lane.stream.get();
    const std::size_t image = plan_->plan.input.size(), segments = batch.segments.size();
    lane.counters = segments * static_cast<std::size_t>(classes() + 1);
    std::copy(batch.segments.begin(), batch.segments.end(), lane.host_segments.data());
    for (std::size_t s = 0; s < segments; ++s) {
      std::copy_n(batch.pixels[s], image, lane.host_pixels.data() + s * image);
    }
    copy_to_device(lane.segments.data(), lane.host_segments.data(), segments, stream);
    copy_to_device(lane.pixels.data(), lane.host_pixels.data(), segments * image, stream);
    SMOOTHCERT_CUDA(
        cudaMemsetAsync(lane.counts.data(), 0, lane.counters * sizeof(unsigned long long), stream));
    const DeviceSegments on_device{lane.segments.data(), static_cast<std::uint32_t>(segments),
                                   batch.samples, lane.pixels.data(), static_cast<int>(image)};
    count_exact_votes(stream, plan_->plan, plan_->layout, plan_->params.data(), settings_.noise,
                      lattice_, on_device, lane.values.data(), lane.counts.data());
    SMOOTHCERT_CUDA(cudaMemcpyAsync(lane.host_counts.data(), lane.counts.data(),
                                    lane.counters * sizeof(std::uint64_t), cudaMemcpyDeviceToHost,
                                    stream));
    SMOOTHCERT_CUDA(cudaEventRecord(lane.finished.get(), stream));
  }

  std::span<const std::uint64_t> collect(std::size_t index) override {
    const NvtxRange range("collect vote batch");
    Lane& lane = lanes_[index];
    SMOOTHCERT_CUDA(cudaEventSynchronize(lane.finished.get()));
    return {lane.host_counts.data(), lane.counters};
  }

 private:
  static constexpr std::uint32_t kMaxSegments = 1024;

  struct Lane {
    OwnedStream stream;
    OwnedEvent finished;
    DeviceBuffer<float> values;
    DeviceBuffer<VoteSegment> segments;
    DeviceBuffer<std::uint8_t> pixels;
    DeviceBuffer<unsigned long long> counts;
    PinnedBuffer<VoteSegment> host_segments;
    PinnedBuffer<std::uint8_t> host_pixels;
    PinnedBuffer<std::uint64_t> host_counts;
    std::size_t counters = 0;
  };

  [[nodiscard]] int classes() const { return plan_->plan.classes; }

  std::shared_ptr<const DevicePlan> plan_;
  VoteSettings settings_;
  DeviceBuffer<std::uint32_t> hot_, cold_;
  device::LatticeView lattice_{};
  std::array<Lane, 2> lanes_;
};

}  // namespace

std::shared_ptr<const DevicePlan> make_device_plan(int device, InferencePlan plan) {
  const DeviceScope scope(device);
  auto result = std::make_shared<DevicePlan>();
  result->device = device;
  result->layout = lay_out_values(plan);
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
