// The value types and the few operations without an operator that the leaves take as `Math`: for
// one value here, for groups of lanes in src/cpu/lane_math.hpp.
#pragma once

#if !defined(__CUDACC__)
#include <math.h>
#endif
#include <cstdint>

#include "smoothcert/device/hd.hpp"
#include "smoothcert/device/layers.hpp"

namespace smoothcert::device {
inline namespace SMOOTHCERT_ISA {

struct ScalarMath {
  using Float = float;
  using Int = std::int32_t;
  using Uint = std::uint32_t;
  static SMOOTHCERT_HD Float splat(float x) { return x; }
  static SMOOTHCERT_HD Float fma(Float a, Float b, Float c) { return fused_multiply_add(a, b, c); }
  static SMOOTHCERT_HD Float select(bool condition, Float a, Float b) { return condition ? a : b; }
  static SMOOTHCERT_HD Float to_float(Int x) { return static_cast<float>(x); }
  static SMOOTHCERT_HD Int to_signed(Uint x) { return static_cast<Int>(x); }
#if defined(__CUDA_ARCH__)
  static SMOOTHCERT_HD Float sqrt(Float x) { return __fsqrt_rn(x); }
  static SMOOTHCERT_HD Float bits_to_float(Uint x) { return __uint_as_float(x); }
  static SMOOTHCERT_HD Uint float_to_bits(Float x) { return __float_as_uint(x); }
#else
  static SMOOTHCERT_HD Float sqrt(Float x) { return ::sqrtf(x); }
  static SMOOTHCERT_HD Float bits_to_float(Uint x) { return __builtin_bit_cast(Float, x); }
  static SMOOTHCERT_HD Uint float_to_bits(Float x) { return __builtin_bit_cast(Uint, x); }
#endif
};

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::device
