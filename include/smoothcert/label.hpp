// The number of a class.
#pragma once

#include <cstdint>

namespace smoothcert {

using Label = std::uint16_t;
inline constexpr Label kLargestLabel = 65534;  ///< of at most 65,535 classes

}  // namespace smoothcert
