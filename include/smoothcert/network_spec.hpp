// A network's description: a graph of layers, without parameters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"
#include "smoothcert/device/windows.hpp"
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
  global_avg_pool,
  avgpool,
  adaptive_avgpool,
  adaptive_maxpool,
  leaky_relu,
  relu6,
  prelu,
  elu,
  silu,
  sigmoid,
  tanh,
  gelu,
  hardswish,
  softmax,
  groupnorm,
  layernorm,
  instancenorm,
  concat,
  mul,
  sub,
  constant,
  reshape,
  identity,
  dropout
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
      {LayerKind::global_avg_pool, "global_avg_pool"},
      {LayerKind::avgpool, "avgpool"},
      {LayerKind::adaptive_avgpool, "adaptive_avgpool"},
      {LayerKind::adaptive_maxpool, "adaptive_maxpool"},
      {LayerKind::leaky_relu, "leaky_relu"},
      {LayerKind::relu6, "relu6"},
      {LayerKind::prelu, "prelu"},
      {LayerKind::elu, "elu"},
      {LayerKind::silu, "silu"},
      {LayerKind::sigmoid, "sigmoid"},
      {LayerKind::tanh, "tanh"},
      {LayerKind::gelu, "gelu"},
      {LayerKind::hardswish, "hardswish"},
      {LayerKind::softmax, "softmax"},
      {LayerKind::groupnorm, "groupnorm"},
      {LayerKind::layernorm, "layernorm"},
      {LayerKind::instancenorm, "instancenorm"},
      {LayerKind::concat, "concat"},
      {LayerKind::mul, "mul"},
      {LayerKind::sub, "sub"},
      {LayerKind::constant, "constant"},
      {LayerKind::reshape, "reshape"},
      {LayerKind::identity, "identity"},
      {LayerKind::dropout, "dropout"}};
};

/// Channels × height × width of one activation; a vector of m features is m × 1 × 1.
using ActivationShape = ImageShape;

/// One node of the graph. `inputs` are indices into NetworkSpec::layers, −1 is the image.
struct Layer {
  LayerKind kind{};
  std::string name;         ///< PyTorch child name ("conv1"); parameters are `name.weight` …
  std::vector<int> inputs;  ///< one entry; two for add, sub and mul, two or more for concat, none
                            ///< for constant
  int out_channels = 0;     ///< conv2d: output channels; linear: output features
  // Windows of conv2d, maxpool and avgpool: of rows, and of columns where those differ.
  int kernel = 0;
  int stride = 1;
  int padding = 0;  ///< zeros; −∞ for maxpool
  int dilation = 1;
  std::optional<int> kernel_x, stride_x, padding_x, dilation_x;
  bool same_padding = false;      ///< conv2d: as many rows and columns out as in; stride 1
  int groups = 1;                 ///< conv2d, groupnorm
  bool ceil_mode = false;         ///< maxpool, avgpool: a last window may reach over the edge
  bool count_include_pad = true;  ///< avgpool: the mean is over the padding's zeros as well
  bool bias = true;               ///< conv2d, linear
  bool affine = true;             ///< batchnorm, groupnorm, layernorm, instancenorm: has γ and β
  double eps = 1e-5;              ///< of the same
  double momentum = 0.1;   ///< batchnorm, PyTorch's convention: new = (1−m)·old + m·batch
  double alpha = 0;        ///< leaky_relu: slope of x < 0; elu: α; dropout: p, unused here
  int slopes = 1;          ///< prelu: 1, or one per channel
  bool tanh_form = false;  ///< gelu: by tanh instead of erf
  ActivationShape shape;   ///< reshape, constant: C×H×W; adaptive pools: rows × columns
  std::vector<float> mean, stddev;  ///< normalize: per channel, applied after the noise
  ActivationShape out;              ///< filled by infer_shapes()
};

/// The windows of a conv2d, maxpool, avgpool or adaptive pool over `in`, "same" resolved; reads
/// Layer::out.
WindowShape window_shape(const Layer& layer, const ActivationShape& in);

/// Layers in topological order; the last one produces the logits.
struct NetworkSpec {
  std::string name;
  ImageShape input;
  int classes = 0;
  std::vector<Layer> layers;
};

/// Checks the graph and fills every Layer::out. Throws UsageError naming the layer.
void infer_shapes(NetworkSpec& spec);

/// Throws UsageError naming the first layer that training (`what`, in messages) cannot go through:
/// a dropout that would be drawn. Attacks go through every layer.
void require_gradients(const NetworkSpec& spec, const std::string& what);
/// What a layer lacks for that ("dropout with p = 0.5 is not drawn …"); "" where it lacks nothing.
std::string missing_gradient(const NetworkSpec& spec, std::size_t layer);

/// Multiply-adds of one forward pass: of convolutions and linear layers, taps in the padding
/// included, as the literature counts them.
std::uint64_t multiply_adds(const NetworkSpec& spec);
/// Trainable parameters: running statistics do not count.
std::uint64_t trainable_parameters(const NetworkSpec& spec);

/// Built-in descriptions (docs/network-format.md lists them). Throws UsageError, suggesting the
/// nearest name.
NetworkSpec builtin_network(const std::string& name);
std::vector<std::string> builtin_network_names();
/// Those of them that are quick to load and to time in passing.
std::vector<std::string> small_network_names();

/// JSON description ⇄ spec (docs/network-format.md).
NetworkSpec parse_network_spec(const std::string& json, const std::string& where);
std::string network_spec_json(const NetworkSpec& spec);

/// Names and shapes of the tensors that `spec` needs, in layer order. `trainable` is false for
/// running statistics and constants.
struct TensorSlot {
  std::string name;
  std::vector<std::int64_t> shape;
  bool trainable;
  std::optional<float> start = std::nullopt;  ///< the value it starts with; none: at random
};
std::vector<TensorSlot> tensor_slots(const NetworkSpec& spec);

}  // namespace smoothcert
