// Two activations combined value by value, an extent of 1 repeated: plain data and the leaves.
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

  /// b or a, without an address taken, which on a GPU would copy both to memory.
  [[nodiscard]] SMOOTHCERT_HD ArithmeticOperand operand(bool second) const {
    return {second ? b.c : a.c, second ? b.y : a.y, second ? b.x : a.x};
  }
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

/// Gradient of one value of an operand, the second one where `second` says so: over the places at
/// which it is read, in row-major order from 0. `gradient` is of the result.
template <class Math, class Gradient, class Other>
SMOOTHCERT_HD typename Math::Float arithmetic_gradient(const ArithmeticShape& s, bool second,
                                                       const Gradient& gradient, const Other& other,
                                                       int channel, int row, int column) {
  const ArithmeticOperand own = s.operand(second), its = s.operand(!second);
  // Along an extent that is repeated, all of the result's; along others, the value's own.
  const int c_end = own.c == 0 ? s.channels : channel + 1;
  const int y_end = own.y == 0 ? s.height : row + 1;
  const int x_end = own.x == 0 ? s.width : column + 1;
  auto sum = Math::splat(0.0f);
  for (int c = own.c == 0 ? 0 : channel; c < c_end; ++c) {
    for (int y = own.y == 0 ? 0 : row; y < y_end; ++y) {
      for (int x = own.x == 0 ? 0 : column; x < x_end; ++x) {
        const typename Math::Float g = gradient[(c * s.height + y) * s.width + x];
        if (s.kind == ArithmeticKind::mul) {
          sum = Math::fma(g, other[its.at(c, y, x)], sum);
        } else {
          sum = s.kind == ArithmeticKind::sub && second ? sum - g : sum + g;
        }
      }
    }
  }
  return sum;
}

}  // namespace SMOOTHCERT_ISA
}  // namespace device
}  // namespace smoothcert
