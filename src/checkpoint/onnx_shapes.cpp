// Operators of an ONNX graph that move values about: shapes, channels, parts, concatenations.
#include <algorithm>
#include <numeric>

#include "checkpoint/onnx_constants.hpp"
#include "checkpoint/onnx_operators.hpp"

namespace smoothcert {
namespace {

std::int64_t product(const std::vector<std::int64_t>& dims) {
  return std::accumulate(dims.begin(), dims.end(), std::int64_t{1}, std::multiplies<>());
}

std::vector<std::int64_t> with_batch(const OnnxActivation& x) {
  std::vector<std::int64_t> shape{kOnnxBatch};
  shape.insert(shape.end(), x.dims.begin(), x.dims.end());
  return shape;
}

/// x under other dims of as many values.
OnnxActivation renamed(const OnnxActivation& x, std::vector<std::int64_t> dims) {
  OnnxActivation out = x;
  out.dims = std::move(dims);
  out.multiple_of = -2;
  return out;
}

OnnxActivation reshape(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  const OnnxTensor& wanted = onnx_constant(context, 1);
  if (!wanted.whole || wanted.ints.empty()) node.fail("its shape must be whole numbers");
  const std::vector<std::int64_t> old = with_batch(x);
  std::vector<std::int64_t> shape = wanted.ints;
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] == 0 && node.integer("allowzero", 0) == 0) {
      if (i >= old.size()) node.fail("copies an extent that its input lacks");
      shape[i] = old[i];
    }
  std::vector<std::int64_t> dims(shape.begin() + 1, shape.end());
  const std::int64_t size = product(x.dims);
  std::int64_t known = 1;
  int unknown = shape[0] == -1 ? 1 : 0;
  for (const std::int64_t d : dims) {
    if (d == -1) {
      ++unknown;
    } else if (d < 1 || known > size) {
      node.fail("its shape does not keep images apart");
    } else {
      known *= d;
    }
  }
  if (unknown > 1 || known > size || size % known != 0)
    node.fail("its shape does not fit its input");
  for (std::int64_t& d : dims)
    if (d == -1) d = size / known;
  // The first extent is the batch: named, left to follow, or the number that the graph was exported
  // with, which is right where the others make up an image.
  if (product(dims) != size) node.fail("its shape does not keep images apart");
  return renamed(x, dims);
}

OnnxActivation flatten(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  std::int64_t axis = context.node.integer("axis", 1);
  if (axis < 0) axis += static_cast<std::int64_t>(x.dims.size()) + 1;
  if (axis != 1) context.node.fail("only a flatten from axis 1 keeps images apart");
  return renamed(x, {product(x.dims)});
}

std::vector<std::int64_t> axes_of(const OnnxContext& context) {
  if (const OnnxTensor* axes = onnx_optional(context, 1)) return axes->ints;
  return context.node.integers("axes");
}

OnnxActivation squeeze(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  const auto axes = axes_of(context);
  std::vector<std::int64_t> dims;
  for (std::size_t i = 0; i < x.dims.size(); ++i) {
    bool gone = axes.empty() && x.dims[i] == 1;
    for (const std::int64_t axis : axes)
      gone = gone || onnx_axis(context.node, axis, x.dims.size() + 1) == i + 1;
    if (gone && x.dims[i] != 1) context.node.fail("squeezes an axis of more than one value");
    if (!gone) dims.push_back(x.dims[i]);
  }
  for (const std::int64_t axis : axes)
    if (onnx_axis(context.node, axis, x.dims.size() + 1) == 0)
      context.node.fail("squeezes the batch");
  return renamed(x, dims);
}

OnnxActivation unsqueeze(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  const auto axes = axes_of(context);
  const std::size_t rank = x.dims.size() + 1 + axes.size();
  if (rank > 64) context.node.fail("adds too many axes");
  std::vector<bool> added(rank);
  for (const std::int64_t axis : axes) added[onnx_axis(context.node, axis, rank)] = true;
  if (added[0]) context.node.fail("adds an axis before the batch");
  std::vector<std::int64_t> dims;
  std::size_t next = 0;
  for (std::size_t i = 1; i < rank; ++i)
    dims.push_back(added[i] || next >= x.dims.size() ? 1 : x.dims[next++]);
  return renamed(x, dims);
}

OnnxActivation transpose(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  const std::size_t rank = x.dims.size();
  const auto perm = node.integers("perm");
  if (perm.size() != rank + 1 || perm[0] != 0)
    node.fail("moves the batch away from the first axis");
  std::vector<std::size_t> order;
  std::vector<bool> seen(rank);
  for (std::size_t i = 1; i < perm.size(); ++i) {
    if (perm[i] < 1 || perm[i] > static_cast<std::int64_t>(rank) ||
        seen[static_cast<std::size_t>(perm[i] - 1)])
      node.fail("perm is no permutation of its input's axes");
    order.push_back(static_cast<std::size_t>(perm[i] - 1));
    seen[order.back()] = true;
  }
  std::vector<std::int64_t> dims;
  for (const std::size_t axis : order) dims.push_back(x.dims[axis]);
  // Nothing moves where the axes of more than one value stay in their order.
  std::vector<std::size_t> moved;
  for (const std::size_t axis : order)
    if (x.dims[axis] != 1) moved.push_back(axis);
  if (std::is_sorted(moved.begin(), moved.end())) return renamed(x, dims);
  // Leading axes that change places above others that stay: channels in another order, as in a
  // channel shuffle.
  std::size_t leading = rank;
  while (leading > 0 && order[leading - 1] == leading - 1) --leading;
  std::vector<std::int64_t> lead(x.dims.begin(),
                                 x.dims.begin() + static_cast<std::ptrdiff_t>(leading));
  const std::int64_t channels = product(lead), rest = product(x.dims) / channels;
  if (rank < 4 || leading != 2)
    node.fail(
        "moves rows, columns or features about, as in attention; only a shuffle of channels "
        "is supported");
  std::vector<std::int64_t> from;
  for (std::int64_t i = 0; i < lead[1]; ++i)
    for (std::int64_t j = 0; j < lead[0]; ++j) from.push_back(j * lead[1] + i);
  OnnxActivation out = onnx_select(context, renamed(x, {channels, rest}), from);
  return renamed(out, dims);
}

OnnxActivation concat(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  std::size_t rank = 0;
  for (const OnnxValue* value : context.in)
    if (const auto* x = std::get_if<OnnxActivation>(value)) rank = x->dims.size() + 1;
  if (onnx_axis(node, node.integer("axis", 1), rank) != 1)
    node.fail("only a concatenation of channels is supported");
  std::vector<OnnxActivation> parts;
  std::vector<std::int64_t> dims;
  for (std::size_t i = 0; i < context.in.size(); ++i) {
    if (const auto* t = std::get_if<OnnxTensor>(context.in[i])) {
      if (t->shape.size() != rank || t->shape[0] != 1)
        node.fail("joins each image with a constant that differs between images");
      const ActivationShape shape = onnx_shape(node, {t->shape.begin() + 1, t->shape.end()});
      const Tensor values = onnx_floats(context, *t, {static_cast<std::int64_t>(shape.size())});
      parts.push_back(context.builder.constant(node, shape, values.data));
      parts.back().dims.resize(rank - 1);
    } else {
      parts.push_back(onnx_activation(context, i));
    }
    const auto& own = parts.back().dims;
    if (own.size() + 1 != rank || own.empty()) node.fail("joins values of different ranks");
    if (dims.empty()) {
      dims = own;
    } else {
      if (!std::equal(own.begin() + 1, own.end(), dims.begin() + 1))
        node.fail("joins values of different shapes");
      dims[0] += own[0];
    }
  }
  if (parts.size() == 1) return parts[0];
  Layer layer;
  layer.kind = LayerKind::concat;
  OnnxActivation out = context.builder.add(node, layer, parts);
  out.dims = dims;
  return out;
}

/// Values first, first + step, … of one axis of an image.
OnnxActivation taken(const OnnxContext& context, const OnnxActivation& x, std::size_t axis,
                     const OnnxSlice& part) {
  if (part.count == x.dims[axis] && part.step == 1) return x;
  if (part.count < 1) context.node.fail("takes nothing of its input");
  if (axis == 0) {
    std::vector<std::int64_t> channels;
    for (std::int64_t i = 0; i < part.count; ++i) channels.push_back(part.first + i * part.step);
    return onnx_select(context, x, channels);
  }
  if (part.step < 1 || x.dims.size() != 3)
    context.node.fail("only slices of channels, rows and columns are supported");
  const OnnxCrop crop{part.first, part.count, part.step}, all_rows{0, x.dims[1], 1},
      all_columns{0, x.dims[2], 1};
  return onnx_crop(context, x, axis == 1 ? crop : all_rows, axis == 2 ? crop : all_columns);
}

OnnxActivation slice(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  OnnxActivation x = onnx_activation(context, 0);
  const auto numbers = [&](std::size_t i) { return onnx_constant(context, i).ints; };
  const auto starts = numbers(1), ends = numbers(2);
  std::vector<std::int64_t> axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  if (onnx_optional(context, 3) != nullptr) axes = numbers(3);
  if (onnx_optional(context, 4) != nullptr) steps = numbers(4);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    node.fail("its starts, ends, axes and steps differ in number");
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t axis = onnx_axis(node, axes[i], x.dims.size() + 1);
    if (axis == 0) {
      if (starts[i] != 0 || ends[i] < INT32_MAX || steps[i] != 1)
        node.fail("takes a part of the batch");
      continue;
    }
    if (steps[i] == 0) node.fail("a step of 0");
    x = taken(context, x, axis - 1, onnx_slice(starts[i], ends[i], steps[i], x.dims[axis - 1]));
  }
  return x;
}

std::vector<OnnxValue> split(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const OnnxActivation& x = onnx_activation(context, 0);
  const std::size_t axis = onnx_axis(node, node.integer("axis", 0), x.dims.size() + 1);
  if (axis == 0) node.fail("splits the batch");
  const int outputs = node.proto().output_size();
  std::vector<std::int64_t> sizes = node.integers("split");
  if (const OnnxTensor* given = onnx_optional(context, 1)) sizes = given->ints;
  if (sizes.empty()) {
    const std::int64_t extent = x.dims[axis - 1], each = (extent + outputs - 1) / outputs;
    for (int i = 0; i < outputs; ++i) sizes.push_back(std::min(each, extent - i * each));
  }
  if (sizes.size() != static_cast<std::size_t>(outputs)) node.fail("its parts differ in number");
  std::vector<OnnxValue> out;
  std::int64_t first = 0;
  for (const std::int64_t size : sizes) {
    if (size < 1 || size > x.dims[axis - 1] - first) node.fail("its parts do not fit its input");
    out.push_back(taken(context, x, axis - 1, {first, size, 1}));
    first += size;
  }
  return out;
}

OnnxTensor shape(const OnnxContext& context) {
  OnnxTensor out;
  out.whole = true;
  const auto all = with_batch(onnx_activation(context, 0));
  const auto rank = static_cast<std::int64_t>(all.size());
  const OnnxSlice part =
      onnx_slice(context.node.integer("start", 0), context.node.integer("end", rank), 1, rank);
  for (std::int64_t i = 0; i < part.count; ++i)
    out.ints.push_back(all[static_cast<std::size_t>(part.first + i)]);
  out.shape = {part.count};
  return out;
}

}  // namespace

bool apply_onnx_shapes(const OnnxContext& context, std::vector<OnnxValue>& out) {
  const OnnxNode& node = context.node;
  const std::string& op = node.op();
  if (op == "Identity") {
    out = {onnx_activation(context, 0)};
  } else if (op == "Dropout") {
    if (const OnnxTensor* training = onnx_optional(context, 2);
        training != nullptr && onnx_number(context, *training) != 0)
      node.fail("was exported in training mode");
    out = {onnx_activation(context, 0)};
  } else if (op == "Cast") {
    if (node.integer("to", 0) != onnx::TensorProto::FLOAT)
      node.fail("casts values of the image to another type than float");
    out = {onnx_activation(context, 0)};
  } else if (op == "Reshape") {
    out = {reshape(context)};
  } else if (op == "Flatten") {
    out = {flatten(context)};
  } else if (op == "Squeeze") {
    out = {squeeze(context)};
  } else if (op == "Unsqueeze") {
    out = {unsqueeze(context)};
  } else if (op == "Transpose") {
    out = {transpose(context)};
  } else if (op == "Concat") {
    out = {concat(context)};
  } else if (op == "Slice") {
    out = {slice(context)};
  } else if (op == "Split") {
    out = split(context);
  } else if (op == "Shape") {
    out = {shape(context)};
  } else {
    return false;
  }
  return true;
}

}  // namespace smoothcert
