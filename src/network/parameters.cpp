// Parameters of a network: names, shapes, initial values, checks, identity.
#include <cmath>

#include "smoothcert/device/philox.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

std::size_t element_count(const std::vector<std::int64_t>& shape) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  return count;
}

std::string text(const std::vector<std::int64_t>& shape) {
  std::string s = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) s += (i ? ", " : "") + std::to_string(shape[i]);
  return s + "]";
}

const ActivationShape& input_shape(const NetworkSpec& spec, const Layer& layer) {
  const int input = layer.inputs.empty() ? -1 : layer.inputs[0];  // a constant has none
  return input < 0 ? spec.input : spec.layers[static_cast<std::size_t>(input)].out;
}

void scale_and_shift(const std::string& layer, const std::vector<std::int64_t>& shape,
                     std::vector<TensorSlot>& slots) {
  slots.push_back({layer + ".weight", shape, true, 1.0f});
  slots.push_back({layer + ".bias", shape, true, 0.0f});
}

}  // namespace

std::vector<TensorSlot> tensor_slots(const NetworkSpec& spec) {
  std::vector<TensorSlot> slots;
  for (const Layer& layer : spec.layers) {
    const std::int64_t in = input_shape(spec, layer).channels;
    const std::int64_t out = layer.out_channels;
    switch (layer.kind) {
      case LayerKind::conv2d:
        slots.push_back(
            {layer.name + ".weight",
             {out, in / layer.groups, layer.kernel, layer.kernel_x.value_or(layer.kernel)},
             true});
        if (layer.bias) slots.push_back({layer.name + ".bias", {out}, true});
        break;
      case LayerKind::linear:
        slots.push_back({layer.name + ".weight", {out, in}, true});
        if (layer.bias) slots.push_back({layer.name + ".bias", {out}, true});
        break;
      case LayerKind::batchnorm:
        if (layer.affine) scale_and_shift(layer.name, {in}, slots);
        slots.push_back({layer.name + ".running_mean", {in}, false, 0.0f});
        slots.push_back({layer.name + ".running_var", {in}, false, 1.0f});
        break;
      case LayerKind::groupnorm:
      case LayerKind::instancenorm:
        if (layer.affine) scale_and_shift(layer.name, {in}, slots);
        break;
      case LayerKind::layernorm: {
        const ActivationShape& s = layer.out;
        std::vector<std::int64_t> shape{s.channels};
        if (s.height != 1 || s.width != 1) shape = {s.channels, s.height, s.width};
        if (layer.affine) scale_and_shift(layer.name, shape, slots);
        break;
      }
      case LayerKind::prelu:
        slots.push_back({layer.name + ".weight", {layer.slopes}, true, 0.25f});
        break;
      case LayerKind::constant:
        slots.push_back({layer.name + ".value",
                         {layer.shape.channels, layer.shape.height, layer.shape.width},
                         false,
                         0.0f});
        break;
      case LayerKind::relu:
      case LayerKind::maxpool:
      case LayerKind::flatten:
      case LayerKind::normalize:
      case LayerKind::add:
      case LayerKind::global_avg_pool:
      case LayerKind::avgpool:
      case LayerKind::adaptive_avgpool:
      case LayerKind::adaptive_maxpool:
      case LayerKind::leaky_relu:
      case LayerKind::relu6:
      case LayerKind::elu:
      case LayerKind::silu:
      case LayerKind::sigmoid:
      case LayerKind::tanh:
      case LayerKind::gelu:
      case LayerKind::hardswish:
      case LayerKind::softmax:
      case LayerKind::concat:
      case LayerKind::mul:
      case LayerKind::sub:
      case LayerKind::reshape:
      case LayerKind::identity:
      case LayerKind::dropout:
        break;
    }
  }
  return slots;
}

Network initialise(NetworkSpec spec, std::uint64_t seed) {
  infer_shapes(spec);
  Network net{.spec = std::move(spec), .tensors = {}, .record = {}};
  std::uint32_t tensor_index = 0;
  std::size_t fan_in = 1;
  for (const TensorSlot& slot : tensor_slots(net.spec)) {
    Tensor tensor{slot.shape, std::vector<float>(element_count(slot.shape))};
    const bool is_weight = slot.name.ends_with(".weight");
    if (slot.start) {
      tensor.data.assign(tensor.data.size(), *slot.start);
    } else {
      // kaiming_uniform_(a = √5) on a weight and PyTorch's bias rule are both U(±1/√fan_in).
      if (is_weight) fan_in = tensor.data.size() / static_cast<std::size_t>(slot.shape[0]);
      const float bound = static_cast<float>(1.0 / std::sqrt(static_cast<double>(fan_in)));
      for (std::size_t i = 0; i < tensor.data.size(); ++i) {
        const auto words = device::philox_at(seed, static_cast<std::uint32_t>(Purpose::initialise),
                                             0, tensor_index, static_cast<std::uint32_t>(i / 4));
        tensor.data[i] = (2.0f * device::uniform01(words.v[i % 4]) - 1.0f) * bound;
      }
    }
    net.tensors.emplace(slot.name, std::move(tensor));
    ++tensor_index;
  }
  return net;
}

void validate(const Network& net, const std::string& where) {
  const auto slots = tensor_slots(net.spec);
  for (const TensorSlot& slot : slots) {
    const auto found = net.tensors.find(slot.name);
    if (found == net.tensors.end())
      throw Error(where + ": tensor '" + slot.name + "' is missing; network '" + net.spec.name +
                  "' expects shape " + text(slot.shape));
    const Tensor& tensor = found->second;
    if (tensor.shape != slot.shape || tensor.data.size() != element_count(slot.shape))
      throw Error(where + ": tensor '" + slot.name + "' has shape " + text(tensor.shape) +
                  ", network '" + net.spec.name + "' expects " + text(slot.shape));
    for (const float value : tensor.data)
      if (std::isnan(value))
        throw Error(where + ": tensor '" + slot.name +
                    "' holds NaN; the training that made it diverged, train again");
  }
  if (net.tensors.size() != slots.size())
    for (const auto& [name, tensor] : net.tensors) {
      bool expected = false;
      for (const TensorSlot& slot : slots) expected = expected || slot.name == name;
      if (!expected)
        throw Error(where + ": tensor '" + name + "' has no place in network '" + net.spec.name +
                    "'");
    }
}

std::uint64_t trainable_parameters(const NetworkSpec& spec) {
  std::uint64_t sum = 0;
  for (const TensorSlot& slot : tensor_slots(spec))
    if (slot.trainable) sum += element_count(slot.shape);
  return sum;
}

std::string model_hash(const Network& net) {
  Sha256 hash;
  hash.update(network_spec_json(net.spec));
  for (const auto& [name, tensor] : net.tensors) {  // std::map: sorted by name
    hash.update("\n" + name + text(tensor.shape));
    hash.update(std::span<const float>(tensor.data));
  }
  return hash.hex();
}

}  // namespace smoothcert
