// The value types and operations of device/normal.hpp for groups of lanes.
#pragma once

#include "cpu/lanes.hpp"
#include "smoothcert/device/normal.hpp"

namespace smoothcert::cpu {
inline namespace SMOOTHCERT_ISA {

struct LaneMath {
  using Float = Lanes;
  using Int = IntLanes;
  using Uint = UintLanes;
  static SMOOTHCERT_HD Float splat(float x) { return broadcast(x); }
  static SMOOTHCERT_HD Float fma(Float a, Float b, Float c) { return cpu::fma(a, b, c); }
  static SMOOTHCERT_HD Float select(Int condition, Float a, Float b) {
    return cpu::select(condition, a, b);
  }
  static SMOOTHCERT_HD Float to_float(Int x) { return cpu::to_float(x); }
  static SMOOTHCERT_HD Int to_signed(Uint x) { return (Int)x; }
  static SMOOTHCERT_HD Float sqrt(Float x) { return cpu::sqrt(x); }
  static SMOOTHCERT_HD Float bits_to_float(Uint x) { return cpu::bits_to_float(x); }
  static SMOOTHCERT_HD Uint float_to_bits(Float x) { return cpu::float_to_bits(x); }
};

}  // namespace SMOOTHCERT_ISA
}  // namespace smoothcert::cpu
