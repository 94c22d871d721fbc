// Which layers training and attacks can go through.
#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert {
namespace {

const ActivationShape& shape_of(const NetworkSpec& spec, int value) {
  return value < 0 ? spec.input : spec.layers[static_cast<std::size_t>(value)].out;
}

std::string missing_in_windows(const Layer& layer, const ActivationShape& in) {
  const WindowShape w = window_shape(layer, in);
  if (layer.groups != 1) return " in groups";
  if (w.y.dilation != 1 || w.x.dilation != 1) return " with dilation";
  if (layer.same_padding) return " with more padding on one side";
  if (w.y.kernel != w.x.kernel || w.y.stride != w.x.stride || w.y.padding != w.x.padding)
    return " with different rows and columns";
  if (layer.ceil_mode) return " with ceil_mode";
  return "";
}

}  // namespace

std::string missing_gradient(const NetworkSpec& spec, std::size_t index) {
  const Layer& layer = spec.layers[index];
  std::string variant;
  switch (layer.kind) {
    case LayerKind::relu:
    case LayerKind::flatten:
    case LayerKind::linear:
    case LayerKind::normalize:
    case LayerKind::global_avg_pool:
      return "";
    case LayerKind::conv2d:
    case LayerKind::maxpool:
      variant = missing_in_windows(layer, shape_of(spec, layer.inputs.at(0)));
      if (variant.empty()) return "";
      break;
    case LayerKind::batchnorm:
      if (layer.affine) return "";
      variant = " without affine";
      break;
    case LayerKind::add:
      if (shape_of(spec, layer.inputs.at(0)) == shape_of(spec, layer.inputs.at(1))) return "";
      variant = " of different shapes";
      break;
    default:
      break;
  }
  return to_name(layer.kind) + variant + " has no gradient here yet";
}

void require_gradients(const NetworkSpec& spec, const std::string& what) {
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string missing = missing_gradient(spec, i);
    if (missing.empty()) continue;
    const std::string& name = spec.layers[i].name;
    throw UsageError(what + ": network '" + spec.name + "', layer " + std::to_string(i + 1) +
                     (name.empty() ? "" : " '" + name + "'") + ": " + missing +
                     "; it can be certified and predicted with, not trained or attacked");
  }
}

}  // namespace smoothcert
