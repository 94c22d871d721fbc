// The portable twins of cuda/runtime/warpgroup.cuh, included by it. A product happens where it is
// issued: the asynchrony of wgmma, its fences and waits, are for a real device.
#pragma once

#include "tensor_core_twin.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

using BlockAddress = const unsigned char*;

inline BlockAddress block_address(const void* shared) {
  return static_cast<const unsigned char*>(shared);
}
inline BlockAddress block_at(BlockAddress base, int bytes) { return base + bytes; }
inline unsigned uniform(unsigned value, SIMT_CALLER) {
  return __shfl_sync(0xFFFFFFFFu, value, 0, 32, file, line);
}
inline void sync_warpgroup(unsigned id, SIMT_CALLER) {
  simt::detail::named_barrier(static_cast<int>(id), 128, {file, line});
}
inline void publish_to_wgmma() {}
inline void wgmma_fence() {}
inline void wgmma_commit() {}
template <int kPending>
void wgmma_wait() {}
inline void landed(Half2&) {}

template <int kColumns>
void wgmma(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate, simt::Site site) {
  const simt::Words words{a[0], a[1], a[2], a[3]};
  simt::wgmma_lane(simt::detail::warp_exchange_words(words, site), simt::detail::lane_id(), b,
                   kColumns, accumulate, d);
}
inline void wgmma_n16(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate, SIMT_CALLER) {
  wgmma<16>(d, a, b, accumulate, {file, line});
}
inline void wgmma_n32(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate, SIMT_CALLER) {
  wgmma<32>(d, a, b, accumulate, {file, line});
}
inline void wgmma_n40(Half2* d, const Half2 (&a)[4], BlockAddress b, bool accumulate, SIMT_CALLER) {
  wgmma<40>(d, a, b, accumulate, {file, line});
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
