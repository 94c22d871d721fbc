// From raw pixels and labels, whatever file they came from, to a checked Dataset.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"

namespace smoothcert {

struct LabelledImages {
  std::uint64_t channels, height, width, count;
  std::vector<std::uint8_t> pixels;  ///< count × channels × height × width
  std::string images_where;
  std::vector<Label> labels;
  std::string labels_where;
};

/// Checks counts, sizes and labels, and fills in the hash. `classes` 0: ten, or as many as the
/// labels need. Throws Error.
Dataset labelled(LabelledImages images, int classes);

}  // namespace smoothcert
