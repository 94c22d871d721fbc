// Normalisations and means of an ONNX graph.
#include <algorithm>

#include "checkpoint/onnx_constants.hpp"
#include "checkpoint/onnx_operators.hpp"

namespace smoothcert {
namespace {

using Part = OnnxActivation::Part;

/// A layer of the input's dims with scale and shift, which it does without where they do nothing.
OnnxActivation normalised(const OnnxContext& context, Layer layer, Tensor scale, Tensor shift) {
  const OnnxActivation& x = onnx_activation(context, 0);
  const auto all = [](const Tensor& t, float value) {
    return std::all_of(t.data.begin(), t.data.end(), [&](float v) { return v == value; });
  };
  layer.affine = !all(scale, 1) || !all(shift, 0);
  OnnxActivation out;
  if (layer.affine)
    out = context.builder.add(context.node, layer, {x},
                              {{"weight", std::move(scale)}, {"bias", std::move(shift)}},
                              context.node.input(1));
  else
    out = context.builder.add(context.node, layer, {x});
  out.dims = x.dims;
  return out;
}

OnnxActivation batch_norm(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  if (node.integer("training_mode", 0) != 0) node.fail("was exported in training mode");
  const OnnxActivation& x = onnx_activation(context, 0);
  if (x.dims.empty()) node.fail("its input has no channels");
  Layer layer;
  layer.kind = LayerKind::batchnorm;
  layer.eps = node.number("epsilon", 1e-5);
  layer.momentum = 1 - node.number("momentum", 0.9);
  std::map<std::string, Tensor> tensors;
  const char* const parts[] = {"weight", "bias", "running_mean", "running_var"};
  for (std::size_t i = 0; i < 4; ++i)
    tensors[parts[i]] = onnx_floats(context, onnx_constant(context, i + 1), {x.dims[0]});
  OnnxActivation out = context.builder.add(node, layer, {x}, std::move(tensors), node.input(1));
  out.dims = x.dims;
  return out;
}

OnnxActivation instance_norm(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  if (x.dims.size() < 2) context.node.fail("its input has no positions");
  Layer layer;
  layer.kind = LayerKind::instancenorm;
  layer.eps = context.node.number("epsilon", 1e-5);
  return normalised(context, layer, onnx_floats(context, onnx_constant(context, 1), {x.dims[0]}),
                    onnx_floats(context, onnx_constant(context, 2), {x.dims[0]}));
}

OnnxActivation group_norm(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  if (x.dims.empty()) context.node.fail("its input has no channels");
  const std::int64_t groups = context.node.integer("num_groups", 1);
  if (groups < 1 || x.dims[0] % groups != 0)
    context.node.fail("num_groups must divide its channels");
  Layer layer;
  layer.kind = LayerKind::groupnorm;
  layer.groups = static_cast<int>(groups);
  layer.eps = context.node.number("epsilon", 1e-5);
  const auto by_channel = [&](std::size_t i) {
    OnnxTensor t = onnx_constant(context, i);
    if (context.node.opset() < 21 && !t.whole &&
        t.floats.size() == static_cast<std::size_t>(groups)) {  // one for each group
      std::vector<float> all;
      for (std::int64_t c = 0; c < x.dims[0]; ++c)
        all.push_back(t.floats[static_cast<std::size_t>(c / (x.dims[0] / groups))]);
      t.floats = all;
    }
    return onnx_floats(context, t, {x.dims[0]});
  };
  return normalised(context, layer, by_channel(1), by_channel(2));
}

OnnxActivation layer_norm(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  if (onnx_axis(node, node.integer("axis", -1), x.dims.size() + 1) != 1)
    node.fail(
        "normalises parts of an image; only a layer normalisation of all its values is "
        "supported");
  std::vector<std::int64_t> shape = x.dims;
  const ActivationShape in = onnx_shape(node, x.dims);
  if (in.height == 1 && in.width == 1)
    shape = {in.channels};
  else
    shape = {in.channels, in.height, in.width};
  Layer layer;
  layer.kind = LayerKind::layernorm;
  layer.eps = node.number("epsilon", 1e-5);
  Tensor shift{shape, std::vector<float>(in.size())};
  if (const OnnxTensor* bias = onnx_optional(context, 2))
    shift = onnx_floats(context, *bias, shape);
  return normalised(context, layer, onnx_floats(context, onnx_constant(context, 1), shape),
                    std::move(shift));
}

OnnxActivation mean(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  auto axes = node.integers("axes");
  if (const OnnxTensor* given = onnx_optional(context, 1)) axes = given->ints;
  const bool keep = node.integer("keepdims", 1) != 0;
  const std::size_t rank = x.dims.size() + 1;
  std::vector<bool> over(rank);
  for (const std::int64_t axis : axes) over[onnx_axis(node, axis, rank)] = true;
  if (axes.empty() || over[0]) node.fail("takes a mean over the batch");
  const bool everything = std::all_of(over.begin() + 1, over.end(), [](bool v) { return v; });
  if (everything && keep && (x.part == Part::squares || x.part == Part::whole)) {
    OnnxActivation part = x;
    part.part = x.part == Part::squares ? Part::variance : Part::mean;
    part.multiple_of = -2;
    return part;
  }
  if (rank != 4 || over[1] || !over[2] || !over[3])
    node.fail("only a mean over rows and columns is supported");
  Layer layer;
  layer.kind = LayerKind::global_avg_pool;
  OnnxActivation out = context.builder.add(node, layer, {x});
  if (!keep) out.dims = {x.dims[0]};
  return out;
}

}  // namespace

bool apply_onnx_norms(const OnnxContext& context, std::vector<OnnxValue>& out) {
  const std::string& op = context.node.op();
  if (op == "BatchNormalization") {
    out = {batch_norm(context)};
  } else if (op == "InstanceNormalization") {
    out = {instance_norm(context)};
  } else if (op == "GroupNormalization") {
    out = {group_norm(context)};
  } else if (op == "LayerNormalization") {
    out = {layer_norm(context)};
  } else if (op == "ReduceMean") {
    out = {mean(context)};
  } else {
    return false;
  }
  return true;
}

}  // namespace smoothcert
