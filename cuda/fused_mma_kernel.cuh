// The fused certification kernel with mma.sync: noise, network and vote of 16 samples a warp, fp16
// tensor cores, no noisy image, activation or logit ever outside the SM. Compute capability 8.0 up.
//
// Persistent: warp w of W works tiles [T·w/W, T·(w+1)/W) of the batch, a tile being up to 16
// samples of one segment. Draws depend on (seed, purpose, image, sample, pixel) and votes are
// added, so counts do not depend on W, nor on how the host cut the batch.
#pragma once

#include "fused_layers.cuh"
#include "fused_noise.cuh"
#include "launch_fused.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct FusedParams {
  FusedNoise noise;
  FusedBatch batch;
  const uint4* fragments = nullptr;  ///< kLaneGroups · 32
  float bias[16];
  int classes = 0;
};

/// What one warp keeps in shared memory. Its place in the batch is here rather than in registers,
/// where the hot loop would spill it.
template <class Noise>
struct WarpState {
  device::PhiloxGroup groups[kImageGroups];
  typename Noise::PixelQuad pixels[kImageGroups];
  std::uint32_t votes[17];      ///< classes and, at `classes`, invalid
  FusedStream stream;           ///< of the tile at hand
  std::uint32_t remaining;      ///< samples of the segment from this tile on
  std::uint32_t tiles;          ///< of the segment, that this warp has yet to do
  std::uint32_t segment, tile;  ///< next segment, next tile
  std::uint32_t end;            ///< where this warp's tiles end
};

template <class Noise, int kWarps>
struct FusedShared {
  uint4 fragments[kLaneGroups * 32];
  uint4 table[Noise::kTableWords / 4 + 1];  // at least one: no empty arrays
  WarpState<Noise> warps[kWarps];
  uint4 stash[LaneStash<1>::kWords * kWarps * 32];
};

/// Noise of the four pixels j of row quad q into the H half of their quads.
template <class Noise>
SMOOTHCERT_LEAF void generate_cells(const FusedParams& params, const std::uint32_t* hot,
                                    const LaneSamples& samples, const WarpState<Noise>& warp, int q,
                                    int j, int t, Half2 (&cells)[14][4]) {
  const int group = (4 * q + t) * kGroupsPerRow + j;
  FourCells made;
  Noise::generate(params.noise, hot, warp.stream, samples, static_cast<std::uint32_t>(group),
                  warp.groups[group], warp.pixels[group], made);
  SMOOTHCERT_UNROLL
  for (int c = 0; c < 2; ++c) {
    cells[2 * j + c][2] = made.cell[c][0];
    cells[2 * j + c][3] = made.cell[c][1];
  }
}

/// Votes of the samples of the tile that warp.stream names.
template <class Noise, int kWarps>
SMOOTHCERT_LEAF void fused_tile(const FusedParams& params, FusedShared<Noise, kWarps>& shared,
                                WarpState<Noise>& warp, const LaneStash<kWarps * 32>& stash) {
  const int lane = static_cast<int>(threadIdx.x % 32), t = lane % 4, g = lane / 4;
  const uint4* groups = shared.fragments;
  const auto* hot = reinterpret_cast<const std::uint32_t*>(shared.table);
  LaneSamples samples;
  for (int s = 0; s < 2; ++s) {
    samples.half[s] =
        device::philox_sample(params.noise.keys, warp.stream.image,
                              warp.stream.first_sample + static_cast<std::uint32_t>(g + 8 * s));
  }
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
  SMOOTHCERT_UNROLL
  for (int r = 0; r < 2; ++r) {
    const int vote = quad_vote(logits, r, t);
    if (t == r && static_cast<std::uint32_t>(g + 8 * r) < warp.remaining) {
      atomicAdd(&warp.votes[vote < 0 ? params.classes : vote], 1u);
    }
  }
}

/// Readies the warp for its tiles of the next segment: its own copy of the image, with the part of
/// Philox that all samples share.
template <class Noise>
SMOOTHCERT_LEAF void enter_segment(const FusedParams& params, WarpState<Noise>& warp, int lane) {
  const FusedBatch& batch = params.batch;
  const std::uint32_t index = warp.segment, tile = warp.tile, end = warp.end;
  const VoteSegment segment = batch.segments[index];
  const std::uint8_t* pixels = batch.pixels + std::size_t{index} * kImagePixels;
  for (int i = lane; i < kImageGroups; i += 32) {
    warp.groups[i] = device::philox_group(params.noise.keys, segment.purpose, segment.image,
                                          static_cast<std::uint32_t>(i));
    warp.pixels[i] = Noise::load_pixels(params.noise, pixels + 4 * i);
  }
  for (int c = lane; c <= params.classes; c += 32) warp.votes[c] = 0;
  __syncwarp();  // everybody has read where the warp stands
  if (lane == 0) {
    const std::uint32_t first = batch.tiles[index], next = batch.tiles[index + 1];
    const std::uint32_t last = next < end ? next : end, done = (tile - first) * 16;
    const std::uint32_t segment_end =
        index + 1 < batch.count ? batch.segments[index + 1].begin : batch.samples;
    warp.stream = {segment.image, segment.purpose, segment.first_sample + done};
    warp.remaining = segment_end - segment.begin - done;
    warp.tiles = last - tile;
    warp.segment = index + 1;
    warp.tile = last;
  }
}

/// Adds the warp's votes to the batch's.
template <class Noise>
SMOOTHCERT_LEAF void leave_segment(const FusedParams& params, const WarpState<Noise>& warp,
                                   int lane) {
  for (int c = lane; c <= params.classes; c += 32) {
    const std::uint32_t votes = warp.votes[c];
    if (votes != 0) {
      const std::size_t segment = warp.segment - 1;
      atomicAdd(&params.batch.counts[segment * static_cast<std::size_t>(params.classes + 1) + c],
                static_cast<unsigned long long>(votes));
    }
  }
}

/// Which widths are compiled for which architecture: 12 warps need the 227 KB of compute capability
/// 9.0, 8 the 163 KB of 8.0; 4 fit everywhere.
template <int kWarps>
SMOOTHCERT_HD constexpr bool width_is_built() {
#if defined(__CUDA_ARCH__)
  return kWarps == 4 || (kWarps == 12) == (__CUDA_ARCH__ >= 900);
#else
  return true;
#endif
}

template <class Noise, int kWarps>
__global__ void __launch_bounds__(kWarps * 32, 1)
    fused_mma_kernel(const __grid_constant__ FusedParams params) {
  if constexpr (!width_is_built<kWarps>()) return;
  using Shared = FusedShared<Noise, kWarps>;
  SMOOTHCERT_DYNAMIC_SHARED(Shared, shared);
  const FusedBatch& batch = params.batch;
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (unsigned i = threadIdx.x; i < kLaneGroups * 32; i += kWarps * 32) {
    shared->fragments[i] = params.fragments[i];
  }
  if constexpr (Noise::kTableWords > 0) {
    auto* hot = reinterpret_cast<std::uint32_t*>(shared->table);
    for (unsigned i = threadIdx.x; i < 1u << params.noise.table.log2_columns; i += kWarps * 32) {
      hot[i] = params.noise.table.hot[i];
    }
  }
  __syncthreads();
  const unsigned warp_index = threadIdx.x / 32;
  WarpState<Noise>& warp = shared->warps[warp_index];
  const LaneStash<kWarps * 32> stash{shared->stash + threadIdx.x};
  if (lane == 0) {
    const std::uint64_t tiles = batch.tiles[batch.count];
    const std::uint64_t workers = std::uint64_t{gridDim.x} * kWarps;
    const std::uint64_t worker = std::uint64_t{blockIdx.x} * kWarps + warp_index;
    warp.tile = static_cast<std::uint32_t>(tiles * worker / workers);
    warp.end = static_cast<std::uint32_t>(tiles * (worker + 1) / workers);
    warp.segment = segment_of_tile(batch, warp.tile);
  }
  __syncwarp();
  SMOOTHCERT_LOOP
  while (warp.tile != warp.end) {
    enter_segment(params, warp, lane);
    __syncwarp();
    bool more = true;
    SMOOTHCERT_LOOP
    while (more) {
      fused_tile(params, *shared, warp, stash);
      more = warp.tiles > 1;
      __syncwarp();  // everybody is done with this tile
      if (lane == 0) {
        --warp.tiles;
        warp.stream.first_sample += 16;
        warp.remaining -= 16;  // of the last tile of a segment never read
      }
      __syncwarp();
    }
    leave_segment(params, warp, lane);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
