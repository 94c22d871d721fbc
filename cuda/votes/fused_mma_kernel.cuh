// The fused certification kernel with mma.sync: noise, network and vote of 16 samples a warp, fp16
// tensor cores, no noisy image, activation or logit ever outside the SM. Compute capability 8.0 up.
//
// Persistent: warp w of W works tiles [T·w/W, T·(w+1)/W) of the batch, a tile being up to 16
// samples of one segment. Draws depend on (seed, purpose, image, sample, pixel) and votes are
// added, so counts do not depend on W, nor on how the host cut the batch.
#pragma once

#include "cuda/votes/fused_layers.cuh"
#include "cuda/votes/fused_noise.cuh"
#include "cuda/votes/fused_state.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

template <class Noise, int kWarps>
struct FusedShared {
  uint4 fragments[kLaneGroups * 32];
  uint4 table[Noise::kTableWords / 4 + 1];  // at least one: no empty arrays
  WorkerState<Noise> warps[kWarps];
  uint4 stash[LaneStash<1>::kWords * kWarps * 32];
};

/// Votes of the samples of the tile that warp.stream names.
template <class Noise, int kWarps>
SMOOTHCERT_LEAF void fused_tile(const FusedParams& params, FusedShared<Noise, kWarps>& shared,
                                WorkerState<Noise>& warp, const LaneStash<kWarps * 32>& stash) {
  const int lane = static_cast<int>(threadIdx.x % 32), t = lane % 4;
  const uint4* groups = shared.fragments;
  const auto* hot = reinterpret_cast<const std::uint32_t*>(shared.table);
  const LaneSamples samples = lane_samples(params.noise.keys, warp);
  Half2 cells[14][4];
  SMOOTHCERT_UNROLL
  for (int j = 0; j < kGroupsPerRow; ++j) {
    generate_cells(params, hot, samples, warp, 0, j, t, cells);
  }
  SMOOTHCERT_LOOP
  for (int i = 0; i < 6; ++i) {
    PooledRow pooled;
    Half2 carried[2];
    {
      Half2 b[20][2];
      SMOOTHCERT_UNROLL
      for (int f = 0; f < 10; ++f) load_pair(groups, f, lane, b[2 * f], b[2 * f + 1]);
      SMOOTHCERT_UNROLL
      for (int c = 0; c < 14; ++c) {
        cells[c][0] = cells[c][2];
        cells[c][1] = cells[c][3];
      }
      SMOOTHCERT_UNROLL
      for (int J = 0; J < 6; ++J) {
        // Just in time: making the row's noise ahead of its products would need its registers.
        SMOOTHCERT_UNROLL
        for (int j = J == 0 ? 0 : J + 1; j < J + 2; ++j) {
          generate_cells(params, hot, samples, warp, i + 1, j, t, cells);
        }
        conv1_tile(cells, b, groups, lane, J, carried, pooled);
      }
    }
    // Tile row i feeds the output row pairs i, i − 1 and i − 2.
    const int now = i % 3, before = now == 0 ? 2 : now - 1, oldest = now == 2 ? 0 : now + 1;
    Conv2Sums sums;
    constexpr int kFirst = FragmentMap::kConv2 / 2;
    if (i >= 2) {
      stash.load(stash.slot(oldest), sums);
      conv2_rows(sums, false, pooled, groups, kFirst + 16, lane);
      conv2_finish(sums, groups, stash, i - 2, lane);
    }
    if (i >= 1 && i <= 4) {
      stash.load(stash.slot(before), sums);
      conv2_rows(sums, false, pooled, groups, kFirst + 8, lane);
      stash.save(stash.slot(before), sums);
    }
    if (i <= 3) {
      conv2_rows(sums, true, pooled, groups, kFirst, lane);
      stash.save(stash.slot(now), sums);
    }
  }
  float logits[2][4];
  SMOOTHCERT_UNROLL
  for (int b = 0; b < 2; ++b) {
    SMOOTHCERT_UNROLL
    for (int k = 0; k < 4; ++k) logits[b][k] = params.bias[8 * b + 2 * t + k % 2];
  }
  linear_layer(logits, groups, stash, lane);
  cast_votes(params, warp, logits, t);
}

/// 8 warps fill the 163 KB of compute capability 8.0; 4 fit everywhere. 12 would fit from 9.0 on,
/// but leave 168 registers a thread, and the kernel needs some 190 not to spill.
template <class Noise, int kWarps>
__global__ void __launch_bounds__(kWarps * 32, 1)
    fused_mma_kernel(const __grid_constant__ FusedParams params) {
  using Shared = FusedShared<Noise, kWarps>;
  SMOOTHCERT_DYNAMIC_SHARED(Shared, shared);
  const FusedBatch& batch = params.batch;
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (unsigned i = threadIdx.x; i < kLaneGroups * 32; i += kWarps * 32) {
    shared->fragments[i] = params.weights[i];
  }
  if constexpr (Noise::kTableWords > 0) {
    auto* hot = reinterpret_cast<std::uint32_t*>(shared->table);
    for (unsigned i = threadIdx.x; i < 1u << params.noise.table.log2_columns; i += kWarps * 32) {
      hot[i] = params.noise.table.hot[i];
    }
  }
  __syncthreads();
  const unsigned warp_index = threadIdx.x / 32;
  WorkerState<Noise>& warp = shared->warps[warp_index];
  const LaneStash<kWarps * 32> stash{shared->stash + threadIdx.x};
  if (lane == 0) {
    take_share(batch, warp, std::uint64_t{blockIdx.x} * kWarps + warp_index,
               std::uint64_t{gridDim.x} * kWarps);
  }
  __syncwarp();
  SMOOTHCERT_LOOP
  while (warp.tile != warp.end) {
    load_segment<32>(params, warp, lane);
    __syncwarp();  // everybody has read where the warp stands
    if (lane == 0) name_tile<16>(batch, warp);
    __syncwarp();
    bool more = true;
    SMOOTHCERT_LOOP
    while (more) {
      fused_tile(params, *shared, warp, stash);
      more = warp.tiles > 1;
      __syncwarp();  // everybody is done with this tile
      if (lane == 0) next_tile<16>(warp);
      __syncwarp();
    }
    add_votes<32>(params, warp, lane);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
