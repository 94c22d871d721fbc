// Launches of the fused feature kernel and of what follows it, callable from plain C++.
// Asynchronous on the given stream; pointers are device pointers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/runtime/abi.hpp"
#include "cuda/votes/launch_exact.hpp"
#include "gpu/feature_packing.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// The noise and the convolutions of a launch.
struct FeatureModel {
  NoiseSpec noise;
  device::LatticeView table{};             ///< device memory
  const std::uint32_t* weights = nullptr;  ///< pack_features()
  int channel_pairs = 0;                   ///< of the second convolution
};

/// Blocks of `warps` warps (8 or 12; 1 or 2 in the emulator), each warp with a sample of its own.
struct FeatureShape {
  unsigned blocks = 1;
  int warps = 12;
};

/// Warps a block of the kernel as it was compiled for the current device.
int feature_warps();

/// Dynamic shared memory of a block, bytes.
std::size_t feature_shared_bytes(NoiseLaw law, int warps);

/// The features of every sample of the batch, in halves: 32·channel_pairs a sample, FeaturePlace.
void compute_features(Stream stream, const FeatureModel& model, const DeviceSegments& batch,
                      FeatureShape shape, std::uint16_t* features);

/// out = relu(sums + bias) as halves, `width` (even) values a sample.
void relu_to_halves(Stream stream, const float* sums, const float* bias, int width,
                    std::uint32_t samples, std::uint16_t* out);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
