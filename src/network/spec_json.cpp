// The JSON form of a network description (docs/network-format.md).
#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"
#include "util/json_depth.hpp"
#include "util/json_number.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {
namespace {

using Json = nlohmann::ordered_json;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

/// Layers of PyTorch that are near in spelling to another one here: gelu is no slip of relu.
bool exists_elsewhere(std::string_view op) {
  static constexpr std::string_view kElsewhere[] = {"swish",
                                                    "mish",
                                                    "selu",
                                                    "celu",
                                                    "rrelu",
                                                    "leakyrelu",
                                                    "softplus",
                                                    "hardtanh",
                                                    "hardsigmoid",
                                                    "log_softmax",
                                                    "localresponsenorm",
                                                    "rmsnorm",
                                                    "lppool",
                                                    "conv1d",
                                                    "conv3d",
                                                    "conv_transpose2d",
                                                    "bilinear",
                                                    "unflatten",
                                                    "div",
                                                    "cat",
                                                    "upsample",
                                                    "pixel_shuffle",
                                                    "attention",
                                                    "embedding"};
  return std::find(std::begin(kElsewhere), std::end(kElsewhere), op) != std::end(kElsewhere);
}

/// Reads one JSON object, field by field; a field nobody asked for is an error, so that a misspelt
/// "paddng" cannot silently mean 0.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) throw UsageError(where_ + ": expected an object {…}");
  }

  [[nodiscard]] const std::string& where() const { return where_; }
  bool has(const char* key) {
    known_.emplace_back(key);
    return object_.contains(key);
  }
  [[nodiscard]] bool is_text(const char* key) const {
    return object_.contains(key) && object_.at(key).is_string();
  }
  template <class T>
  T required(const char* key) {
    if (!has(key)) throw UsageError(where_ + ": '" + key + "' is missing");
    return value<T>(key);
  }
  template <class T>
  T optional(const char* key, T fallback) {
    return has(key) ? value<T>(key) : fallback;
  }
  /// A number for rows and columns, or [rows, columns]; `columns` stays empty where both are equal.
  void pair(const char* key, int& rows, std::optional<int>& columns) {
    has(key);
    if (!object_.contains(key)) throw UsageError(where_ + ": '" + key + "' is missing");
    if (!object_.at(key).is_array()) {
      rows = value<int>(key);
      return;
    }
    const auto both = value<std::vector<int>>(key);
    if (both.size() != 2)
      throw UsageError(where_ + ": '" + key + "' is a number or [rows, columns]");
    rows = both[0];
    if (both[1] != both[0]) columns = both[1];
  }
  void finish() const {
    for (const auto& [key, unused] : object_.items())
      if (std::find(known_.begin(), known_.end(), key) == known_.end())
        throw UsageError(where_ + ": " + unknown_name_message("field", key, known_));
  }

 private:
  /// Of an array's values; strings are left to the conversion.
  template <class T>
  static bool fits(const Json& json) {
    if constexpr (std::is_same_v<T, int>) return holds_whole<int>(json);
    if constexpr (std::is_same_v<T, float>)
      return json.is_number() && std::abs(json.get<double>()) <= std::numeric_limits<float>::max();
    return true;
  }

  template <class T>
  T value(const char* key) const {
    const Json& json = object_.at(key);
    bool right = false;
    if constexpr (std::is_same_v<T, bool>)
      right = json.is_boolean();
    else if constexpr (std::is_same_v<T, int>)
      right = holds_whole<int>(json);
    else if constexpr (std::is_floating_point_v<T>)
      right = json.is_number();
    else if constexpr (std::is_same_v<T, std::string>)
      right = json.is_string();
    else
      right =
          json.is_array() && std::all_of(json.begin(), json.end(), fits<typename T::value_type>);
    try {
      if (right) return json.get<T>();
    } catch (const nlohmann::json::exception&) {
      // falls through: an array of the wrong things
    }
    throw UsageError(where_ + ": '" + key +
                     "' has a value of the wrong type: " + json.dump().substr(0, 60));
  }

  const Json& object_;
  std::string where_;
  std::vector<std::string> known_;
};

int input_index(const NetworkSpec& spec, const std::string& name, const std::string& where) {
  if (name == "input") return -1;
  std::vector<std::string> names{"input"};
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    if (spec.layers[i].name == name) return static_cast<int>(i);
    if (!spec.layers[i].name.empty()) names.push_back(spec.layers[i].name);
  }
  throw UsageError(where + ": " + unknown_name_message("input", name, names));
}

/// kernel, stride, padding and dilation of a convolution or pooling.
void read_windows(Fields& fields, Layer& layer) {
  const bool pool = layer.kind != LayerKind::conv2d;
  fields.pair("kernel", layer.kernel, layer.kernel_x);
  if (fields.has("stride")) {
    fields.pair("stride", layer.stride, layer.stride_x);
  } else if (pool) {
    layer.stride = layer.kernel;
    layer.stride_x = layer.kernel_x;
  }
  if (!pool && fields.is_text("padding")) {
    const auto padding = fields.required<std::string>("padding");
    if (padding != "same" && padding != "valid")
      throw UsageError(fields.where() + ": 'padding' is a number, [rows, columns], \"same\" or " +
                       "\"valid\", not \"" + padding + "\"");
    layer.same_padding = padding == "same";
  } else if (fields.has("padding")) {
    fields.pair("padding", layer.padding, layer.padding_x);
  }
  if (layer.kind != LayerKind::avgpool && fields.has("dilation"))
    fields.pair("dilation", layer.dilation, layer.dilation_x);
}

Layer parse_layer(const Json& json, const NetworkSpec& spec, const std::string& where) {
  Fields fields(json, where);
  const auto op = fields.required<std::string>("op");
  Layer layer;
  if (exists_elsewhere(op))
    throw UsageError(where + ": op '" + op +
                     "' exists in PyTorch, but not here, and nothing here stands for it (known: " +
                     joined(all_names<LayerKind>()) + ")");
  layer.kind = from_name<LayerKind>(op, where);
  layer.name = fields.optional<std::string>("name", "");
  switch (layer.kind) {
    case LayerKind::conv2d:
      layer.out_channels = fields.required<int>("out_channels");
      read_windows(fields, layer);
      layer.groups = fields.optional<int>("groups", 1);
      layer.bias = fields.optional<bool>("bias", true);
      break;
    case LayerKind::linear:
      layer.out_channels = fields.required<int>("out_features");
      layer.bias = fields.optional<bool>("bias", true);
      break;
    case LayerKind::maxpool:
    case LayerKind::avgpool:
      read_windows(fields, layer);
      layer.ceil_mode = fields.optional<bool>("ceil_mode", false);
      if (layer.kind == LayerKind::avgpool)
        layer.count_include_pad = fields.optional<bool>("count_include_pad", true);
      break;
    case LayerKind::adaptive_avgpool:
    case LayerKind::adaptive_maxpool: {
      std::optional<int> width;
      fields.pair("output", layer.shape.height, width);
      layer.shape.channels = 1;
      layer.shape.width = width.value_or(layer.shape.height);
      break;
    }
    case LayerKind::batchnorm:
      layer.eps = fields.optional<double>("eps", 1e-5);
      layer.momentum = fields.optional<double>("momentum", 0.1);
      layer.affine = fields.optional<bool>("affine", true);
      break;
    case LayerKind::groupnorm:
      layer.groups = fields.required<int>("groups");
      layer.eps = fields.optional<double>("eps", 1e-5);
      layer.affine = fields.optional<bool>("affine", true);
      break;
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      layer.eps = fields.optional<double>("eps", 1e-5);
      layer.affine = fields.optional<bool>("affine", layer.kind == LayerKind::layernorm);
      break;
    case LayerKind::normalize:
      layer.mean = fields.required<std::vector<float>>("mean");
      layer.stddev = fields.required<std::vector<float>>("std");
      break;
    case LayerKind::leaky_relu:
      layer.alpha = fields.optional<double>("slope", 0.01);
      break;
    case LayerKind::elu:
      layer.alpha = fields.optional<double>("alpha", 1.0);
      break;
    case LayerKind::dropout:
      layer.alpha = fields.optional<double>("p", 0.5);
      break;
    case LayerKind::prelu:
      layer.slopes = fields.optional<int>("slopes", 1);
      break;
    case LayerKind::gelu: {
      const auto form = fields.optional<std::string>("approximate", "none");
      if (form != "none" && form != "tanh")
        throw UsageError(where + ": 'approximate' is \"none\" or \"tanh\", not \"" + form + "\"");
      layer.tanh_form = form == "tanh";
      break;
    }
    case LayerKind::reshape:
    case LayerKind::constant: {
      const auto shape = fields.required<std::vector<int>>("shape");
      if (shape.size() != 3)
        throw UsageError(where + ": 'shape' must be [channels, rows, columns]");
      layer.shape = {shape[0], shape[1], shape[2]};
      break;
    }
    case LayerKind::relu:
    case LayerKind::flatten:
    case LayerKind::add:
    case LayerKind::global_avg_pool:
    case LayerKind::relu6:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::hardswish:
    case LayerKind::softmax:
    case LayerKind::concat:
    case LayerKind::mul:
    case LayerKind::sub:
    case LayerKind::identity:
      break;
  }
  if (fields.has("inputs"))
    for (const auto& name : fields.required<std::vector<std::string>>("inputs"))
      layer.inputs.push_back(input_index(spec, name, where));
  else if (layer.kind != LayerKind::constant)
    layer.inputs = {static_cast<int>(spec.layers.size()) - 1};
  fields.finish();
  return layer;
}

Json pair_json(int rows, std::optional<int> columns) {
  if (!columns || *columns == rows) return rows;
  return Json{rows, *columns};
}

void write_windows(const Layer& layer, Json& out) {
  out["kernel"] = pair_json(layer.kernel, layer.kernel_x);
  out["stride"] = pair_json(layer.stride, layer.stride_x);
  if (layer.same_padding)
    out["padding"] = "same";
  else
    out["padding"] = pair_json(layer.padding, layer.padding_x);
  if (layer.dilation != 1 || layer.dilation_x)
    out["dilation"] = pair_json(layer.dilation, layer.dilation_x);
}

}  // namespace

NetworkSpec parse_network_spec(const std::string& text, const std::string& where) {
  Json json;
  try {
    json = Json::parse(text, limit_json_depth<Json>(where));
  } catch (const nlohmann::json::exception& e) {
    throw UsageError(where + ": not valid JSON: " + e.what());
  }
  Fields fields(json, where);
  NetworkSpec spec;
  spec.name = fields.required<std::string>("name");
  const auto input = fields.required<std::vector<int>>("input");
  if (input.size() != 3) throw UsageError(where + ": 'input' must be [channels, height, width]");
  spec.input = {input[0], input[1], input[2]};
  spec.classes = fields.required<int>("classes");
  const auto layers = fields.required<std::vector<Json>>("layers");
  fields.finish();
  if (layers.size() > 4096) throw UsageError(where + ": more than 4096 layers");
  for (std::size_t i = 0; i < layers.size(); ++i)
    spec.layers.push_back(parse_layer(layers[i], spec, where + ", layer " + std::to_string(i + 1)));
  infer_shapes(spec);
  return spec;
}

std::string network_spec_json(const NetworkSpec& spec) {
  Json json;
  json["name"] = spec.name;
  json["input"] = {spec.input.channels, spec.input.height, spec.input.width};
  json["classes"] = spec.classes;
  json["layers"] = Json::array();
  // A layer that another names as its input needs a name; nameless ones get one where it matters.
  const auto name_of = [&](int index) {
    if (index < 0) return std::string("input");
    const std::string& name = spec.layers[static_cast<std::size_t>(index)].name;
    return name.empty() ? "layer" + std::to_string(index + 1) : name;
  };
  std::vector<bool> referenced(spec.layers.size(), false);
  for (std::size_t i = 0; i < spec.layers.size(); ++i)
    if (spec.layers[i].inputs != std::vector<int>{static_cast<int>(i) - 1})
      for (const int input : spec.layers[i].inputs)
        if (input >= 0) referenced[static_cast<std::size_t>(input)] = true;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const Layer& layer = spec.layers[i];
    Json out;
    out["op"] = to_name(layer.kind);
    if (!layer.name.empty() || referenced[i]) out["name"] = name_of(static_cast<int>(i));
    switch (layer.kind) {
      case LayerKind::conv2d:
        out["out_channels"] = layer.out_channels;
        write_windows(layer, out);
        if (layer.groups != 1) out["groups"] = layer.groups;
        out["bias"] = layer.bias;
        break;
      case LayerKind::linear:
        out["out_features"] = layer.out_channels;
        out["bias"] = layer.bias;
        break;
      case LayerKind::maxpool:
      case LayerKind::avgpool:
        write_windows(layer, out);
        if (layer.ceil_mode) out["ceil_mode"] = true;
        if (!layer.count_include_pad) out["count_include_pad"] = false;
        break;
      case LayerKind::adaptive_avgpool:
      case LayerKind::adaptive_maxpool:
        out["output"] = {layer.shape.height, layer.shape.width};
        break;
      case LayerKind::batchnorm:
        out["eps"] = layer.eps;
        out["momentum"] = layer.momentum;
        if (!layer.affine) out["affine"] = false;
        break;
      case LayerKind::groupnorm:
        out["groups"] = layer.groups;
        out["eps"] = layer.eps;
        out["affine"] = layer.affine;
        break;
      case LayerKind::layernorm:
      case LayerKind::instancenorm:
        out["eps"] = layer.eps;
        out["affine"] = layer.affine;
        break;
      case LayerKind::normalize:
        out["mean"] = layer.mean;
        out["std"] = layer.stddev;
        break;
      case LayerKind::leaky_relu:
        out["slope"] = layer.alpha;
        break;
      case LayerKind::elu:
        out["alpha"] = layer.alpha;
        break;
      case LayerKind::dropout:
        out["p"] = layer.alpha;
        break;
      case LayerKind::prelu:
        out["slopes"] = layer.slopes;
        break;
      case LayerKind::gelu:
        out["approximate"] = layer.tanh_form ? "tanh" : "none";
        break;
      case LayerKind::reshape:
      case LayerKind::constant:
        out["shape"] = {layer.shape.channels, layer.shape.height, layer.shape.width};
        break;
      case LayerKind::relu:
      case LayerKind::flatten:
      case LayerKind::add:
      case LayerKind::global_avg_pool:
      case LayerKind::relu6:
      case LayerKind::silu:
      case LayerKind::sigmoid:
      case LayerKind::tanh:
      case LayerKind::hardswish:
      case LayerKind::softmax:
      case LayerKind::concat:
      case LayerKind::mul:
      case LayerKind::sub:
      case LayerKind::identity:
        break;
    }
    if (layer.kind != LayerKind::constant &&
        layer.inputs != std::vector<int>{static_cast<int>(i) - 1}) {
      out["inputs"] = Json::array();
      for (const int input : layer.inputs) out["inputs"].push_back(name_of(input));
    }
    json["layers"].push_back(std::move(out));
  }
  return json.dump();
}

}  // namespace smoothcert
