// The inputs that a network sees while votes are counted, for whoever runs the network.
#pragma once

#include <cstdint>
#include <span>

#include "smoothcert/device/philox.hpp"
#include "smoothcert/noise.hpp"

namespace smoothcert {

/// Fills `out` (rows × CHW floats, units of [0,1] pixels) with samples first, first + 1, … of one
/// image: bit for bit what every backend's exact mode feeds to its network. `image` is the data-set
/// index that the counters hold; `pixels` are its CHW bytes. threads = 0: all the process may use.
/// Throws UsageError: no pixels, `out` no whole number of rows, samples beyond 2^32, lattice noise
/// without its table or with one of another σ.
void noisy_inputs(const NoiseSpec& noise, Purpose purpose, std::uint32_t image,
                  std::span<const std::uint8_t> pixels, std::uint64_t first, std::span<float> out,
                  int threads = 0);

}  // namespace smoothcert
