// Launches of the fused certification kernels, callable from plain C++. Asynchronous on the given
// stream; pointers are device pointers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cuda/runtime/abi.hpp"
#include "gpu/exact_program.hpp"
#include "gpu/fused_network.hpp"
#include "gpu/vote_segment.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert::gpu {

inline namespace SMOOTHCERT_GPU_ABI {

/// A batch on the device. Tiles of segment s: [tiles[s], tiles[s + 1]), see tile_offsets().
struct FusedBatch {
  const VoteSegment* segments = nullptr;
  const std::uint32_t* tiles = nullptr;  ///< count + 1 entries
  std::uint32_t count = 0;
  std::uint32_t samples = 0;
  const std::uint8_t* pixels = nullptr;  ///< 784 per segment
  unsigned long long* counts = nullptr;  ///< classes + 1 per segment, the last one invalid
};

/// Segment that holds this tile.
SMOOTHCERT_HD std::uint32_t segment_of_tile(const FusedBatch& batch, std::uint32_t tile) {
  std::uint32_t low = 0, high = batch.count;
  while (high - low > 1) {
    const std::uint32_t middle = (low + high) / 2;
    (batch.tiles[middle] <= tile ? low : high) = middle;
  }
  return low;
}

/// The noise and the network of a launch.
struct FusedModel {
  NoiseSpec noise;
  device::LatticeView table{};               ///< device memory
  const std::uint32_t* fragments = nullptr;  ///< pack_fragments() or, for wgmma, pack_warpgroup()
  float bias[16] = {};
  int classes = 0;
};

/// How wide to launch. With mma.sync blocks of `warps` warps (4 or 8; 1 or 2 in the emulator)
/// and tiles of 16 samples; with wgmma, where `warpgroups` is set (3; 2 in the emulator), tiles of
/// 64.
struct FusedShape {
  unsigned blocks = 1;
  int warps = 8;
  int warpgroups = 0;
  [[nodiscard]] std::uint32_t tile() const { return warpgroups > 0 ? 64 : 16; }
};

/// Whether the wgmma kernel is in this build: CMAKE_CUDA_ARCHITECTURES has 90a.
bool wgmma_is_built();

/// Dynamic shared memory of a block, bytes.
std::size_t fused_shared_bytes(NoiseLaw law, int warps);

/// Exact mode in one kernel: adds the votes of a batch to batch.counts. Tiles hold program.samples
/// samples; `weights` is program.weights in device memory, `blocks` as many as fill the device.
void count_fused_exact_votes(Stream stream, const ExactProgram& program, const float* weights,
                             const NoiseSpec& noise, const device::LatticeView& table,
                             const FusedBatch& batch, unsigned blocks);

/// Fast mode: adds the votes of a batch to batch.counts. Tiles hold shape.tile() samples.
void count_fused_votes(Stream stream, const FusedModel& model, const FusedBatch& batch,
                       FusedShape shape);
void count_fused_votes_wgmma(Stream stream, const FusedModel& model, const FusedBatch& batch,
                             FusedShape shape);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
