// What the tensor cores make of a float32 operand.
#pragma once

#include <bit>
#include <cstdint>

namespace simulated {

/// TF32 keeps 10 bits of the mantissa.
inline float tf32(float value) {
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xffffe000u);
}

}  // namespace simulated
