// `digits`: handwritten-looking digits drawn by the program, for machines that cannot get MNIST.
#pragma once

#include <cstdint>

#include "smoothcert/data_source.hpp"

namespace smoothcert {

/// Images of 1×28×28 with labels 0–9, in MNIST's framing (about 20 pixels high, centred by mass).
/// Image i of a split depends on (seed, split, i) only, and is the same on every machine: drawing
/// uses Philox and IEEE + − × ÷ √ in a fixed order, no other function of the maths library.
DataPair draw_digits(std::uint64_t seed, int train, int test);

}  // namespace smoothcert
