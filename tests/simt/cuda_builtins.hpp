// The CUDA C++ built-ins that the kernels use, for the host compiler. Included by
// cuda/runtime/simt.cuh where nvcc is not the compiler; the meanings are those of the CUDA C++
// Programming Guide.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>

#include "engine.hpp"

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __grid_constant__

// Where the caller stands, so that barriers have names.
#define SIMT_CALLER const char *file = __builtin_FILE(), int line = __builtin_LINE()

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(4) uchar4 {
  unsigned char x, y, z, w;
};

namespace simt::detail {

template <class T>
std::uint64_t to_bits(T value) {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<std::uint32_t>(value);
  else
    return std::bit_cast<std::uint64_t>(value);
}

template <class T>
T from_bits(std::uint64_t bits) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<T>(static_cast<std::uint32_t>(bits));
  else
    return std::bit_cast<T>(bits);
}

/// Applies `update` to *p as one indivisible step and returns the old value.
template <class T, class F>
T atomic_update(T* p, F update) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  note_atomic(p, sizeof(T));
  T old;
  if constexpr (sizeof(T) == 4) {
    old = std::bit_cast<T>(raw_load32(p));
    raw_store32(p, std::bit_cast<std::uint32_t>(static_cast<T>(update(old))));
  } else {
    old = std::bit_cast<T>(raw_load64(p));
    raw_store64(p, std::bit_cast<std::uint64_t>(static_cast<T>(update(old))));
  }
  return old;
}

template <class T>
T shuffle(unsigned mask, T value, unsigned source, bool in_range, Site site) {
  const Lanes& lanes = warp_exchange(WarpOp::shuffle, mask, to_bits(value), site);
  return in_range ? from_bits<T>(lanes.value[source]) : value;
}

template <class Array>
Array& shared_array(Site site) {
  return *static_cast<Array*>(static_shared(sizeof(Array), alignof(Array), site));
}

}  // namespace simt::detail

// --- barriers ---------------------------------------------------------------------------------

inline void __syncthreads(SIMT_CALLER) {
  simt::detail::block_barrier(simt::detail::BlockOp::barrier, 0, {file, line});
}
inline int __syncthreads_count(int predicate, SIMT_CALLER) {
  return simt::detail::block_barrier(simt::detail::BlockOp::count, predicate, {file, line});
}
inline int __syncthreads_and(int predicate, SIMT_CALLER) {
  return simt::detail::block_barrier(simt::detail::BlockOp::all, predicate, {file, line});
}
inline int __syncthreads_or(int predicate, SIMT_CALLER) {
  return simt::detail::block_barrier(simt::detail::BlockOp::any, predicate, {file, line});
}
inline void __syncwarp(unsigned mask = 0xffffffffu, SIMT_CALLER) {
  simt::detail::warp_exchange(simt::detail::WarpOp::sync, mask, 0, {file, line});
}
[[noreturn]] inline void __trap() { throw simt::Error("simt: __trap()"); }
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- shuffles and votes -----------------------------------------------------------------------

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, SIMT_CALLER) {
  const unsigned lane = simt::detail::lane_id(), w = static_cast<unsigned>(width);
  const unsigned from = lane / w * w + static_cast<unsigned>(source) % w;
  return simt::detail::shuffle(mask, value, from, true, {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_CALLER) {
  const unsigned lane = simt::detail::lane_id(), w = static_cast<unsigned>(width);
  return simt::detail::shuffle(mask, value, lane - delta, lane % w >= delta, {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, SIMT_CALLER) {
  const unsigned lane = simt::detail::lane_id(), w = static_cast<unsigned>(width);
  return simt::detail::shuffle(mask, value, lane + delta, lane % w + delta < w, {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lanes, int width = 32, SIMT_CALLER) {
  const unsigned lane = simt::detail::lane_id(), w = static_cast<unsigned>(width);
  const unsigned from = lane ^ static_cast<unsigned>(lanes);
  // A lane of an earlier subsection may be read, one of a later subsection may not.
  return simt::detail::shuffle(mask, value, from, from < 32 && from / w <= lane / w, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, SIMT_CALLER) {
  const auto& lanes =
      simt::detail::warp_exchange(simt::detail::WarpOp::ballot, mask, predicate != 0, {file, line});
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if ((lanes.present >> i & 1u) && lanes.value[i]) bits |= 1u << i;
  }
  return bits;
}
inline int __any_sync(unsigned mask, int predicate, SIMT_CALLER) {
  return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, SIMT_CALLER) {
  return __ballot_sync(mask, !predicate, file, line) == 0;
}
template <class T>
unsigned __match_any_sync(unsigned mask, T value, SIMT_CALLER) {
  const std::uint64_t mine = simt::detail::to_bits(value);
  const auto& lanes =
      simt::detail::warp_exchange(simt::detail::WarpOp::match, mask, mine, {file, line});
  unsigned bits = 0;
  for (unsigned i = 0; i < 32; ++i) {
    if ((lanes.present >> i & 1u) && lanes.value[i] == mine) bits |= 1u << i;
  }
  return bits;
}

// --- atomics ----------------------------------------------------------------------------------

template <class T>
T atomicAdd(T* p, std::type_identity_t<T> v) {
  return simt::detail::atomic_update(p, [&](T old) { return old + v; });
}
template <class T>
T atomicMax(T* p, std::type_identity_t<T> v) {
  return simt::detail::atomic_update(p, [&](T old) { return old < v ? v : old; });
}
template <class T>
T atomicMin(T* p, std::type_identity_t<T> v) {
  return simt::detail::atomic_update(p, [&](T old) { return v < old ? v : old; });
}
template <class T>
T atomicOr(T* p, std::type_identity_t<T> v) {
  return simt::detail::atomic_update(p, [&](T old) { return old | v; });
}
template <class T>
T atomicExch(T* p, std::type_identity_t<T> v) {
  return simt::detail::atomic_update(p, [&](T) { return v; });
}
template <class T>
T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  return simt::detail::atomic_update(p, [&](T old) { return old == expected ? v : old; });
}

// --- loads, bits, arithmetic ------------------------------------------------------------------

template <class T>
T __ldg(const T* p) {
  return *p;
}
inline int __popc(unsigned v) { return std::popcount(v); }
inline int __ffs(int v) { return v == 0 ? 0 : std::countr_zero(static_cast<unsigned>(v)) + 1; }
inline int __clz(int v) { return std::countl_zero(static_cast<unsigned>(v)); }
inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>(std::uint64_t{a} * b >> 32);
}
inline float __uint_as_float(unsigned v) { return std::bit_cast<float>(v); }
inline unsigned __float_as_uint(float v) { return std::bit_cast<unsigned>(v); }
inline float __fmaf_rn(float a, float b, float c) { return fmaf(a, b, c); }
inline float __fsqrt_rn(float a) { return sqrtf(a); }
inline float __fdiv_rn(float a, float b) { return a / b; }
