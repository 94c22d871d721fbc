// The one table of layers. make_layers.py reads the rows of this file: each begins with {"name",
// {C, H, W}, R"([layers])".
#include "layer_cases.hpp"

#include <cmath>
#include <cstdint>

namespace smoothcert {
namespace {

constexpr double kTight = 2e-6, kFunction = 4e-6;

std::vector<LayerCase> all_cases() {
  return {
      // Layers of LeNet and ResNet.
      {"conv", {3, 9, 7}, R"([{"op":"conv2d","name":"c","out_channels":7,"kernel":3}])", kTight},
      {"conv padded",
       {2, 9, 7},
       R"([{"op":"conv2d","name":"c","out_channels":5,"kernel":5,"padding":2}])",
       kTight},
      {"conv stride 2",
       {3, 9, 8},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":3,"stride":2,"padding":1}])",
       kTight},
      {"conv 1x1 stride 2",
       {4, 9, 8},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":1,"stride":2,"bias":false}])",
       kTight},
      {"conv 7x7 stride 2",
       {3, 13, 12},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":7,"stride":2,"padding":3}])",
       kTight},
      {"conv same",
       {3, 8, 7},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":3,"padding":"same"}])",
       kTight},
      {"relu",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":3},{"op":"relu"}])",
       kTight},
      {"batchnorm",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":3},{"op":"batchnorm","name":"bn"}])",
       kTight},
      {"maxpool", {3, 8, 6}, R"([{"op":"maxpool","kernel":2}])", kTight},
      {"maxpool after conv",
       {2, 9, 8},
       R"([{"op":"conv2d","name":"c","out_channels":3,"kernel":3,"padding":1},{"op":"relu"},{"op":"maxpool","kernel":2}])",
       kTight},
      {"maxpool padded",
       {3, 9, 8},
       R"([{"op":"maxpool","kernel":3,"stride":2,"padding":1}])",
       kTight},
      {"global_avg_pool", {5, 6, 7}, R"([{"op":"global_avg_pool"}])", kTight},
      {"normalize",
       {3, 4, 5},
       R"([{"op":"normalize","mean":[0.4,0.5,0.6],"std":[0.2,0.25,0.3]}])",
       kTight},
      {"add",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"a","out_channels":4,"kernel":3},{"op":"conv2d","name":"b","out_channels":4,"kernel":3,"inputs":["input"]},{"op":"add","inputs":["a","b"]}])",
       kTight},
      // Windows.
      {"conv groups",
       {6, 8, 7},
       R"([{"op":"conv2d","name":"c","out_channels":9,"kernel":3,"padding":1,"groups":3}])",
       kTight},
      {"conv depthwise",
       {5, 9, 11},
       R"([{"op":"conv2d","name":"c","out_channels":5,"kernel":3,"padding":1,"groups":5,"bias":false}])",
       kTight},
      {"conv depthwise stride 2",
       {4, 9, 12},
       R"([{"op":"conv2d","name":"c","out_channels":8,"kernel":5,"stride":2,"padding":2,"groups":4}])",
       kTight},
      {"conv dilated",
       {3, 11, 10},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":3,"padding":2,"dilation":2}])",
       kTight},
      {"conv rectangular",
       {3, 9, 12},
       R"([{"op":"conv2d","name":"c","out_channels":5,"kernel":[3,5],"stride":[1,2],"padding":[0,2]}])",
       kTight},
      {"conv dilated rectangular",
       {2, 12, 11},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":[2,3],"stride":[2,1],"padding":[1,3],"dilation":[1,3]}])",
       kTight},
      {"conv same even",
       {3, 7, 9},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":4,"padding":"same"}])",
       kTight},
      {"conv same dilated",
       {3, 8, 9},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":[3,2],"padding":"same","dilation":[2,1]}])",
       kTight},
      {"maxpool ceil",
       {3, 8, 7},
       R"([{"op":"maxpool","kernel":3,"stride":2,"ceil_mode":true}])",
       kTight},
      {"maxpool ceil after conv",
       {2, 7, 7},
       R"([{"op":"conv2d","name":"c","out_channels":3,"kernel":3,"padding":1},{"op":"maxpool","kernel":2,"ceil_mode":true}])",
       kTight},
      {"maxpool ceil padded",
       {3, 8, 10},
       R"([{"op":"maxpool","kernel":3,"stride":2,"padding":1,"ceil_mode":true}])",
       kTight},
      {"maxpool rectangular dilated",
       {3, 9, 10},
       R"([{"op":"maxpool","kernel":[2,3],"stride":[2,1],"padding":[0,1],"dilation":[2,2]}])",
       kTight},
      {"avgpool", {3, 8, 6}, R"([{"op":"avgpool","kernel":2}])", kTight},
      {"avgpool padded",
       {3, 9, 8},
       R"([{"op":"avgpool","kernel":3,"stride":2,"padding":1}])",
       kTight},
      {"avgpool without padding's zeros",
       {3, 9, 8},
       R"([{"op":"avgpool","kernel":3,"stride":2,"padding":1,"count_include_pad":false}])",
       kTight},
      {"avgpool ceil",
       {3, 8, 10},
       R"([{"op":"avgpool","kernel":3,"stride":2,"padding":1,"ceil_mode":true}])",
       kTight},
      {"avgpool rectangular",
       {3, 7, 8},
       R"([{"op":"avgpool","kernel":[3,2],"stride":[2,2],"padding":[1,0]}])",
       kTight},
      {"adaptive_avgpool", {3, 11, 10}, R"([{"op":"adaptive_avgpool","output":[3,4]}])", kTight},
      {"adaptive_avgpool larger than its input",
       {3, 2, 3},
       R"([{"op":"adaptive_avgpool","output":7}])",
       kTight},
      {"adaptive_maxpool", {3, 11, 10}, R"([{"op":"adaptive_maxpool","output":[4,3]}])", kTight},
      // Activations.
      {"leaky_relu",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":3},{"op":"leaky_relu","slope":0.1}])",
       kTight},
      {"relu6",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.3,0.3,0.3],"std":[0.05,0.05,0.05]},{"op":"relu6"}])",
       kTight},
      {"prelu",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":3},{"op":"prelu","name":"p"}])",
       kTight},
      {"prelu by channel",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":3},{"op":"prelu","name":"p","slopes":6}])",
       kTight},
      {"elu",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"elu","alpha":0.7}])",
       kFunction},
      {"silu",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"silu"}])",
       kFunction},
      {"sigmoid",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"sigmoid"}])",
       kFunction},
      {"tanh",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"tanh"}])",
       kFunction},
      {"gelu",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"gelu"}])",
       kFunction},
      {"gelu by tanh",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"gelu","approximate":"tanh"}])",
       kFunction},
      {"hardswish",
       {3, 6, 5},
       R"([{"op":"normalize","mean":[0.5,0.5,0.5],"std":[0.1,0.2,0.3]},{"op":"hardswish"}])",
       kTight},
      {"softmax",
       {7, 3, 4},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":1},{"op":"softmax"}])",
       kFunction},
      // Normalisation over channels.
      {"groupnorm",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":6,"kernel":3},{"op":"groupnorm","name":"n","groups":3}])",
       kFunction},
      {"groupnorm without affine",
       {6, 5, 4},
       R"([{"op":"groupnorm","groups":2,"affine":false,"eps":0.001}])",
       kFunction},
      {"layernorm",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":3},{"op":"layernorm","name":"n"}])",
       kFunction},
      {"layernorm of features",
       {3, 4, 5},
       R"([{"op":"flatten"},{"op":"linear","name":"f","out_features":11},{"op":"layernorm","name":"n","eps":1e-6}])",
       kFunction},
      {"instancenorm", {4, 6, 5}, R"([{"op":"instancenorm"}])", kFunction},
      {"instancenorm with affine",
       {4, 6, 5},
       R"([{"op":"instancenorm","name":"n","affine":true}])",
       kFunction},
      {"batchnorm without affine",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"c","out_channels":4,"kernel":3},{"op":"batchnorm","name":"bn","affine":false}])",
       kTight},
      // Several inputs, none, and other names for the same values.
      {"concat",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"a","out_channels":4,"kernel":3,"padding":1},{"op":"conv2d","name":"b","out_channels":2,"kernel":1,"inputs":["input"]},{"op":"concat","inputs":["a","input","b","a"]}])",
       kTight},
      {"sub",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"a","out_channels":3,"kernel":3,"padding":1},{"op":"sub","inputs":["input","a"]}])",
       kTight},
      {"mul by a share of each channel",
       {3, 6, 5},
       R"([{"op":"conv2d","name":"a","out_channels":4,"kernel":3},{"op":"global_avg_pool"},{"op":"sigmoid","name":"s"},{"op":"mul","inputs":["a","s"]}])",
       kFunction},
      {"add of a row",
       {3, 6, 5},
       R"([{"op":"constant","name":"k","shape":[1,1,5]},{"op":"add","inputs":["input","k"]}])",
       kTight},
      {"constant",
       {3, 4, 5},
       R"([{"op":"constant","name":"k","shape":[3,4,5]},{"op":"mul","inputs":["k","input"]}])",
       kTight},
      {"reshape",
       {3, 4, 5},
       R"([{"op":"reshape","shape":[5,2,6]},{"op":"conv2d","name":"c","out_channels":4,"kernel":2}])",
       kTight},
      {"identity and dropout",
       {3, 4, 5},
       R"([{"op":"identity"},{"op":"conv2d","name":"c","out_channels":4,"kernel":2},{"op":"dropout","p":0.3},{"op":"relu"}])",
       kTight},
  };
}

std::vector<LayerCase> speed_cases() {
  return {
      {"conv 3x3",
       {32, 32, 32},
       R"([{"op":"conv2d","name":"c","out_channels":32,"kernel":3,"padding":1}])",
       0},
      {"conv 3x3 stride 2",
       {32, 32, 32},
       R"([{"op":"conv2d","name":"c","out_channels":64,"kernel":3,"stride":2,"padding":1}])",
       0},
      {"conv 1x1", {64, 16, 16}, R"([{"op":"conv2d","name":"c","out_channels":64,"kernel":1}])", 0},
      {"conv depthwise",
       {32, 32, 32},
       R"([{"op":"conv2d","name":"c","out_channels":32,"kernel":3,"padding":1,"groups":32}])",
       0},
      {"conv groups",
       {32, 32, 32},
       R"([{"op":"conv2d","name":"c","out_channels":32,"kernel":3,"padding":1,"groups":4}])",
       0},
      {"avgpool", {32, 32, 32}, R"([{"op":"avgpool","kernel":2}])", 0},
      {"silu", {32, 32, 32}, R"([{"op":"silu"}])", 0},
      {"gelu", {32, 32, 32}, R"([{"op":"gelu"}])", 0},
      {"groupnorm", {32, 32, 32}, R"([{"op":"groupnorm","name":"n","groups":8}])", 0},
      {"concat", {32, 32, 32}, R"([{"op":"concat","inputs":["input","input"]}])", 0},
  };
}

std::uint32_t hash_of(const std::string& name) {  // FNV-1a
  std::uint32_t h = 2166136261u;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 16777619u;
  return h;
}

/// Uniform in [low, high): the i-th value of a name.
float formula(std::uint32_t name, std::size_t i, double low, double high) {
  std::uint32_t x = name + static_cast<std::uint32_t>(i) * 2654435761u;
  x = (x ^ x >> 16) * 0x7feb352du;
  x = (x ^ x >> 15) * 0x846ca68bu;
  x ^= x >> 16;
  return static_cast<float>(low + (high - low) * ((x >> 8) * 0x1p-24));
}

}  // namespace

const std::vector<LayerCase>& layer_cases() {
  static const std::vector<LayerCase> cases = all_cases();
  return cases;
}
const std::vector<LayerCase>& layer_speed_cases() {
  static const std::vector<LayerCase> cases = speed_cases();
  return cases;
}

NetworkSpec case_network(const LayerCase& c) {
  const std::string middle = c.layers.substr(1, c.layers.size() - 2);
  const auto n = [](int v) { return std::to_string(v); };
  return parse_network_spec(
      R"({"name":"case","input":[)" + n(c.input.channels) + "," + n(c.input.height) + "," +
          n(c.input.width) + R"(],"classes":5,"layers":[)" + middle +
          R"(,{"op":"flatten"},{"op":"linear","name":"head","out_features":5}]})",
      c.name);
}

Network formula_network(NetworkSpec spec) {
  infer_shapes(spec);
  Network net;
  net.spec = std::move(spec);
  for (const TensorSlot& slot : tensor_slots(net.spec)) {
    std::size_t count = 1;
    for (const std::int64_t extent : slot.shape) count *= static_cast<std::size_t>(extent);
    double low = -0.2, high = 0.2;
    if (slot.name.ends_with(".running_var")) {
      low = 0.5, high = 1.5;
    } else if (slot.name.ends_with(".value")) {
      low = -1, high = 1;
    } else if (slot.name.ends_with(".weight") && slot.shape.size() == 1) {
      low = 0.3, high = 0.9;
    } else if (slot.name.ends_with(".weight")) {
      high = std::sqrt(3.0 * static_cast<double>(slot.shape[0]) / static_cast<double>(count));
      low = -high;
    }
    Tensor tensor{slot.shape, std::vector<float>(count)};
    const std::uint32_t name = hash_of(slot.name);
    for (std::size_t i = 0; i < count; ++i) tensor.data[i] = formula(name, i, low, high);
    net.tensors.emplace(slot.name, std::move(tensor));
  }
  return net;
}

std::vector<float> formula_image(const ImageShape& shape, int index) {
  std::vector<float> image(shape.size());
  const std::uint32_t name = hash_of("image " + std::to_string(index));
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = formula(name, i, 0, 1);
  return image;
}

}  // namespace smoothcert
