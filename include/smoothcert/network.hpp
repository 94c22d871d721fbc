// The base classifier: a graph of layers described by data, its parameters, and its file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/dataset.hpp"

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

/// Dense row-major float32 tensor in PyTorch's layout (conv: OIHW, linear: out × in).
struct Tensor {
  std::vector<std::int64_t> shape;
  std::vector<float> data;
};

/// How the parameters came about; kept in the file's metadata.
struct TrainingRecord {
  std::string regime;  ///< "normal", "adversarial", "smoothing", or empty when unknown
  std::string recipe;  ///< recipe name
  double sigma = 0;    ///< smoothing noise, in units of [0,1]
  double epsilon = 0;  ///< adversarial budget
  int epochs = 0;
  std::uint64_t seed = 0;
  std::string dataset;  ///< name and hash
  std::string commit;   ///< program version
  std::string backend;  ///< device, library versions, thread count
};

struct Network {
  NetworkSpec spec;
  std::map<std::string, Tensor> tensors;  ///< parameters and BatchNorm running statistics
  TrainingRecord record;
  bool clamp = true;  ///< noisy pixels were clamped to [0,1] in training
  /// Whether the file says so. Where it does not, as in checkpoints of others, `clamp` is false: it
  /// is what the field's codes do.
  bool clamp_recorded = true;
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

/// PyTorch's default initialisation (Kaiming uniform, a = √5) from Philox purpose `initialise`.
Network initialise(NetworkSpec spec, std::uint64_t seed);

/// Throws Error naming the tensor, the shape expected and found; or the NaN.
void validate(const Network& net, const std::string& where);

/// SHA-256 over the canonical description and the sorted tensors; metadata does not enter.
std::string model_hash(const Network& net);

/// safetensors, the description and the record in its metadata. Saving is atomic (rename).
void save_network(const Network& net, const std::filesystem::path& file);
Network load_network(const std::filesystem::path& file);
/// The same from bytes already read; `where` names them in errors.
Network network_from_safetensors(std::span<const std::uint8_t> bytes, const std::string& where);

}  // namespace smoothcert
