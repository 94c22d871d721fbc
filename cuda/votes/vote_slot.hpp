// One batch of votes in flight: a stream, the batch's segments and images on the device, and its
// counts on the way back. What every vote device has per slot, whatever computes the votes.
#pragma once

#include <algorithm>
#include <span>

#include "cuda/runtime/context.hpp"
#include "cuda/votes/launch_exact.hpp"
#include "gpu/vote_worker.hpp"

namespace smoothcert::gpu {

struct VoteSlot {
  static constexpr std::uint32_t kMaxSegments = 1024;  ///< of a batch, where nothing else is said

  OwnedStream stream;
  OwnedEvent finished;
  DeviceBuffer<VoteSegment> segments;
  DeviceBuffer<std::uint8_t> pixels;
  DeviceBuffer<unsigned long long> counts;
  PinnedBuffer<VoteSegment> host_segments;
  PinnedBuffer<std::uint8_t> host_pixels;
  PinnedBuffer<std::uint64_t> host_counts;
  std::size_t image = 0, classes = 0, counters = 0;

  VoteSlot() = default;
  VoteSlot(std::size_t image_size, std::size_t class_count, std::size_t most = kMaxSegments)
      : stream(make_stream()),
        finished(make_event()),
        segments(most),
        pixels(most * image_size),
        counts(most * (class_count + 1)),
        host_segments(most),
        host_pixels(most * image_size),
        host_counts(most * (class_count + 1)),
        image(image_size),
        classes(class_count) {}

  /// Sends the batch's segments and images on their way and clears the counts.
  DeviceSegments stage(const VoteBatch& batch) {
    const std::size_t count = batch.segments.size();
    counters = count * (classes + 1);
    std::copy(batch.segments.begin(), batch.segments.end(), host_segments.data());
    for (std::size_t s = 0; s < count; ++s) {
      std::copy_n(batch.pixels[s], image, host_pixels.data() + s * image);
    }
    copy_to_device(segments.data(), host_segments.data(), count, stream.get());
    copy_to_device(pixels.data(), host_pixels.data(), count * image, stream.get());
    SMOOTHCERT_CUDA(
        cudaMemsetAsync(counts.data(), 0, counters * sizeof(unsigned long long), stream.get()));
    return {segments.data(), static_cast<std::uint32_t>(count), batch.samples, pixels.data(),
            static_cast<int>(image)};
  }

  /// Sends the counts back.
  void finish() {
    SMOOTHCERT_CUDA(cudaMemcpyAsync(host_counts.data(), counts.data(),
                                    counters * sizeof(std::uint64_t), cudaMemcpyDeviceToHost,
                                    stream.get()));
    SMOOTHCERT_CUDA(cudaEventRecord(finished.get(), stream.get()));
  }

  std::span<const std::uint64_t> collect() const {
    SMOOTHCERT_CUDA(cudaEventSynchronize(finished.get()));
    return {host_counts.data(), counters};
  }

  /// Before the memory goes; never throws.
  void drain() const {
    if (stream) cudaStreamSynchronize(stream.get());
  }
};

}  // namespace smoothcert::gpu
