// Fast mode for networks of two convolutions whose linear layers are large: the fused feature
// kernel, then matrix products of whole tiles. Runs on a GPU and in the emulator.
#pragma once

#include <span>

#include "cuda/votes/half_engine.hpp"
#include "cuda/votes/launch_features.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// A PackedLinear in device memory.
struct DeviceLinear {
  int in = 0, out = 0;
  float scale = 1;
  const std::uint16_t* weights = nullptr;
  const float* bias = nullptr;
};

/// Device memory of a tile of samples. All are computed, whatever the batch holds: they must hold
/// numbers from the start.
struct FeatureBuffers {
  std::uint16_t* features = nullptr;  ///< linear[0].in a sample
  std::uint16_t* hidden = nullptr;    ///< the largest `out` but the last a sample
  float* sums = nullptr;              ///< the largest `out` a sample
};

/// Counts the votes of a batch of at most `tile` samples, a multiple of 16, into `counts`, which
/// holds zeros. Products are always those of a whole tile: a library may choose another algorithm
/// for another number of samples, and a sample's logits must not depend on its batch mates.
void count_feature_votes(Stream stream, HalfEngine& engine, const FeatureModel& model,
                         FeatureShape shape, std::span<const DeviceLinear> linear, int classes,
                         const DeviceSegments& batch, const FeatureBuffers& buffers,
                         std::uint32_t tile, unsigned long long* counts);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
