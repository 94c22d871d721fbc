// Two activations combined value by value, an extent of 1 repeated: plain data and the leaf.
#pragma once

#include <cstddef>

#include "smoothcert/device/hd.hpp"

namespace smoothcert {

enum class ArithmeticKind { add, sub, mul };

/// Where a value lies that is read at (channel, row, column): 0 along an extent that is repeated.
struct ArithmeticOperand {
  int c = 0, y = 0, x = 0;
  SMOOTHCERT_HD int at(int channel, int row, int column) const {
    return channel * c + row * y + column * x;
  }
};

struct ArithmeticShape {
  ArithmeticKind kind = ArithmeticKind::add;
  int channels = 1, height = 1, width = 1;  ///< of the result
  ArithmeticOperand a, b;
};

namespace device {
inline namespace SMOOTHCERT_ISA {

template <class V>
SMOOTHCERT_HD V combine(ArithmeticKind kind, V a, V b) {
  switch (kind) {
    case ArithmeticKind::sub:
      return a - b;
    case ArithmeticKind::mul:
      return a * b;
    case ArithmeticKind::add:
      break;
  }
  return a + b;
}

}  // namespace SMOOTHCERT_ISA
}  // namespace device
}  // namespace smoothcert
