// The fused certification kernel with wgmma (sm_90a): as fused_mma_kernel.cuh, cell by cell, but a
// warpgroup takes 64 samples and the tensor cores read the weights from shared memory themselves.
//
// A block is three warpgroups that share weights and table. Products of double tile J run while the
// noise of J + 1 is drawn and J − 1 is pooled: two sets of accumulators in turn.
#pragma once

#include "cuda/runtime/warpgroup.cuh"
#include "cuda/votes/fused_state.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

template <class Noise, int kGroups>
struct WgmmaShared {
  uint4 weights[WarpgroupMap::kBytes / 16];
  uint4 table[Noise::kTableWords / 4 + 1];
  // Round keys once more: read from here they stay in registers, of which this kernel has some
  // left; from the parameters the compiler fetches them for every call.
  device::PhiloxKeys keys;
  WorkerState<Noise> groups[kGroups];
  uint4 stash[LaneStash<1>::kWords * kGroups * 128];
};

#if defined(SMOOTHCERT_HAVE_WGMMA)

/// Accumulators of one double tile: [8·tile + 2·partner + row], channel 4 [2·dy + row].
struct Conv1Sums {
  Half2 main[16];
  Half2 extra[4];
};

SMOOTHCERT_LEAF void issue_conv1(Conv1Sums& sums, const Half2 (&cells)[14][4], int J,
                                 BlockAddress weights) {
  wgmma_fence();
  SMOOTHCERT_UNROLL
  for (int cc = 0; cc < 4; ++cc) {
    const Half2(&a)[4] = cells[2 * J + cc];
    if (cc < 3) {
      wgmma_n32(sums.main, a, block_at(weights, WarpgroupMap::kConv1 + 1024 * cc), cc > 0);
    }
    if (cc > 0) {
      wgmma_n32(sums.main + 8, a, block_at(weights, WarpgroupMap::kConv1 + 1024 * (cc - 1)),
                cc > 1);
    }
    wgmma_n16(sums.extra, a, block_at(weights, WarpgroupMap::kConv1x + 512 * cc), cc > 0);
  }
  wgmma_commit();
}

/// ReLU and pooling of double tile J, whose products have landed.
SMOOTHCERT_LEAF void pool_conv1(Conv1Sums& sums, uint4 epilogue, int J, Half2 (&carried)[2],
                                PooledRow& out) {
  SMOOTHCERT_UNROLL
  for (Half2& word : sums.main) landed(word);
  SMOOTHCERT_UNROLL
  for (Half2& word : sums.extra) landed(word);
  SMOOTHCERT_UNROLL
  for (int r = 0; r < 2; ++r) {
    SMOOTHCERT_UNROLL
    for (int a = 0; a < 2; ++a) {
      const Half2* d = sums.main + 8 * a + r;
      out.p[2 * J + a][r] = fma_relu_halves(epilogue.x, max4(d[0], d[2], d[4], d[6]), epilogue.y);
    }
    const Half2 v = max_halves(sums.extra[r], sums.extra[2 + r]);
    if (J % 2 == 0) {
      carried[r] = v;
    } else {
      out.q[J / 2][r] = fma_relu_halves(epilogue.z, max_across(carried[r], v), epilogue.w);
    }
  }
}

/// What one tile row contributes to one output row pair, d rows below: ten products, waited for.
SMOOTHCERT_LEAF void conv2_rows_wgmma(Conv2Sums& sums, bool fresh, const PooledRow& in,
                                      BlockAddress weights, int d) {
  auto* const words = &sums[0][0];
  wgmma_fence();
  SMOOTHCERT_UNROLL
  for (int k = 0; k < 5; ++k) {
    SMOOTHCERT_UNROLL
    for (int half = 0; half < 2; ++half) {
      const int j = 2 * (2 * half + k);
      const BlockAddress b = block_at(weights, WarpgroupMap::kConv2 + 6400 * d + 1280 * k);
      if (k < 4) {
        const Half2 a[4] = {in.p[j][0], in.p[j][1], in.p[j + 1][0], in.p[j + 1][1]};
        wgmma_n40(words + 10 * half, a, b, !fresh || k > 0);
      } else {
        const Half2 a[4] = {in.q[half][0], in.q[half][1], in.q[half + 1][0], in.q[half + 1][1]};
        wgmma_n40(words + 10 * half, a, b, true);
      }
    }
  }
  wgmma_commit();
  wgmma_wait<0>();
  SMOOTHCERT_UNROLL
  for (int i = 0; i < 20; ++i) landed(words[i]);
}

/// Votes of the samples of the tile that state.stream names.
template <class Noise, int kGroups>
SMOOTHCERT_LEAF void wgmma_tile(const FusedParams& params, WgmmaShared<Noise, kGroups>& shared,
                                WorkerState<Noise>& state, const LaneStash<kGroups * 128>& stash) {
  const int lane = static_cast<int>(threadIdx.x % 32), t = lane % 4;
  const BlockAddress weights = block_address(shared.weights);
  // Lane groups keep the numbers they have in pack_fragments().
  const uint4* groups =
      shared.weights + WarpgroupMap::kLanes / 16 - WarpgroupMap::kFirstLaneGroup * 32;
  const auto* hot = reinterpret_cast<const std::uint32_t*>(shared.table);
  const LaneSamples samples = lane_samples(shared.keys, state);
  Half2 cells[14][4];
  SMOOTHCERT_UNROLL
  for (int j = 0; j < kGroupsPerRow; ++j) {
    generate_cells(params, hot, samples, state, 0, j, t, cells);
  }
  SMOOTHCERT_LOOP
  for (int i = 0; i < 6; ++i) {
    PooledRow pooled;
    Half2 carried[2];
    Conv1Sums sums1[2];
    const uint4 epilogue = lane_group(groups, kFragmentPairs, lane);
    SMOOTHCERT_UNROLL
    for (int c = 0; c < 14; ++c) {
      cells[c][0] = cells[c][2];
      cells[c][1] = cells[c][3];
    }
    SMOOTHCERT_UNROLL
    for (int J = 0; J < 7; ++J) {
      if (J < 6) {
        SMOOTHCERT_UNROLL
        for (int j = J == 0 ? 0 : J + 1; j < J + 2; ++j) {
          generate_cells(params, hot, samples, state, i + 1, j, t, cells);
        }
        issue_conv1(sums1[J % 2], cells, J, weights);
      }
      if (J > 0) {
        if (J < 6) {
          wgmma_wait<1>();
        } else {
          wgmma_wait<0>();
        }
        pool_conv1(sums1[(J - 1) % 2], epilogue, J - 1, carried, pooled);
      }
    }
    const int now = i % 3, before = now == 0 ? 2 : now - 1, oldest = now == 2 ? 0 : now + 1;
    Conv2Sums sums;
    if (i >= 2) {
      stash.load(stash.slot(oldest), sums);
      conv2_rows_wgmma(sums, false, pooled, weights, 2);
      conv2_finish(sums, groups, stash, i - 2, lane);
    }
    if (i >= 1 && i <= 4) {
      stash.load(stash.slot(before), sums);
      conv2_rows_wgmma(sums, false, pooled, weights, 1);
      stash.save(stash.slot(before), sums);
    }
    if (i <= 3) {
      conv2_rows_wgmma(sums, true, pooled, weights, 0);
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
  cast_votes(params, state, logits, t);
}

#endif

template <class Noise, int kGroups>
__global__ void __launch_bounds__(kGroups * 128, 1)
    fused_wgmma_kernel(const __grid_constant__ FusedParams params) {
#if defined(SMOOTHCERT_HAVE_WGMMA)
  using Shared = WgmmaShared<Noise, kGroups>;
  SMOOTHCERT_DYNAMIC_SHARED(Shared, shared);
  const FusedBatch& batch = params.batch;
  for (unsigned i = threadIdx.x; i < WarpgroupMap::kBytes / 16; i += kGroups * 128) {
    shared->weights[i] = params.weights[i];
  }
  if constexpr (Noise::kTableWords > 0) {
    auto* hot = reinterpret_cast<std::uint32_t*>(shared->table);
    for (unsigned i = threadIdx.x; i < 1u << params.noise.table.log2_columns; i += kGroups * 128) {
      hot[i] = params.noise.table.hot[i];
    }
  }
  if (threadIdx.x == 0) shared->keys = params.noise.keys;
  publish_to_wgmma();
  __syncthreads();
  const unsigned group = uniform(threadIdx.x / 128), barrier = group + 1;
  const int thread = static_cast<int>(threadIdx.x % 128);
  WorkerState<Noise>& state = shared->groups[group];
  const LaneStash<kGroups * 128> stash{shared->stash + threadIdx.x};
  if (thread == 0) {
    take_share(batch, state, std::uint64_t{blockIdx.x} * kGroups + group,
               std::uint64_t{gridDim.x} * kGroups);
  }
  sync_warpgroup(barrier);
  SMOOTHCERT_LOOP
  while (uniform(state.tile) != uniform(state.end)) {
    load_segment<128>(params, state, thread);
    sync_warpgroup(barrier);  // everybody has read where the group stands
    if (thread == 0) name_tile<64>(batch, state);
    sync_warpgroup(barrier);
    bool more = true;
    SMOOTHCERT_LOOP
    while (more) {
      wgmma_tile(params, *shared, state, stash);
      more = uniform(state.tiles) > 1;
      sync_warpgroup(barrier);  // everybody is done with this tile
      if (thread == 0) next_tile<64>(state);
      sync_warpgroup(barrier);
    }
    add_votes<128>(params, state, thread);
  }
#else
  __trap();  // see wgmma_is_built()
#endif
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
