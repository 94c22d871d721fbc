// Warpgroup matrix products of Hopper (wgmma, sm_90a): A in registers, B in shared memory, fp16
// accumulators. Twins in tests/simt/warpgroup_twin.hpp.
//
// A and D of m64nNk16 are, for warp w of the four, the fragments of m16n8k16 for rows 16w..16w+15:
// a[4] as there, d[2j], d[2j+1] = (g, 8j + 2t..), (g + 8, 8j + 2t..). B is K-major without swizzle:
// core matrices of 8 columns n by 16 bytes of k, contiguous; the other half of a k16 block 128
// bytes further (leading offset), the next 8 columns 256 bytes further (stride offset). So block of
// N columns = 32·N bytes, half (k, n) at 256·(n/8) + 128·(k/8) + 16·(n%8) + 2·(k%8).
//
// Accumulation order: as in tensor_core.cuh, one rounding a k16 block.
#pragma once

#include "cuda/runtime/tensor_core.cuh"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL) || !defined(__CUDACC__)
#define SMOOTHCERT_HAVE_WGMMA 1
#endif

#if defined(__CUDACC__)

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Where a B block lies: a wgmma shared-memory descriptor.
using BlockAddress = std::uint64_t;

SMOOTHCERT_LEAF BlockAddress block_address(const void* shared) {
  const auto address = static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
  return (address >> 4 & 0x3FFFu) | std::uint64_t{128 >> 4} << 16 | std::uint64_t{256 >> 4} << 32;
}
SMOOTHCERT_LEAF BlockAddress block_at(BlockAddress base, int bytes) {
  return base + static_cast<std::uint64_t>(bytes >> 4);
}

/// The same value in all lanes, in a way that lets the compiler know.
SMOOTHCERT_LEAF unsigned uniform(unsigned value) { return __shfl_sync(0xFFFFFFFFu, value, 0); }

/// Barrier of one warpgroup; `id` 1..15 (0 is __syncthreads).
SMOOTHCERT_LEAF void sync_warpgroup(unsigned id) {
  asm volatile("bar.sync %0, 128;" ::"r"(id) : "memory");
}

/// Makes ordinary writes to shared memory visible to wgmma; a barrier must follow.
SMOOTHCERT_LEAF void publish_to_wgmma() {
#if defined(SMOOTHCERT_HAVE_WGMMA)
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

#if defined(SMOOTHCERT_HAVE_WGMMA)

/// Before the first product that reads registers written since the last one.
SMOOTHCERT_LEAF void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
SMOOTHCERT_LEAF void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
/// Until at most kPending committed groups are still running.
template <int kPending>
SMOOTHCERT_LEAF void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}
/// Keeps the compiler from reading an accumulator before the wait.
SMOOTHCERT_LEAF void landed(Half2& r) { asm volatile("" : "+r"(r)::"memory"); }

/// D (+)= A·B, m64n16k16: d[4].
SMOOTHCERT_LEAF void wgmma_n16(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %9, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n16k16.f16.f16.f16 {%0,%1,%2,%3}, {%4,%5,%6,%7}, %8, p, 1, "
      "1, 0; }"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(accumulate)));
}
/// m64n32k16: d[8].
SMOOTHCERT_LEAF void wgmma_n32(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %13, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f16.f16.f16 {%0,%1,%2,%3,%4,%5,%6,%7}, "
      "{%8,%9,%10,%11}, %12, p, 1, 1, 0; }"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]),
        "+r"(d[7])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(accumulate)));
}
/// m64n40k16: d[10].
SMOOTHCERT_LEAF void wgmma_n40(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate) {
  asm volatile(
      "{ .reg .pred p; setp.ne.b32 p, %15, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n40k16.f16.f16.f16 {%0,%1,%2,%3,%4,%5,%6,%7,%8,%9}, "
      "{%10,%11,%12,%13}, %14, p, 1, 1, 0; }"
      : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]), "+r"(d[4]), "+r"(d[5]), "+r"(d[6]),
        "+r"(d[7]), "+r"(d[8]), "+r"(d[9])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(static_cast<int>(accumulate)));
}

#endif

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#else

#include "warpgroup_twin.hpp"

#endif
