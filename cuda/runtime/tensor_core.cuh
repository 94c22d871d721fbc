// The PTX leaves of the fused kernels: warp-level matrix products and packed 16-bit arithmetic.
// Under nvcc one instruction each; in the SIMT emulator their portable twins
// (tests/simt/tensor_core_twin.hpp), written from the PTX ISA.
//
// Fragments of mma.m16n8k16 (PTX ISA, "Matrix Fragments for mma.m16n8k16"), lane = 4g + t:
//   A (16 × 16): a[0] = (g, 2t..), a[1] = (g + 8, 2t..), a[2] = (g, 2t + 8..), a[3] = (g + 8, 2t
//   + 8..) B (16 × 8):  b[0] = (2t.., g), b[1] = (2t + 8.., g) C, D (16 × 8): c[0] = (g, 2t..),
//   c[1] = (g + 8, 2t..)
// where "2t.." means the two neighbours 2t (low half) and 2t + 1 (high half).
//
// Accumulation: the ISA leaves the order inside one k16 block, and the precision of the sum, to the
// hardware (products of halves are exact; the sum is kept to at least single precision and rounded
// once to D's type). The twin sums in double and rounds once. Votes of the two may differ where a
// logit lies within that last bit.
#pragma once

#include "cuda/runtime/simt.cuh"
#include "smoothcert/device/hd.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Two IEEE halves, the first one in the low 16 bits.
using Half2 = std::uint32_t;

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#if defined(__CUDACC__)

#include <cuda_fp16.h>

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

#define SMOOTHCERT_LEAF static __device__ __forceinline__

/// D = A·B + C with C and D in fp16.
SMOOTHCERT_LEAF void mma_f16(Half2 (&d)[2], const Half2 (&a)[4], const Half2 (&b)[2],
                             const Half2 (&c)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16 {%0,%1}, {%2,%3,%4,%5}, {%6,%7}, {%8,%9};"
      : "=r"(d[0]), "=r"(d[1])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]), "r"(c[0]), "r"(c[1]));
}

/// D += A·B with D in fp32: d[0], d[1] = row g, columns 2t and 2t + 1; d[2], d[3] = row g + 8.
SMOOTHCERT_LEAF void mma_f32(float (&d)[4], const Half2 (&a)[4], const Half2 (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

/// Two halves from two floats, each rounded to nearest even.
SMOOTHCERT_LEAF Half2 pack_halves(float low, float high) {
  Half2 r;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}

/// The larger of two; NaN if either is.
SMOOTHCERT_LEAF float max_or_nan(float a, float b) {
  float r;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
  return r;
}

/// The larger of each pair of halves.
SMOOTHCERT_LEAF Half2 max_halves(Half2 a, Half2 b) {
  Half2 r;
  asm("max.f16x2 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
  return r;
}

/// max(a·b + c, 0) of each half, one rounding.
SMOOTHCERT_LEAF Half2 fma_relu_halves(Half2 a, Half2 b, Half2 c) {
  Half2 r;
  asm("fma.rn.relu.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}

/// Bytes of (b:a) chosen by the nibbles of `selector`.
SMOOTHCERT_LEAF std::uint32_t permute_bytes(std::uint32_t a, std::uint32_t b,
                                            std::uint32_t selector) {
  return __byte_perm(a, b, selector);
}

/// max(min(a + b, c), 0) of each signed 16-bit half; one instruction on sm_90.
SMOOTHCERT_LEAF std::uint32_t add_clamp_s16x2(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return __viaddmin_s16x2_relu(a, b, c);
}

SMOOTHCERT_LEAF std::uint32_t rotate_left(std::uint32_t a, std::uint32_t bits) {
  return __funnelshift_l(a, a, bits);
}

/// The smallest of three.
SMOOTHCERT_LEAF std::uint32_t min3(std::uint32_t a, std::uint32_t b, std::uint32_t c) {
  return __vimin3_u32(a, b, c);
}

// The special-function unit's approximations (continuous noise of fast mode only).
SMOOTHCERT_LEAF float approximate_log2(float x) {
  float r;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
SMOOTHCERT_LEAF float approximate_sqrt(float x) {
  float r;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
SMOOTHCERT_LEAF float approximate_sin(float x) {
  float r;
  asm("sin.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
SMOOTHCERT_LEAF float approximate_cos(float x) {
  float r;
  asm("cos.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
  return r;
}
/// a·b + c clamped to [0, 1].
SMOOTHCERT_LEAF float fma_saturate(float a, float b, float c) {
  float r;
  asm("fma.rn.ftz.sat.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(a), "f"(b), "f"(c));
  return r;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu

#else

#define SMOOTHCERT_LEAF static inline __attribute__((always_inline))
#include "tensor_core_twin.hpp"

#endif
