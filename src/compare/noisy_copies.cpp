// Noisy versions of an image as pictures: the very draws that certification counts.
#include "compare/noisy_copies.hpp"

#include <algorithm>
#include <cmath>

#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"

namespace smoothcert::compare_detail {

std::vector<std::vector<std::uint8_t>> noisy_copies(const NoiseSpec& noise, std::uint32_t image,
                                                    std::span<const std::uint8_t> pixels,
                                                    std::size_t copies) {
  constexpr auto kPurpose = static_cast<std::uint32_t>(Purpose::estimate);
  std::vector<std::vector<std::uint8_t>> result(copies);
  for (std::uint32_t sample = 0; sample < copies; ++sample) {
    auto& copy = result[sample];
    copy.reserve(pixels.size());
    for (std::uint32_t p = 0; p < pixels.size(); ++p) {
      int value = 0;
      if (noise.law == NoiseLaw::lattice) {
        const device::LatticeView table{noise.table->hot.data(), noise.table->cold.data(),
                                        noise.table->log2_columns, noise.table->offset};
        value = pixels[p] + device::lattice_noise_at(table, noise.seed, kPurpose, image, sample, p);
      } else {
        const float z = device::normal_at(noise.seed, kPurpose, image, sample, p);
        value =
            static_cast<int>(std::lround(pixels[p] + 255.0 * noise.sigma * static_cast<double>(z)));
      }
      copy.push_back(static_cast<std::uint8_t>(std::clamp(value, 0, 255)));
    }
  }
  return result;
}

}  // namespace smoothcert::compare_detail
