// Labelled 8-bit images and where they come from.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/label.hpp"

namespace smoothcert {

/// Channels × height × width, the order in which pixels are stored ("CHW").
struct ImageShape {
  int channels = 0, height = 0, width = 0;
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(channels) * static_cast<std::size_t>(height) *
           static_cast<std::size_t>(width);
  }
  bool operator==(const ImageShape&) const = default;
};

/// One split of a data set. Pixel v stands for the real number v / 255: images live on the pixel
/// lattice, which is what makes the default certificate exact (soundness of lattice noise).
struct Dataset {
  std::string name;    ///< e.g. "mnist"
  std::string split;   ///< "train" or "test"
  std::string origin;  ///< the folder, URL or generator it came from, as printed to the user
  ImageShape shape;
  int classes = 0;
  std::vector<std::uint8_t> pixels;  ///< N × CHW
  std::vector<Label> labels;         ///< N, each < classes
  std::string sha256;                ///< of shape, labels and pixels; recorded with every result
  bool rounded_to_lattice = false;   ///< true where float images had to be rounded to n/255

  [[nodiscard]] std::size_t size() const { return labels.size(); }
  [[nodiscard]] std::span<const std::uint8_t> image(std::size_t i) const {
    return std::span(pixels).subspan(i * shape.size(), shape.size());
  }
};

/// SHA-256 (hex) over shape, class count, labels and pixels: the identity stored in `sha256`.
std::string dataset_hash(const Dataset& data);

}  // namespace smoothcert
