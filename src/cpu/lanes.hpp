// A fixed-width group of float lanes: one Monte-Carlo sample, or one training image, per lane.
// GCC/Clang vector extensions, so that operators are the compiler's; what C++ has no operator for
// (fused multiply-add, gather, reinterpretation) is defined here.
//
// Included by translation units of one instruction set each (SMOOTHCERT_ISA). Everything is in that
// ISA's inline namespace and always_inline: see hd.hpp.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__FMA__)
#include <immintrin.h>
#endif

#include "smoothcert/device/hd.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {

#if defined(__AVX512F__)
inline constexpr int kLanes = 16;
#else
inline constexpr int kLanes = 8;  // baseline: two SSE registers, the compiler splits
#endif

typedef float Lanes __attribute__((vector_size(4 * kLanes)));
typedef std::int32_t IntLanes __attribute__((vector_size(4 * kLanes)));
typedef std::uint32_t UintLanes __attribute__((vector_size(4 * kLanes)));

SMOOTHCERT_HD Lanes broadcast(float x) { return x - Lanes{}; }
SMOOTHCERT_HD UintLanes broadcast(std::uint32_t x) { return x - UintLanes{}; }
SMOOTHCERT_HD IntLanes broadcast(std::int32_t x) { return x - IntLanes{}; }

/// 0, 1, 2, … one per lane.
SMOOTHCERT_HD UintLanes lane_index() {
  UintLanes lanes{};
  for (int l = 0; l < kLanes; ++l) lanes[l] = static_cast<std::uint32_t>(l);
  return lanes;
}

/// a·b + c with one rounding in every lane.
SMOOTHCERT_HD Lanes fma(Lanes a, Lanes b, Lanes c) {
#if defined(__AVX512F__)
  return (Lanes)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  Lanes r{};
  for (int l = 0; l < kLanes; ++l) r[l] = std::fma(a[l], b[l], c[l]);
  return r;
#endif
}
SMOOTHCERT_HD Lanes fma(float a, Lanes b, Lanes c) { return fma(broadcast(a), b, c); }

SMOOTHCERT_HD Lanes sqrt(Lanes a) {
#if defined(__AVX512F__)
  return (Lanes)_mm512_sqrt_ps((__m512)a);
#elif defined(__FMA__)
  return (Lanes)_mm256_sqrt_ps((__m256)a);
#else
  Lanes r{};
  for (int l = 0; l < kLanes; ++l) r[l] = std::sqrt(a[l]);
  return r;
#endif
}

/// condition ? a : b per lane; the condition is all-ones or zero (what comparisons give).
SMOOTHCERT_HD Lanes select(IntLanes condition, Lanes a, Lanes b) { return condition ? a : b; }
SMOOTHCERT_HD UintLanes select(IntLanes condition, UintLanes a, UintLanes b) {
  return condition ? a : b;
}
SMOOTHCERT_HD IntLanes select(IntLanes condition, IntLanes a, IntLanes b) {
  return condition ? a : b;
}

SMOOTHCERT_HD Lanes bits_to_float(UintLanes x) { return (Lanes)x; }
SMOOTHCERT_HD UintLanes float_to_bits(Lanes x) { return (UintLanes)x; }
SMOOTHCERT_HD Lanes to_float(IntLanes x) { return __builtin_convertvector(x, Lanes); }

/// table[index] per lane.
SMOOTHCERT_HD UintLanes gather(const std::uint32_t* table, UintLanes index) {
#if defined(__AVX512F__)
  return (UintLanes)_mm512_i32gather_epi32((__m512i)index, table, 4);
#elif defined(__AVX2__)
  return (UintLanes)_mm256_i32gather_epi32(reinterpret_cast<const int*>(table), (__m256i)index, 4);
#else
  UintLanes r{};
  for (int l = 0; l < kLanes; ++l) r[l] = table[index[l]];
  return r;
#endif
}

/// True where any lane of a comparison is set.
SMOOTHCERT_HD bool any(IntLanes condition) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)condition, (__m512i)condition) != 0;
#elif defined(__AVX2__)
  return _mm256_testz_si256((__m256i)condition, (__m256i)condition) == 0;
#else
  std::int32_t all = 0;
  for (int l = 0; l < kLanes; ++l) all |= condition[l];
  return all != 0;
#endif
}

SMOOTHCERT_HD Lanes load(const float* p) { return *reinterpret_cast<const Lanes*>(p); }
SMOOTHCERT_HD void store(float* p, Lanes x) { *reinterpret_cast<Lanes*>(p) = x; }

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
