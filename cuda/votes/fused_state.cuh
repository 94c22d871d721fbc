// Where a worker of a fused fp16 kernel stands in its batch, and what it shares between its
// threads.
#pragma once

#include "cuda/votes/fused_layers.cuh"
#include "cuda/votes/fused_noise.cuh"
#include "cuda/votes/launch_fused.hpp"
#include "gpu/vote_segment.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

struct FusedParams {
  FusedNoise noise;
  FusedBatch batch;
  const uint4* weights = nullptr;  ///< pack_fragments() or pack_warpgroup()
  float bias[16];
  int classes = 0;
};

/// What one worker, a warp or a warpgroup, keeps in shared memory. Its place in the batch is here
/// rather than in registers, where the hot loop would spill it.
template <class Noise>
struct WorkerState {
  device::PhiloxGroup groups[kImageGroups];
  typename Noise::PixelQuad pixels[kImageGroups];
  std::uint32_t votes[17];      ///< classes and, at `classes`, invalid
  FusedStream stream;           ///< of the tile at hand
  std::uint32_t remaining;      ///< samples of the segment from this tile on
  std::uint32_t tiles;          ///< of the segment, that this worker has yet to do
  std::uint32_t segment, tile;  ///< next segment, next tile
  std::uint32_t end;            ///< where this worker's tiles end
};

/// The worker's share of the batch: tiles [T·w/W, T·(w+1)/W). By one thread.
template <class Noise>
SMOOTHCERT_LEAF void take_share(const FusedBatch& batch, WorkerState<Noise>& state,
                                std::uint64_t worker, std::uint64_t workers) {
  const std::uint64_t tiles = batch.tiles[batch.count];
  state.tile = static_cast<std::uint32_t>(tiles * worker / workers);
  state.end = static_cast<std::uint32_t>(tiles * (worker + 1) / workers);
  state.segment = segment_of_tile(batch, state.tile);
}

/// The worker's own copy of the next segment's image, with the part of Philox that all samples
/// share. By all kThreads threads; a barrier and name_tile() must follow.
template <int kThreads, class Noise>
SMOOTHCERT_LEAF void load_segment(const FusedParams& params, WorkerState<Noise>& state,
                                  int thread) {
  const std::uint32_t index = state.segment;
  const VoteSegment segment = params.batch.segments[index];
  const std::uint8_t* pixels = params.batch.pixels + std::size_t{index} * kImagePixels;
  for (int i = thread; i < kImageGroups; i += kThreads) {
    state.groups[i] = device::philox_group(params.noise.keys, segment.purpose, segment.image,
                                           static_cast<std::uint32_t>(i));
    state.pixels[i] = Noise::load_pixels(params.noise, pixels + 4 * i);
  }
  for (int c = thread; c <= params.classes; c += kThreads) state.votes[c] = 0;
}

/// Describes the first tile, of kTile samples, of the segment just loaded. By one thread.
template <int kTile, class Noise>
SMOOTHCERT_LEAF void name_tile(const FusedBatch& batch, WorkerState<Noise>& state) {
  const std::uint32_t index = state.segment, tile = state.tile, end = state.end;
  const VoteSegment segment = batch.segments[index];
  const std::uint32_t first = batch.tiles[index], next = batch.tiles[index + 1];
  const std::uint32_t last = next < end ? next : end, done = (tile - first) * kTile;
  const std::uint32_t segment_end =
      index + 1 < batch.count ? batch.segments[index + 1].begin : batch.samples;
  state.stream = {segment.image, segment.purpose, segment.first_sample + done};
  state.remaining = segment_end - segment.begin - done;
  state.tiles = last - tile;
  state.segment = index + 1;
  state.tile = last;
}

/// Goes on to the next tile of the segment. By one thread.
template <int kTile, class Noise>
SMOOTHCERT_LEAF void next_tile(WorkerState<Noise>& state) {
  --state.tiles;
  state.stream.first_sample += kTile;
  state.remaining -= kTile;  // never read behind the segment's last tile
}

/// Adds the worker's votes for the segment to the batch's. By all threads, each with the classes
/// that it zeroed.
template <int kThreads, class Noise>
SMOOTHCERT_LEAF void add_votes(const FusedParams& params, const WorkerState<Noise>& state,
                               int thread) {
  for (int c = thread; c <= params.classes; c += kThreads) {
    const std::uint32_t votes = state.votes[c];
    if (votes != 0) {
      const std::size_t segment = state.segment - 1;
      atomicAdd(&params.batch.counts[segment * static_cast<std::size_t>(params.classes + 1) +
                                     static_cast<std::size_t>(c)],
                static_cast<unsigned long long>(votes));
    }
  }
}

/// Noise of the four pixels j of row quad q, both samples of the lane, into the lower half of their
/// quads.
template <class Noise>
SMOOTHCERT_LEAF void generate_cells(const FusedParams& params, const std::uint32_t* hot,
                                    const LaneSamples& samples, const WorkerState<Noise>& state,
                                    int q, int j, int t, Half2 (&cells)[14][4]) {
  const int group = (4 * q + t) * kGroupsPerRow + j;
  FourCells made;
  Noise::generate(params.noise, hot, state.stream, samples, static_cast<std::uint32_t>(group),
                  state.groups[group], state.pixels[group], made);
  SMOOTHCERT_UNROLL
  for (int c = 0; c < 2; ++c) {
    cells[2 * j + c][2] = made.cell[c][0];
    cells[2 * j + c][3] = made.cell[c][1];
  }
}

/// The samples of this lane: rows g and g + 8 of its warp.
template <class Noise>
SMOOTHCERT_LEAF LaneSamples lane_samples(const device::PhiloxKeys& keys,
                                         const WorkerState<Noise>& state) {
  LaneSamples samples;
  samples.keys = keys;
  for (std::uint32_t s = 0; s < 2; ++s) {
    samples.half[s] = device::philox_sample(keys, state.stream.image,
                                            state.stream.first_sample + Noise::lane_row() + 8 * s);
  }
  return samples;
}

/// Counts the votes of this lane's two samples, as far as they exist.
template <class Noise>
SMOOTHCERT_LEAF void cast_votes(const FusedParams& params, WorkerState<Noise>& state,
                                const float (&logits)[2][4], int t) {
  SMOOTHCERT_UNROLL
  for (int r = 0; r < 2; ++r) {
    const int vote = quad_vote(logits, r, t);
    if (t == r && Noise::lane_row() + 8u * static_cast<unsigned>(r) < state.remaining) {
      atomicAdd(&state.votes[vote < 0 ? params.classes : vote], 1u);
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
