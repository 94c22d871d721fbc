// A network's description: a graph of layers, without parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"
#include "smoothcert/names.hpp"

namespace smoothcert {

enum class LayerKind {
  conv2d,
  relu,
  batchnorm,
  maxpool,
  flatten,
  linear,
  normalize,
  add,
  global_avg_pool
};
template <>
struct Names<LayerKind> {
  static constexpr const char* kWhat = "op";
  static constexpr NamedValue<LayerKind> kValues[] = {
      {LayerKind::conv2d, "conv2d"},
      {LayerKind::relu, "relu"},
      {LayerKind::batchnorm, "batchnorm"},
      {LayerKind::maxpool, "maxpool"},
      {LayerKind::flatten, "flatten"},
      {LayerKind::linear, "linear"},
      {LayerKind::normalize, "normalize"},
      {LayerKind::add, "add"},
      {LayerKind::global_avg_pool, "global_avg_pool"}};
};

/// Channels × height × width of one activation; a vector of m features is m × 1 × 1.
using ActivationShape = ImageShape;

/// One node of the graph. `inputs` are indices into NetworkSpec::layers, −1 is the image.
struct Layer {
  LayerKind kind{};
  std::string name;         ///< PyTorch child name ("conv1"); parameters are `name.weight` …
  std::vector<int> inputs;  ///< one entry, two for `add`
  int out_channels = 0;     ///< conv2d: output channels; linear: output features
  int kernel = 0;           ///< conv2d, maxpool: square window
  int stride = 1;           ///< conv2d, maxpool
  int padding = 0;          ///< conv2d, maxpool (zero padding; −∞ for maxpool)
  bool bias = true;         ///< conv2d, linear
  double eps = 1e-5;        ///< batchnorm
  double momentum = 0.1;    ///< batchnorm, PyTorch's convention: new = (1−m)·old + m·batch
  std::vector<float> mean, stddev;  ///< normalize: per channel, applied after the noise
  ActivationShape out;              ///< filled by infer_shapes()
};

/// Layers in topological order; the last one produces the logits.
struct NetworkSpec {
  std::string name;
  ImageShape input;
  int classes = 0;
  std::vector<Layer> layers;
};

/// Checks the graph and fills every Layer::out. Throws UsageError naming the layer.
void infer_shapes(NetworkSpec& spec);

/// Built-in descriptions: "convnn", "lenet", "mlp", "cifar-cnn". Throws UsageError, suggesting the
/// nearest name.
NetworkSpec builtin_network(const std::string& name);
std::vector<std::string> builtin_network_names();

/// JSON description ⇄ spec (docs/network-format.md).
NetworkSpec parse_network_spec(const std::string& json, const std::string& where);
std::string network_spec_json(const NetworkSpec& spec);

/// Names and shapes of the tensors that `spec` needs, in layer order. `trainable` is false for
/// running statistics.
struct TensorSlot {
  std::string name;
  std::vector<std::int64_t> shape;
  bool trainable;
};
std::vector<TensorSlot> tensor_slots(const NetworkSpec& spec);

}  // namespace smoothcert
