// How large a noisy pixel can be.
#include <algorithm>

#include "smoothcert/noise.hpp"

namespace smoothcert {

double largest_input(const NoiseSpec& noise) {
  if (noise.clamp) return 1.0;
  if (noise.law == NoiseLaw::lattice) return (noise.table->offset + 255.0) / 255.0;
  return 1.0 + 6.8 * noise.sigma;
}

}  // namespace smoothcert
