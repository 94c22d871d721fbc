// The one table of layers: what the CPU engine, the emulator, a GPU and `bench` run for every kind
// of layer. A new kind is a new row here, and `tests/golden/make_layers.py` again.
#pragma once

#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

struct LayerCase {
  std::string name;
  ImageShape input;
  /// The layers under test as JSON, as in docs/network-format.md; a flatten and a linear layer
  /// 'head' to five classes follow.
  std::string layers;
  double bound;  ///< largest difference from PyTorch, relative to the largest logit
};

const std::vector<LayerCase>& layer_cases();
/// A larger input and layer of each kind whose speed matters: `bench` runs these.
const std::vector<LayerCase>& layer_speed_cases();

NetworkSpec case_network(const LayerCase& layer_case);

/// Every tensor by a formula of its name and index, which make_layers.py shares.
Network formula_network(NetworkSpec spec);
/// Pixels in [0, 1) by the same formula.
std::vector<float> formula_image(const ImageShape& shape, int index);

}  // namespace smoothcert
