// Convolutions, poolings, linear layers and padding of an ONNX graph.
#include <algorithm>

#include "checkpoint/onnx_constants.hpp"
#include "checkpoint/onnx_operators.hpp"

namespace smoothcert {
namespace {

/// One axis of a window as ONNX says it.
struct Axis {
  std::int64_t kernel = 1, stride = 1, dilation = 1, before = 0, after = 0;
};
struct Axes {
  Axis y, x;
};

int small(const OnnxContext& context, std::int64_t value) {
  if (value < 0 || value > 65536) context.node.fail("a size is out of range");
  return static_cast<int>(value);
}

/// kernel_shape, strides, dilations, pads and auto_pad over a value of two axes.
Axes axes_of(const OnnxContext& context, const OnnxActivation& x,
             const std::vector<std::int64_t>& kernel) {
  const OnnxNode& node = context.node;
  if (x.dims.size() != 3 || kernel.size() != 2)
    node.fail("only windows over rows and columns are supported");
  const auto pair = [&](const char* name) {
    auto values = node.integers(name);
    if (values.empty()) values = {1, 1};
    if (values.size() != 2) node.fail(std::string(name) + " needs two numbers");
    return values;
  };
  const auto strides = pair("strides"), dilations = pair("dilations");
  auto pads = node.integers("pads");
  const std::string automatic = node.text("auto_pad", "NOTSET");
  if (automatic == "VALID" || pads.empty()) pads = {0, 0, 0, 0};
  if (pads.size() != 4) node.fail("pads needs four numbers");
  Axes axes{{kernel[0], strides[0], dilations[0], pads[0], pads[2]},
            {kernel[1], strides[1], dilations[1], pads[1], pads[3]}};
  const std::int64_t extents[] = {x.dims[1], x.dims[2]};
  Axis* const both[] = {&axes.y, &axes.x};
  for (int i = 0; i < 2; ++i) {
    Axis& a = *both[i];
    for (const std::int64_t v : {a.kernel, a.stride, a.dilation, a.before, a.after})
      small(context, v);
    if (a.kernel < 1 || a.stride < 1 || a.dilation < 1) node.fail("a size is out of range");
    if (automatic == "SAME_UPPER" || automatic == "SAME_LOWER") {
      const std::int64_t out = (extents[i] + a.stride - 1) / a.stride;
      const std::int64_t total = std::max<std::int64_t>(
          0, (out - 1) * a.stride + a.dilation * (a.kernel - 1) + 1 - extents[i]);
      a.before = automatic == "SAME_UPPER" ? total / 2 : total - total / 2;
      a.after = total - a.before;
    } else if (automatic != "NOTSET" && automatic != "VALID") {
      node.fail("auto_pad '" + automatic + "' is not known");
    }
  }
  return axes;
}

void set_windows(const OnnxContext& context, Layer& layer, const Axes& axes) {
  const Axis &y = axes.y, &x = axes.x;
  layer.kernel = small(context, y.kernel);
  layer.stride = small(context, y.stride);
  layer.dilation = small(context, y.dilation);
  layer.padding = small(context, y.before);
  if (x.kernel != y.kernel) layer.kernel_x = small(context, x.kernel);
  if (x.stride != y.stride) layer.stride_x = small(context, x.stride);
  if (x.dilation != y.dilation) layer.dilation_x = small(context, x.dilation);
  if (x.before != y.before) layer.padding_x = small(context, x.before);
}

OnnxActivation conv(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  OnnxActivation x = onnx_activation(context, 0);
  const OnnxTensor& weight = onnx_constant(context, 1);
  const OnnxTensor* bias = onnx_optional(context, 2);
  if (weight.shape.size() != 4) node.fail("only convolutions over rows and columns are supported");
  auto kernel = node.integers("kernel_shape");
  if (kernel.empty()) kernel = {weight.shape[2], weight.shape[3]};
  if (kernel != std::vector<std::int64_t>{weight.shape[2], weight.shape[3]})
    node.fail("its kernel_shape is not that of its weights");
  Axes axes = axes_of(context, x, kernel);
  // Padding that a layer here does not have, more of it on one side or wider than the window, is a
  // step of its own.
  const auto fits = [](const Axis& a) {
    return a.before == a.after && a.before <= a.dilation * (a.kernel - 1);
  };
  Layer layer;
  layer.kind = LayerKind::conv2d;
  if (!fits(axes.y) || !fits(axes.x)) {
    const auto padded = [](Axis& a, std::int64_t extent) {
      const OnnxCrop crop{-a.before, extent + a.before + a.after, 1};
      a.before = a.after = 0;
      return crop;
    };
    const OnnxCrop rows = padded(axes.y, x.dims[1]), columns = padded(axes.x, x.dims[2]);
    x = onnx_crop(context, x, rows, columns);
  }
  set_windows(context, layer, axes);
  layer.groups = small(context, node.integer("group", 1));
  layer.out_channels = small(context, weight.shape[0]);
  layer.bias = bias != nullptr;
  if (layer.groups < 1 || weight.shape[1] * layer.groups != x.dims[0])
    node.fail("its weights do not fit its input");
  std::map<std::string, Tensor> tensors{{"weight", onnx_floats(context, weight, weight.shape)}};
  if (bias != nullptr) tensors["bias"] = onnx_floats(context, *bias, {weight.shape[0]});
  return context.builder.add(node, layer, {x}, std::move(tensors), node.input(1));
}

OnnxActivation pool(const OnnxContext& context, LayerKind kind) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  const Axes axes = axes_of(context, x, node.integers("kernel_shape"));
  if (axes.y.before != axes.y.after || axes.x.before != axes.x.after)
    node.fail("pads more on one side than on the other");
  if (node.proto().output_size() > 1 && !node.proto().output(1).empty())
    node.fail("its indices are not supported");
  Layer layer;
  layer.kind = kind;
  set_windows(context, layer, axes);
  layer.ceil_mode = node.integer("ceil_mode", 0) != 0;
  if (kind == LayerKind::avgpool)
    layer.count_include_pad = node.integer("count_include_pad", 0) != 0;
  if (kind == LayerKind::avgpool && (axes.y.dilation != 1 || axes.x.dilation != 1))
    node.fail("an average over dilated windows is not supported");
  return context.builder.add(node, layer, {x});
}

OnnxActivation global_pool(const OnnxContext& context, LayerKind kind) {
  const OnnxActivation& x = onnx_activation(context, 0);
  Layer layer;
  layer.kind = kind;
  layer.shape = {0, 1, 1};
  OnnxActivation out = context.builder.add(context.node, layer, {x});
  out.dims = x.dims;
  for (std::size_t i = 1; i < out.dims.size(); ++i) out.dims[i] = 1;
  return out;
}

/// A linear layer of `weight`, out × in.
OnnxActivation linear(const OnnxContext& context, const OnnxActivation& x, Tensor weight,
                      std::optional<Tensor> bias, const std::string& name) {
  if (x.dims.size() != 1)
    context.node.fail(
        "multiplies matrices of each image, as in attention; only layers over flat features are "
        "supported");
  if (weight.shape[1] != x.dims[0]) context.node.fail("its weights do not fit its input");
  Layer layer;
  layer.kind = LayerKind::linear;
  layer.out_channels = small(context, weight.shape[0]);
  layer.bias = bias.has_value();
  std::map<std::string, Tensor> tensors{{"weight", std::move(weight)}};
  if (bias) tensors["bias"] = *std::move(bias);
  OnnxActivation out = context.builder.add(context.node, layer, {x}, std::move(tensors), name);
  out.dims.resize(1);
  return out;
}

Tensor transposed(const OnnxContext& context, const OnnxTensor& t, bool turn) {
  if (t.shape.size() != 2) context.node.fail("needs a matrix of weights");
  const Tensor m = onnx_floats(context, t, t.shape);
  if (!turn) return m;
  Tensor out{{m.shape[1], m.shape[0]}, std::vector<float>(m.data.size())};
  const auto rows = static_cast<std::size_t>(m.shape[0]);
  const auto columns = static_cast<std::size_t>(m.shape[1]);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t c = 0; c < columns; ++c) out.data[c * rows + r] = m.data[r * columns + c];
  return out;
}

OnnxActivation gemm(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  if (node.integer("transA", 0) != 0) node.fail("transA is not supported");
  Tensor weight = transposed(context, onnx_constant(context, 1), node.integer("transB", 0) == 0);
  const auto scaled = [](Tensor& t, double by) {
    if (by != 1)
      for (float& v : t.data) v = static_cast<float>(v * by);
  };
  scaled(weight, node.number("alpha", 1));
  std::optional<Tensor> bias;
  if (const OnnxTensor* c = onnx_optional(context, 2)) {
    OnnxTensor all = *c;
    if (!all.whole && all.floats.size() == 1)
      all.floats.assign(static_cast<std::size_t>(weight.shape[0]), all.floats[0]);
    bias = onnx_floats(context, all, {weight.shape[0]});
    scaled(*bias, node.number("beta", 1));
  }
  return linear(context, onnx_activation(context, 0), std::move(weight), std::move(bias),
                node.input(1));
}

OnnxActivation pad(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  const std::string mode = node.text("mode", "constant");
  if (mode != "constant") node.fail("pads by '" + mode + "'; only zeros are supported");
  const OnnxTensor& pads = onnx_constant(context, 1);
  if (const OnnxTensor* value = onnx_optional(context, 2);
      value != nullptr && value->size() > 0 && onnx_number(context, *value) != 0)
    node.fail("pads with a number that is not 0");
  const std::size_t rank = x.dims.size() + 1;
  std::vector<std::int64_t> axes;
  if (const OnnxTensor* which = onnx_optional(context, 3)) {
    axes = which->ints;
  } else {
    for (std::size_t i = 0; i < rank; ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (!pads.whole || pads.ints.size() != 2 * axes.size()) node.fail("its pads do not fit its axes");
  std::vector<std::int64_t> before(rank), after(rank);
  for (std::size_t i = 0; i < axes.size(); ++i) {
    const std::size_t axis = onnx_axis(node, axes[i], rank);
    before[axis] = pads.ints[i];
    after[axis] = pads.ints[axes.size() + i];
    if (before[axis] < -65536 || before[axis] > 65536 || after[axis] < -65536 ||
        after[axis] > 65536)
      node.fail("a size is out of range");
  }
  if (before[0] != 0 || after[0] != 0) node.fail("pads the batch");
  OnnxActivation out = x;
  if (rank > 2 && (before[1] != 0 || after[1] != 0)) {
    if (before[1] < 0 || after[1] < 0) node.fail("cuts channels away");
    std::vector<OnnxActivation> parts;
    const auto zeros = [&](std::int64_t channels) {
      if (channels == 0) return;
      auto dims = x.dims;
      dims[0] = channels;
      const ActivationShape shape = onnx_shape(node, dims);
      parts.push_back(context.builder.constant(node, shape, std::vector<float>(shape.size())));
    };
    zeros(before[1]);
    parts.push_back(x);
    zeros(after[1]);
    Layer layer;
    layer.kind = LayerKind::concat;
    out = context.builder.add(node, layer, parts);
    auto dims = x.dims;
    dims[0] += before[1] + after[1];
    out.dims = dims;
  } else if (rank == 2 && (before[1] != 0 || after[1] != 0)) {
    node.fail("pads features");
  }
  if (rank != 4) return out;
  const OnnxCrop rows{-before[2], x.dims[1] + before[2] + after[2], 1};
  const OnnxCrop columns{-before[3], x.dims[2] + before[3] + after[3], 1};
  if (before[2] == 0 && after[2] == 0 && before[3] == 0 && after[3] == 0) return out;
  return onnx_crop(context, out, rows, columns);
}

}  // namespace

bool apply_onnx_windows(const OnnxContext& context, std::vector<OnnxValue>& out) {
  const std::string& op = context.node.op();
  if (op == "Conv") {
    out = {conv(context)};
  } else if (op == "MaxPool") {
    out = {pool(context, LayerKind::maxpool)};
  } else if (op == "AveragePool") {
    out = {pool(context, LayerKind::avgpool)};
  } else if (op == "GlobalAveragePool") {
    out = {global_pool(context, LayerKind::global_avg_pool)};
  } else if (op == "GlobalMaxPool") {
    out = {global_pool(context, LayerKind::adaptive_maxpool)};
  } else if (op == "Gemm") {
    out = {gemm(context)};
  } else if (op == "MatMul") {
    out = {linear(context, onnx_activation(context, 0),
                  transposed(context, onnx_constant(context, 1), true), std::nullopt,
                  context.node.input(1))};
  } else if (op == "Pad") {
    out = {pad(context)};
  } else {
    return false;
  }
  return true;
}

}  // namespace smoothcert
