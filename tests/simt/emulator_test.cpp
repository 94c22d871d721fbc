// The emulator itself: that it runs kernels as CUDA would, and that it notices wrong ones.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "cuda/runtime/simt.cuh"

namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

simt::Config config(unsigned blocks, unsigned threads, std::uint64_t seed = 0) {
  return {.grid = dim3(blocks), .block = dim3(threads), .seed = seed};
}

// Counts the lines down to the barrier that the tests leave out.
constexpr int kReverseBarrierLine = __LINE__ + 6;
__global__ void reverse_kernel(int* data) {
  SMOOTHCERT_SHARED(int, tile, 64);
  const unsigned t = threadIdx.x, base = blockIdx.x * blockDim.x;
  tile[t] = data[base + t];

  __syncthreads();
  data[base + t] = tile[blockDim.x - 1 - t];
}

std::vector<int> iota(std::size_t n) {
  std::vector<int> v(n);
  std::iota(v.begin(), v.end(), 0);
  return v;
}

TEST(Emulator, BarrierOrdersSharedMemory) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    std::vector<int> data = iota(192), expected = iota(192);
    for (int b = 0; b < 3; ++b) std::reverse(&expected[64 * b], &expected[64 * b] + 64);
    const simt::Report report =
        simt::launch(config(3, 64, seed), [&] { reverse_kernel(data.data()); });
    EXPECT_EQ(data, expected);
    EXPECT_EQ(report.barriers,
              std::vector{"emulator_test.cpp:" + std::to_string(kReverseBarrierLine)});
    EXPECT_EQ(report.checked_accesses > 0, simt::race_checker_available());
  }
}

TEST(Emulator, DeletedBarrierIsNoticed) {
  const std::string barrier = "emulator_test.cpp:" + std::to_string(kReverseBarrierLine);
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    std::vector<int> data = iota(64);
    std::vector<int> expected(data.rbegin(), data.rend());
    simt::Config c = config(1, 64, seed);
    c.without_barrier = barrier;
    if (simt::race_checker_available()) {
      EXPECT_THROW(simt::launch(c, [&] { reverse_kernel(data.data()); }), simt::Error);
    } else {  // then the poison in shared memory gives it away
      simt::launch(c, [&] { reverse_kernel(data.data()); });
      EXPECT_NE(data, expected);
    }
  }
}

TEST(Emulator, SharedMemoryIsPoisonedAndPerBlock) {
  std::vector<std::uint32_t> first(4);
  simt::Config c = config(4, 32);
  c.dynamic_shared = 4;
  c.check_races = false;  // reading unwritten shared memory is the point
  simt::launch(c, [&] {
    SMOOTHCERT_DYNAMIC_SHARED(std::uint32_t, word);
    if (threadIdx.x == 0) {
      first[blockIdx.x] = word[0];
      word[0] = 7;
    }
  });
  EXPECT_THAT(first, testing::Each(0xFFFFFFFFu));
}

TEST(Emulator, GridAndBlockAreThreeDimensional) {
  std::vector<int> hits(2 * 3 * 4 * 5 * 6 * 7 / 3, 0);
  simt::launch({.grid = dim3(2, 3, 4), .block = dim3(5, 2, 7), .seed = 3}, [&] {
    const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    const unsigned thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
    hits[block * 70 + thread] += 1;
  });
  EXPECT_THAT(hits, testing::Each(1));
}

TEST(Emulator, ShufflesFollowTheProgrammingGuide) {
  constexpr unsigned kFull = 0xffffffffu;
  std::vector<int> up(32), down(32), exchanged(32), idx(32), sub(32);
  simt::launch(config(1, 32, 9), [&] {
    const int lane = static_cast<int>(threadIdx.x);
    up[lane] = __shfl_up_sync(kFull, lane, 3);
    down[lane] = __shfl_down_sync(kFull, lane, 3, 16);
    exchanged[lane] = __shfl_xor_sync(kFull, lane, 5);
    idx[lane] = __shfl_sync(kFull, lane, 9, 8);
    sub[lane] = __shfl_xor_sync(kFull, lane, 8, 8);
  });
  for (int l = 0; l < 32; ++l) {
    EXPECT_EQ(up[l], l < 3 ? l : l - 3);
    EXPECT_EQ(down[l], l % 16 + 3 < 16 ? l + 3 : l);
    EXPECT_EQ(exchanged[l], l ^ 5);
    EXPECT_EQ(idx[l], l / 8 * 8 + 1);
    EXPECT_EQ(sub[l], (l ^ 8) / 8 <= l / 8 ? (l ^ 8) : l);
  }
}

TEST(Emulator, MasksSplitAWarp) {
  std::vector<float> sum(32, 0);
  std::vector<unsigned> votes(32), matched(32);
  simt::launch(config(1, 32, 4), [&] {
    const unsigned lane = threadIdx.x;
    const unsigned mask = lane < 8 ? 0xffu : 0xffffff00u;
    if (lane < 8) {
      float v = 1;
      for (int m = 4; m; m >>= 1) v += __shfl_xor_sync(mask, v, m);
      sum[lane] = v;
    }
    votes[lane] = __ballot_sync(mask, lane % 2);
    matched[lane] = __match_any_sync(mask, lane % 3);
  });
  for (unsigned l = 0; l < 32; ++l) {
    EXPECT_EQ(sum[l], l < 8 ? 8.0f : 0.0f);
    EXPECT_EQ(votes[l], 0xaaaaaaaau & (l < 8 ? 0xffu : 0xffffff00u));
    unsigned same = 0;
    for (unsigned o = 0; o < 32; ++o) same |= (o % 3 == l % 3 && (o < 8) == (l < 8)) << o;
    EXPECT_EQ(matched[l], same);
  }
}

TEST(Emulator, BlockReductions) {
  std::vector<int> count(96), any(96), all(96);
  simt::launch(config(1, 96, 2), [&] {
    const int t = static_cast<int>(threadIdx.x);
    count[t] = __syncthreads_count(t % 3 == 0);
    any[t] = __syncthreads_or(t == 95);
    all[t] = __syncthreads_and(t < 95);
  });
  EXPECT_THAT(count, testing::Each(32));
  EXPECT_THAT(any, testing::Each(1));
  EXPECT_THAT(all, testing::Each(0));
}

TEST(Emulator, Atomics) {
  unsigned sum = 0, largest = 0, claimed = 0;
  unsigned long long wide = 1ull << 40;
  float real = 0;
  simt::launch(config(3, 50, 8), [&] {
    atomicAdd(&sum, 1u);
    atomicAdd(&wide, 1ull);
    atomicAdd(&real, 0.5f);
    atomicMax(&largest, blockIdx.x * 100 + threadIdx.x);
    unsigned expected = 0;
    (void)atomicCAS(&claimed, expected, threadIdx.x + 1);
  });
  EXPECT_EQ(sum, 150u);
  EXPECT_EQ(wide, (1ull << 40) + 150);
  EXPECT_EQ(real, 75.0f);
  EXPECT_EQ(largest, 249u);
  EXPECT_GE(claimed, 1u);
}

TEST(Emulator, ReturnedThreadsDoNotHoldUpBarriers) {
  std::vector<int> data(64, 0);
  simt::launch(config(1, 64, 5), [&] {
    if (threadIdx.x >= 40) return;
    data[threadIdx.x] = 1;
    __syncthreads();
    if (threadIdx.x == 0) {
      for (int i = 1; i < 40; ++i) data[0] += data[i];
    }
    __syncthreads();
    data[threadIdx.x] += __popc(__ballot_sync(0xffffffffu, 1));
  });
  EXPECT_EQ(data[0], 40 + 32);
  EXPECT_EQ(data[39], 1 + 8);
}

void barrier_in_each_branch() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
}

TEST(Emulator, DivergentBarriersAreErrors) {
  EXPECT_THAT([] { simt::launch(config(1, 64), barrier_in_each_branch); },
              ThrowsMessage<simt::Error>(HasSubstr("divergent block barrier")));
  EXPECT_THAT(
      [] {
        simt::launch(config(1, 64), [] {
          if (threadIdx.x == 3) {
            __syncthreads();
          } else {
            __syncwarp();
          }
        });
      },
      ThrowsMessage<simt::Error>(HasSubstr("deadlock")));
  EXPECT_THAT(
      [] {
        simt::launch(config(1, 32), [] {
          if (threadIdx.x < 16) {
            (void)__ballot_sync(0xffffffffu, 1);
          } else {
            (void)__shfl_xor_sync(0xffffffffu, 1, 1);
          }
        });
      },
      ThrowsMessage<simt::Error>(HasSubstr("divergent warp operation")));
  EXPECT_THAT([] { simt::launch(config(1, 32), [] { __syncwarp(0xffu); }); },
              ThrowsMessage<simt::Error>(HasSubstr("not in the mask")));
}

TEST(Emulator, NamedBarriersJoinSomeWarps) {
  std::vector<int> data(96, 0), seen(96, 0);
  const auto run = [&](bool with) {
    simt::launch(config(1, 96, 6), [&] {
      const unsigned t = threadIdx.x;
      if (t >= 64) return;
      data[t] = 1 + static_cast<int>(t);
      if (with) simt::detail::named_barrier(1, 64, {__FILE__, __LINE__});
      seen[t] = data[63 - t];
    });
  };
  run(true);
  for (int t = 0; t < 64; ++t) EXPECT_EQ(seen[t], 64 - t);
  if (simt::race_checker_available()) {
    EXPECT_THROW(run(false), simt::Error);
  }
}

// --- the race checker ------------------------------------------------------------------------

class RaceChecker : public testing::Test {
 protected:
  void SetUp() override {
    if (!simt::race_checker_available()) GTEST_SKIP() << "built without access instrumentation";
  }
};

TEST_F(RaceChecker, SyncwarpOrdersOnlyItsWarp) {
  std::vector<int> data(64, 0);
  const auto within_warp = [&] {
    data[threadIdx.x] = 1;
    __syncwarp();
    data[threadIdx.x] += data[threadIdx.x ^ 1u] > 0;
  };
  // Reads of the neighbour race with its own update: the last line lacks a barrier.
  EXPECT_THAT([&] { simt::launch(config(1, 64, 1), within_warp); },
              ThrowsMessage<simt::Error>(HasSubstr("race")));
  EXPECT_NO_THROW(simt::launch(config(1, 64, 1), [&] {
    data[threadIdx.x] = 1;
    __syncwarp();
    const int other = data[threadIdx.x ^ 1u];
    __syncwarp();
    data[threadIdx.x] += other;
  }));
  EXPECT_THAT(
      [&] {
        simt::launch(config(1, 64, 1), [&] {
          data[threadIdx.x] = 1;
          __syncwarp();
          const int other = data[threadIdx.x ^ 32u];
          __syncwarp();
          if (other < 0) data[threadIdx.x] = 2;
        });
      },
      ThrowsMessage<simt::Error>(HasSubstr("race")));
}

TEST_F(RaceChecker, ShufflesOrderNothing) {
  std::vector<int> data(32, 0);
  EXPECT_THAT(
      [&] {
        simt::launch(config(1, 32, 1), [&] {
          data[threadIdx.x] = 1;
          (void)__ballot_sync(0xffffffffu, 1);
          const int other = data[threadIdx.x ^ 1u];
          if (other < 0) data[threadIdx.x] = 2;
        });
      },
      ThrowsMessage<simt::Error>(HasSubstr("race")));
}

TEST_F(RaceChecker, WriteAfterReadAndBetweenBlocks) {
  std::vector<int> data(64, 0);
  int total = 0;
  EXPECT_THAT(
      [&] {
        simt::launch(config(1, 64, 1), [&] {
          const int v = data[(threadIdx.x + 1) % 64];
          data[threadIdx.x] = v + 1;
        });
      },
      ThrowsMessage<simt::Error>(HasSubstr("race")));
  EXPECT_THAT([&] { simt::launch(config(2, 1), [&] { total += 1; }); },
              ThrowsMessage<simt::Error>(HasSubstr("race")));
  EXPECT_NO_THROW(simt::launch(config(2, 1), [&] { atomicAdd(&total, 1); }));
}

TEST_F(RaceChecker, UnwrittenSharedMemory) {
  std::vector<float> out(32);
  EXPECT_THAT(
      [&] {
        simt::launch(config(1, 32), [&] {
          SMOOTHCERT_SHARED(float, tile, 33);
          tile[threadIdx.x] = 1;
          __syncthreads();
          out[threadIdx.x] = tile[threadIdx.x + 1];
        });
      },
      ThrowsMessage<simt::Error>(HasSubstr("never written, byte 128")));
}

}  // namespace
