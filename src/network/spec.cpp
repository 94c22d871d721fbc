// Shapes of the graph and the built-in descriptions.
#include <algorithm>

#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

// Nothing this project certifies comes near these; they keep sizes from overflowing on bad input.
constexpr int kMaxExtent = 65536;
constexpr std::size_t kMaxActivation = std::size_t{1} << 28;

std::string where(const NetworkSpec& spec, std::size_t index) {
  const Layer& layer = spec.layers[index];
  return "network '" + spec.name + "', layer " + std::to_string(index + 1) +
         (layer.name.empty() ? std::string() : " '" + layer.name + "'");
}

void require(bool ok, const NetworkSpec& spec, std::size_t index, const std::string& problem) {
  if (!ok) throw UsageError(where(spec, index) + ": " + problem);
}

std::string text(const ActivationShape& s) {
  return std::to_string(s.channels) + "×" + std::to_string(s.height) + "×" +
         std::to_string(s.width);
}

int windows(int extent, const Layer& layer) {
  return (extent + 2 * layer.padding - layer.kernel) / layer.stride + 1;
}

ActivationShape output_shape(const NetworkSpec& spec, std::size_t index,
                             const ActivationShape& in) {
  const Layer& layer = spec.layers[index];
  switch (layer.kind) {
    case LayerKind::conv2d:
    case LayerKind::maxpool: {
      require(layer.kernel >= 1 && layer.kernel <= kMaxExtent, spec, index,
              "kernel must be at least 1");
      require(layer.stride >= 1 && layer.stride <= kMaxExtent, spec, index,
              "stride must be at least 1");
      require(layer.padding >= 0 && layer.padding < layer.kernel, spec, index,
              "padding must be at least 0 and less than the kernel");
      require(in.height + 2 * layer.padding >= layer.kernel &&
                  in.width + 2 * layer.padding >= layer.kernel,
              spec, index,
              "a " + std::to_string(layer.kernel) + "×" + std::to_string(layer.kernel) +
                  " window does not fit its input " + text(in));
      if (layer.kind == LayerKind::maxpool) {
        require(2 * layer.padding <= layer.kernel, spec, index,
                "maxpool padding may be at most half the window");
        return {in.channels, windows(in.height, layer), windows(in.width, layer)};
      }
      require(layer.out_channels >= 1 && layer.out_channels <= kMaxExtent, spec, index,
              "out_channels must be at least 1");
      return {layer.out_channels, windows(in.height, layer), windows(in.width, layer)};
    }
    case LayerKind::linear:
      require(in.height == 1 && in.width == 1, spec, index,
              "linear needs a flat input, found " + text(in) + "; put a flatten layer before it");
      require(layer.out_channels >= 1 && layer.out_channels <= kMaxExtent, spec, index,
              "out_features must be at least 1");
      return {layer.out_channels, 1, 1};
    case LayerKind::flatten:
      return {static_cast<int>(in.size()), 1, 1};
    case LayerKind::global_avg_pool:
      return {in.channels, 1, 1};
    case LayerKind::normalize:
      require(layer.mean.size() == static_cast<std::size_t>(in.channels) &&
                  layer.stddev.size() == static_cast<std::size_t>(in.channels),
              spec, index,
              "normalize needs " + std::to_string(in.channels) + " means and standard deviations");
      for (const float s : layer.stddev)
        require(s > 0.0f && s < 1e30f, spec, index, "normalize needs positive standard deviations");
      return in;
    case LayerKind::batchnorm:
      require(layer.eps > 0, spec, index, "eps must be positive");
      return in;
    case LayerKind::relu:
    case LayerKind::add:
      return in;
  }
  return in;
}

Layer conv(std::string name, int out_channels, int kernel, int padding = 0, int stride = 1) {
  Layer layer{.kind = LayerKind::conv2d, .name = std::move(name)};
  layer.out_channels = out_channels;
  layer.kernel = kernel;
  layer.padding = padding;
  layer.stride = stride;
  return layer;
}
Layer pool(int kernel) {
  Layer layer{.kind = LayerKind::maxpool};
  layer.kernel = layer.stride = kernel;
  return layer;
}
Layer linear(std::string name, int out_features) {
  Layer layer{.kind = LayerKind::linear, .name = std::move(name)};
  layer.out_channels = out_features;
  return layer;
}
Layer batchnorm(std::string name) {
  return {.kind = LayerKind::batchnorm, .name = std::move(name)};
}
Layer relu() { return {.kind = LayerKind::relu}; }
Layer flatten() { return {.kind = LayerKind::flatten}; }

NetworkSpec chain(std::string name, ImageShape input, int classes, std::vector<Layer> layers) {
  NetworkSpec spec{
      .name = std::move(name), .input = input, .classes = classes, .layers = std::move(layers)};
  for (std::size_t i = 0; i < spec.layers.size(); ++i)
    spec.layers[i].inputs = {static_cast<int>(i) - 1};
  infer_shapes(spec);
  return spec;
}

}  // namespace

void infer_shapes(NetworkSpec& spec) {
  const auto bad = [](int extent) { return extent < 1 || extent > kMaxExtent; };
  if (bad(spec.input.channels) || bad(spec.input.height) || bad(spec.input.width) ||
      spec.input.size() > kMaxActivation)
    throw UsageError("network '" + spec.name +
                     "': the input must be channels × height × width, each at least 1");
  if (spec.classes < 2 || spec.classes > kMaxExtent)
    throw UsageError("network '" + spec.name + "': classes must be at least 2");
  if (spec.layers.empty()) throw UsageError("network '" + spec.name + "' has no layers");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    Layer& layer = spec.layers[i];
    const bool has_parameters = layer.kind == LayerKind::conv2d ||
                                layer.kind == LayerKind::linear ||
                                layer.kind == LayerKind::batchnorm;
    require(!has_parameters || !layer.name.empty(), spec, i, "needs a name for its parameters");
    if (!layer.name.empty()) {
      require(std::find(names.begin(), names.end(), layer.name) == names.end(), spec, i,
              "the name is used twice");
      names.push_back(layer.name);
    }
    const std::size_t arity = layer.kind == LayerKind::add ? 2 : 1;
    require(layer.inputs.size() == arity, spec, i,
            "needs " + std::to_string(arity) + (arity == 1 ? " input" : " inputs"));
    std::vector<ActivationShape> in;
    for (const int input : layer.inputs) {
      require(input >= -1 && input < static_cast<int>(i), spec, i,
              "an input must be the image or an earlier layer");
      in.push_back(input < 0 ? spec.input : spec.layers[static_cast<std::size_t>(input)].out);
    }
    if (arity == 2)
      require(in[0] == in[1], spec, i,
              "add needs equal shapes, found " + text(in[0]) + " and " + text(in[1]));
    layer.out = output_shape(spec, i, in[0]);
    require(layer.out.size() <= kMaxActivation, spec, i,
            "its output " + text(layer.out) + " is too large");
  }
  const ActivationShape& last = spec.layers.back().out;
  if (last != ActivationShape{spec.classes, 1, 1})
    throw UsageError("network '" + spec.name + "': the last layer gives " + text(last) + ", but " +
                     std::to_string(spec.classes) + " logits are needed");
}

std::vector<std::string> builtin_network_names() { return {"convnn", "lenet", "mlp", "cifar-cnn"}; }

NetworkSpec builtin_network(const std::string& name) {
  if (name == "convnn")  // the study's network
    return chain(name, {1, 28, 28}, 10,
                 {conv("conv1", 5, 5), relu(), batchnorm("bn1"), pool(2), conv("conv2", 5, 5),
                  relu(), pool(2), flatten(), linear("fc1", 10)});
  if (name == "lenet")  // the literature's MNIST network
    return chain(name, {1, 28, 28}, 10,
                 {conv("conv1", 20, 5), relu(), pool(2), conv("conv2", 50, 5), relu(), pool(2),
                  flatten(), linear("fc1", 500), relu(), linear("fc2", 10)});
  if (name == "mlp")
    return chain(
        name, {1, 28, 28}, 10,
        {flatten(), linear("fc1", 256), relu(), linear("fc2", 128), relu(), linear("fc3", 10)});
  if (name == "cifar-cnn")
    return chain(name, {3, 32, 32}, 10,
                 {conv("conv1", 32, 3, 1), batchnorm("bn1"), relu(), conv("conv2", 32, 3, 1),
                  batchnorm("bn2"), relu(), pool(2), conv("conv3", 64, 3, 1), batchnorm("bn3"),
                  relu(), conv("conv4", 64, 3, 1), batchnorm("bn4"), relu(), pool(2), flatten(),
                  linear("fc1", 256), relu(), linear("fc2", 10)});
  throw UsageError(unknown_name_message("network", name, builtin_network_names()));
}

}  // namespace smoothcert
