// The network that an ONNX graph becomes, layer by layer.
#include "checkpoint/onnx_builder.hpp"

#include <algorithm>
#include <cmath>

#include "network/lowering.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

std::string text(const std::vector<std::int64_t>& dims) {
  std::string s = "N";
  for (const std::int64_t d : dims) s += "×" + std::to_string(d);
  return s;
}

}  // namespace

ActivationShape onnx_shape(const OnnxNode& node, const std::vector<std::int64_t>& dims) {
  if (dims.size() > 3)
    node.fail("works on a value of shape " + text(dims) + ", of too high a rank");
  int extents[3] = {1, 1, 1};
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] < 1 || dims[i] > 65536) node.fail("works on a value of shape " + text(dims));
    extents[i] = static_cast<int>(dims[i]);
  }
  return {extents[0], extents[1], extents[2]};
}

OnnxBuilder::OnnxBuilder(std::string name, ImageShape input, std::size_t room) : room_(room) {
  net_.spec.name = std::move(name);
  net_.spec.input = input;
  net_.clamp = net_.clamp_recorded = false;
  check_input(net_.spec);
}

ActivationShape OnnxBuilder::shape_of(int layer) const {
  return layer < 0 ? net_.spec.input : net_.spec.layers[static_cast<std::size_t>(layer)].out;
}

std::size_t OnnxBuilder::append(const OnnxNode& node, Layer layer) {
  net_.spec.layers.push_back(std::move(layer));
  const std::size_t index = net_.spec.layers.size() - 1;
  if (index > 20000) node.fail("makes a network of more than 20,000 layers");
  try {
    infer_layer(net_.spec, index);
  } catch (const UsageError& e) {
    node.fail(e.what());
  }
  return index;
}

OnnxActivation OnnxBuilder::add(const OnnxNode& node, Layer layer,
                                const std::vector<OnnxActivation>& inputs) {
  for (const OnnxActivation& x : inputs) layer.inputs.push_back(shaped(node, x));
  const std::size_t index = append(node, std::move(layer));
  const ActivationShape& out = net_.spec.layers.back().out;
  OnnxActivation result;
  result.layer = static_cast<int>(index);
  result.dims = {out.channels, out.height, out.width};
  return result;
}

OnnxActivation OnnxBuilder::add(const OnnxNode& node, Layer layer,
                                const std::vector<OnnxActivation>& inputs,
                                std::map<std::string, Tensor> tensors, const std::string& weights) {
  layer.name = unique_name(layer, weights);
  const std::string name = layer.name;
  const OnnxActivation result = add(node, std::move(layer), inputs);
  for (auto& [part, tensor] : tensors) {
    if (tensor.data.size() > room_) node.fail("makes more parameters than such a file may");
    room_ -= tensor.data.size();
    for (const float v : tensor.data)
      if (std::isnan(v)) node.fail("its " + part + " holds NaN");
    net_.tensors.emplace(name + "." + part, std::move(tensor));
  }
  return result;
}

/// "layer1.0.conv1" of weights "layer1.0.conv1.weight", as PyTorch's exporters name them; else the
/// op and a number.
std::string OnnxBuilder::unique_name(const Layer& layer, const std::string& weights) {
  std::string name;
  if (weights.ends_with(".weight")) name = weights.substr(0, weights.size() - 7);
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '.';
  };
  if (name.empty() || name == "input" || name.size() > 200 ||
      !std::all_of(name.begin(), name.end(), good))
    name = to_name(layer.kind) + std::to_string(net_.spec.layers.size() + 1);
  const int used = names_[name]++;
  if (used == 0) return name;
  return unique_name(layer, name + "_" + std::to_string(used + 1) + ".weight");
}

int OnnxBuilder::shaped(const OnnxNode& node, const OnnxActivation& x) {
  if (x.part != OnnxActivation::Part::whole)
    node.fail("reads a part of a function that is only known as GELU or layer normalisation");
  const ActivationShape wanted = onnx_shape(node, x.dims);
  if (shape_of(x.layer) == wanted) return x.layer;
  Layer layer;
  layer.inputs = {x.layer};
  layer.kind = wanted.height == 1 && wanted.width == 1 ? LayerKind::flatten : LayerKind::reshape;
  layer.shape = wanted;
  return static_cast<int>(append(node, std::move(layer)));
}

void OnnxBuilder::set_affine(Layer& layer, const Affine& affine) {
  layer.kind = LayerKind::normalize;
  layer.mean.clear();
  layer.stddev.clear();
  for (std::size_t c = 0; c < affine.scale.size(); ++c) {
    layer.mean.push_back(static_cast<float>(0.0 - affine.shift[c] / affine.scale[c]));
    layer.stddev.push_back(static_cast<float>(1.0 / affine.scale[c]));
  }
}

OnnxActivation OnnxBuilder::affine(const OnnxNode& node, const OnnxActivation& x,
                                   std::vector<double> scale, std::vector<double> shift,
                                   bool alone) {
  shaped(node, x);  // refuses a part of a function
  const ActivationShape shape = onnx_shape(node, x.dims);
  const auto channels = static_cast<std::size_t>(shape.channels);
  if (scale.size() == 1) scale.assign(channels, scale[0]);
  if (shift.size() == 1) shift.assign(channels, shift[0]);
  for (std::size_t c = 0; c < channels; ++c)
    if (!std::isfinite(scale[c]) || !std::isfinite(shift[c]))
      node.fail("computes with a number that is not finite");
  OnnxActivation result = x;
  const auto before = affines_.find(x.layer);
  const bool joins = alone && before != affines_.end() && shape_of(x.layer) == shape;
  if (joins)
    for (std::size_t c = 0; c < channels; ++c) {
      shift[c] += scale[c] * before->second.shift[c];
      scale[c] *= before->second.scale[c];
    }
  // A normalize layer divides by positive deviations; whatever else is written out. It subtracts a
  // mean, whose rounding must not outgrow the values'.
  const bool normalises =
      std::all_of(scale.begin(), scale.end(), [](double s) { return s > 1e-12 && s < 1e12; }) &&
      std::equal(scale.begin(), scale.end(), shift.begin(),
                 [](double s, double b) { return std::fabs(b / s) < 1e6; });
  if (normalises) {
    const Affine affine{scale, shift};
    if (joins) {
      set_affine(net_.spec.layers[static_cast<std::size_t>(x.layer)], affine);
      before->second = affine;
      return result;
    }
    Layer layer;
    set_affine(layer, affine);
    result.layer = add(node, layer, {x}).layer;
    affines_.emplace(result.layer, affine);
    return result;
  }
  if (joins) {  // as this node alone has it
    for (std::size_t c = 0; c < channels; ++c) {
      scale[c] /= before->second.scale[c];
      shift[c] -= scale[c] * before->second.shift[c];
    }
  }
  const auto apply = [&](LayerKind kind, const std::vector<double>& values, double neutral) {
    if (std::all_of(values.begin(), values.end(), [&](double v) { return v == neutral; })) return;
    Layer layer;
    layer.kind = kind;
    result.layer =
        add(node, layer,
            {result, constant(node, {shape.channels, 1, 1}, {values.begin(), values.end()})})
            .layer;
  };
  apply(LayerKind::mul, scale, 1);
  apply(LayerKind::add, shift, 0);
  return result;
}

OnnxActivation OnnxBuilder::constant(const OnnxNode& node, const ActivationShape& shape,
                                     std::vector<float> values) {
  Layer layer;
  layer.kind = LayerKind::constant;
  layer.shape = shape;
  return add(node, layer, {},
             {{"value", {{shape.channels, shape.height, shape.width}, std::move(values)}}});
}

bool OnnxBuilder::add_bias(const OnnxActivation& x, const std::vector<double>& bias) {
  if (x.layer < 0 || x.part != OnnxActivation::Part::whole) return false;
  Layer& layer = net_.spec.layers[static_cast<std::size_t>(x.layer)];
  if (layer.kind != LayerKind::linear || layer.bias ||
      bias.size() != static_cast<std::size_t>(layer.out_channels))
    return false;
  layer.bias = true;
  net_.tensors[layer.name + ".bias"] = {{static_cast<std::int64_t>(bias.size())},
                                        {bias.begin(), bias.end()}};
  return true;
}

Network OnnxBuilder::finish(const OnnxNode& node, const OnnxActivation& x) {
  const int logits = shaped(node, x);
  if (logits < 0) node.fail("gives the image itself");
  // The layers that the logits depend on, in their order.
  std::vector<bool> needed(net_.spec.layers.size());
  needed[static_cast<std::size_t>(logits)] = true;
  for (std::size_t i = net_.spec.layers.size(); i-- > 0;)
    if (needed[i])
      for (const int input : net_.spec.layers[i].inputs)
        if (input >= 0) needed[static_cast<std::size_t>(input)] = true;
  std::vector<int> number(net_.spec.layers.size(), -1);
  std::vector<Layer> layers;
  std::map<std::string, Tensor> tensors;
  for (std::size_t i = 0; i < needed.size(); ++i) {
    if (!needed[i]) continue;
    Layer layer = net_.spec.layers[i];
    for (int& input : layer.inputs)
      if (input >= 0) input = number[static_cast<std::size_t>(input)];
    number[i] = static_cast<int>(layers.size());
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var", ".value"})
      if (const auto found = net_.tensors.find(layer.name + part);
          !layer.name.empty() && found != net_.tensors.end())
        tensors.insert(net_.tensors.extract(found));
    layers.push_back(std::move(layer));
  }
  net_.spec.layers = std::move(layers);
  net_.tensors = std::move(tensors);
  net_.spec.classes = shape_of(static_cast<int>(net_.spec.layers.size()) - 1).channels;
  return std::move(net_);
}

}  // namespace smoothcert
