// Which layers training and attacks can go through: all of them, but for what training would draw
// at random.
#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"
#include "util/format_number.hpp"

namespace smoothcert {

std::string missing_gradient(const NetworkSpec& spec, std::size_t index) {
  const Layer& layer = spec.layers[index];
  if (layer.kind != LayerKind::dropout || layer.alpha == 0) return "";
  return "dropout with p = " + format_shortest(layer.alpha) + " is not drawn in training here";
}

void require_gradients(const NetworkSpec& spec, const std::string& what) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string missing = missing_gradient(spec, i);
    if (missing.empty()) continue;
    const std::string& name = spec.layers[i].name;
    throw UsageError(what + ": network '" + spec.name + "', layer " + std::to_string(i + 1) +
                     (name.empty() ? "" : " '" + name + "'") + ": " + missing +
                     "; with \"p\": 0, or without that layer, it can be trained");
  }
}

}  // namespace smoothcert
