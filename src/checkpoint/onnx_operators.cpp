// The operators of ONNX that become layers: what they share, and the activation functions.
#include "checkpoint/onnx_operators.hpp"

#include <cmath>
#include <limits>

namespace smoothcert {

const OnnxActivation& onnx_activation(const OnnxContext& context, std::size_t i) {
  const auto* value = i < context.in.size() ? std::get_if<OnnxActivation>(context.in[i]) : nullptr;
  if (value == nullptr)
    context.node.fail("input " + std::to_string(i + 1) + " must depend on the image");
  return *value;
}

const OnnxTensor* onnx_optional(const OnnxContext& context, std::size_t i) {
  if (i >= context.in.size() || std::holds_alternative<std::monostate>(*context.in[i]))
    return nullptr;
  const auto* value = std::get_if<OnnxTensor>(context.in[i]);
  if (value == nullptr)
    context.node.fail("input " + std::to_string(i + 1) +
                      " depends on the image; only constants are supported there");
  return value;
}

const OnnxTensor& onnx_constant(const OnnxContext& context, std::size_t i) {
  const OnnxTensor* value = onnx_optional(context, i);
  if (value == nullptr) context.node.fail("input " + std::to_string(i + 1) + " is missing");
  return *value;
}

double onnx_number(const OnnxContext& context, const OnnxTensor& tensor) {
  if (tensor.size() != 1) context.node.fail("needs one number where it has several");
  return tensor.whole ? static_cast<double>(tensor.ints[0]) : double{tensor.floats[0]};
}

Tensor onnx_floats(const OnnxContext& context, const OnnxTensor& tensor,
                   std::vector<std::int64_t> shape) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) count *= static_cast<std::size_t>(extent);
  if (tensor.whole || tensor.floats.size() != count)
    context.node.fail("needs " + std::to_string(count) + " floats for its parameters, found " +
                      std::to_string(tensor.size()));
  return {std::move(shape), tensor.floats};
}

OnnxActivation onnx_select(const OnnxContext& context, const OnnxActivation& x,
                           const std::vector<std::int64_t>& channels) {
  const ActivationShape shape = onnx_shape(context.node, x.dims);
  const auto from = static_cast<std::size_t>(shape.channels);
  if (channels.empty() || channels.size() * from > (std::size_t{1} << 24))
    context.node.fail("selects no channels, or too many");
  Tensor weight{{static_cast<std::int64_t>(channels.size()), shape.channels, 1, 1},
                std::vector<float>(channels.size() * from)};
  for (std::size_t i = 0; i < channels.size(); ++i)
    weight.data[i * from + static_cast<std::size_t>(channels[i])] = 1;
  Layer layer;
  layer.kind = LayerKind::conv2d;
  layer.out_channels = static_cast<int>(channels.size());
  layer.kernel = 1;
  layer.bias = false;
  OnnxActivation out = context.builder.add(context.node, layer, {x}, {{"weight", weight}});
  out.dims = x.dims;
  out.dims[0] = static_cast<std::int64_t>(channels.size());
  return out;
}

OnnxActivation onnx_crop(const OnnxContext& context, const OnnxActivation& x, const OnnxCrop& rows,
                         const OnnxCrop& columns) {
  const ActivationShape shape = onnx_shape(context.node, x.dims);
  // A convolution of each channel with a single one in its window moves, pads, cuts and thins it.
  struct Axis {
    std::int64_t kernel, padding, one;
  };
  const auto axis = [&](const OnnxCrop& c, std::int64_t extent) {
    const std::int64_t before = std::max<std::int64_t>(0, -c.first);
    const std::int64_t last = c.first + (c.count - 1) * c.step;
    const std::int64_t after = std::max<std::int64_t>(0, last - (extent - 1));
    const std::int64_t padding = before + after;
    return Axis{extent + 2 * padding - (c.count - 1) * c.step, padding, c.first + padding};
  };
  const Axis y = axis(rows, shape.height), x_axis = axis(columns, shape.width);
  if (rows.count < 1 || columns.count < 1 || y.kernel > 4096 || x_axis.kernel > 4096 ||
      shape.channels * y.kernel * x_axis.kernel > (std::int64_t{1} << 24))
    context.node.fail("cuts away everything, or pads too far");
  const auto window = static_cast<std::size_t>(y.kernel * x_axis.kernel);
  Tensor weight{{shape.channels, 1, y.kernel, x_axis.kernel},
                std::vector<float>(static_cast<std::size_t>(shape.channels) * window)};
  for (std::size_t c = 0; c < static_cast<std::size_t>(shape.channels); ++c)
    weight.data[c * window + static_cast<std::size_t>(y.one * x_axis.kernel + x_axis.one)] = 1;
  Layer layer;
  layer.kind = LayerKind::conv2d;
  layer.out_channels = layer.groups = shape.channels;
  layer.kernel = static_cast<int>(y.kernel);
  layer.kernel_x = static_cast<int>(x_axis.kernel);
  layer.stride = static_cast<int>(rows.step);
  layer.stride_x = static_cast<int>(columns.step);
  layer.padding = static_cast<int>(y.padding);
  layer.padding_x = static_cast<int>(x_axis.padding);
  layer.bias = false;
  return context.builder.add(context.node, layer, {x}, {{"weight", weight}});
}

namespace {

OnnxActivation plain(const OnnxContext& context, LayerKind kind, double alpha = 0,
                     bool tanh_form = false) {
  const OnnxActivation& x = onnx_activation(context, 0);
  Layer layer;
  layer.kind = kind;
  layer.alpha = alpha;
  layer.tanh_form = tanh_form;
  OnnxActivation out = context.builder.add(context.node, layer, {x});
  out.dims = x.dims;
  return out;
}

OnnxActivation of(const OnnxContext& context, const OnnxActivation& x, LayerKind kind) {
  Layer layer;
  layer.kind = kind;
  OnnxActivation out = context.builder.add(context.node, layer, {x});
  out.dims = x.dims;
  return out;
}

OnnxActivation clip(const OnnxContext& context, const OnnxActivation& x, double low, double high,
                    bool alone) {
  if (!(low <= high)) context.node.fail("clips to an empty range");
  const bool below = low > -3e38, above = high < 3e38;
  if (low == 0 && !above) return of(context, x, LayerKind::relu);
  if (low == 0 && high == 6) return of(context, x, LayerKind::relu6);
  OnnxBuilder& b = context.builder;
  const OnnxNode& node = context.node;
  if (!below && !above) return x;
  if (!above)  // low + relu(x − low)
    return b.affine(node, of(context, b.affine(node, x, {1}, {-low}, alone), LayerKind::relu), {1},
                    {low}, false);
  if (!below)  // high − relu(high − x)
    return b.affine(node, of(context, b.affine(node, x, {-1}, {high}, alone), LayerKind::relu),
                    {-1}, {high}, false);
  if (low == high) context.node.fail("clips to one value");
  const double scale = 6 / (high - low);  // low + relu6((x − low)·scale)/scale
  return b.affine(node,
                  of(context, b.affine(node, x, {scale}, {-low * scale}, alone), LayerKind::relu6),
                  {1 / scale}, {low}, false);
}

OnnxActivation clip(const OnnxContext& context) {
  const auto bound = [&](std::size_t i, double otherwise) {
    const OnnxTensor* t = onnx_optional(context, i);
    return t == nullptr ? otherwise : onnx_number(context, *t);
  };
  const double infinity = std::numeric_limits<double>::infinity();
  return clip(context, onnx_activation(context, 0), bound(1, -infinity), bound(2, infinity),
              context.alone[0]);
}

/// Min or Max of a value and a number.
OnnxActivation bounded(const OnnxContext& context) {
  if (context.in.size() != 2) context.node.fail("needs two inputs");
  const std::size_t x = std::holds_alternative<OnnxActivation>(*context.in[0]) ? 0 : 1;
  const double bound = onnx_number(context, onnx_constant(context, 1 - x));
  const double infinity = std::numeric_limits<double>::infinity();
  const bool above = context.node.op() == "Min";
  return clip(context, onnx_activation(context, x), above ? -infinity : bound,
              above ? bound : infinity, context.alone[x]);
}

OnnxActivation hard_sigmoid(const OnnxContext& context) {
  const double alpha = context.node.number("alpha", 0.2), beta = context.node.number("beta", 0.5);
  // 1/6 is a float in the file, and three times it is no half.
  const double slope = std::fabs(alpha - 1.0 / 6) < 1e-7 ? 1.0 / 6 : alpha;
  const OnnxActivation x = context.builder.affine(context.node, onnx_activation(context, 0),
                                                  {slope * 6}, {beta * 6}, context.alone[0]);
  return context.builder.affine(context.node, of(context, x, LayerKind::relu6), {1.0 / 6}, {0},
                                false);
}

OnnxActivation prelu(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  const OnnxTensor& slopes = onnx_constant(context, 1);
  const ActivationShape shape = onnx_shape(context.node, x.dims);
  const auto count = static_cast<std::int64_t>(slopes.size());
  // Aligned at the end: C×1×1 for an image, C for features.
  const bool by_channel =
      count == shape.channels &&
      (x.dims.size() == 1 ||
       (slopes.shape.size() == x.dims.size() && slopes.shape.front() == shape.channels) ||
       (slopes.shape.size() == x.dims.size() + 1 && slopes.shape[1] == shape.channels));
  if (count != 1 && !by_channel)
    context.node.fail("its slopes are neither one nor one for each channel");
  Layer layer;
  layer.kind = LayerKind::prelu;
  layer.slopes = static_cast<int>(count);
  OnnxActivation out = context.builder.add(context.node, layer, {x},
                                           {{"weight", onnx_floats(context, slopes, {count})}},
                                           context.node.input(1));
  out.dims = x.dims;
  return out;
}

OnnxActivation softmax(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  const auto rank = static_cast<std::int64_t>(x.dims.size()) + 1;
  std::int64_t axis = context.node.integer("axis", context.node.opset() < 13 ? 1 : -1);
  if (axis < 0) axis += rank;
  if (axis != 1 || (context.node.opset() < 13 && rank != 2))
    context.node.fail("only a softmax over the channels is supported");
  return plain(context, LayerKind::softmax);
}

OnnxActivation erf(const OnnxContext& context) {
  OnnxActivation x = onnx_activation(context, 0);
  if (x.multiple_of == -2 || std::fabs(x.factor - std::sqrt(0.5)) > 1e-6)
    context.node.fail("erf is supported as a part of GELU, of x/√2, alone");
  OnnxActivation part;
  part.layer = x.multiple_of;
  part.dims = x.dims;
  part.part = OnnxActivation::Part::erf;
  return part;
}

}  // namespace

bool apply_onnx_activation(const OnnxContext& context, std::vector<OnnxValue>& out) {
  const OnnxNode& node = context.node;
  const std::string& op = node.op();
  const auto give = [&](OnnxActivation value) {
    out = {std::move(value)};
    return true;
  };
  if (op == "Relu") return give(plain(context, LayerKind::relu));
  if (op == "LeakyRelu")
    return give(plain(context, LayerKind::leaky_relu, node.number("alpha", 0.01)));
  if (op == "Elu") return give(plain(context, LayerKind::elu, node.number("alpha", 1)));
  if (op == "Sigmoid") return give(plain(context, LayerKind::sigmoid));
  if (op == "Tanh") return give(plain(context, LayerKind::tanh));
  if (op == "HardSwish") return give(plain(context, LayerKind::hardswish));
  if (op == "Gelu") {
    const std::string how = node.text("approximate", "none");
    if (how != "none" && how != "tanh") node.fail("approximate '" + how + "' is not known");
    return give(plain(context, LayerKind::gelu, 0, how == "tanh"));
  }
  if (op == "Swish" && node.number("alpha", 1) == 1) return give(plain(context, LayerKind::silu));
  if (op == "PRelu") return give(prelu(context));
  if (op == "Clip") return give(clip(context));
  if (op == "Min" || op == "Max") return give(bounded(context));
  if (op == "HardSigmoid") return give(hard_sigmoid(context));
  if (op == "Softmax") return give(softmax(context));
  if (op == "Erf") return give(erf(context));
  return false;
}

std::vector<OnnxValue> apply_onnx_node(const OnnxContext& context) {
  std::vector<OnnxValue> out;
  if (apply_onnx_activation(context, out) || apply_onnx_arithmetic(context, out) ||
      apply_onnx_windows(context, out) || apply_onnx_shapes(context, out) ||
      apply_onnx_norms(context, out))
    return out;
  context.node.fail("this operator is not supported; docs/network-format.md lists those that are");
}

}  // namespace smoothcert
