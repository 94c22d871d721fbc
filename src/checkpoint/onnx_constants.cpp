// Constant folding: the nodes of an ONNX graph whose inputs are all known.
#include "checkpoint/onnx_constants.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

namespace smoothcert {
namespace {

using Inputs = std::vector<const OnnxTensor*>;
using Shape = std::vector<std::int64_t>;

std::size_t elements(const OnnxNode& node, const Shape& shape) {
  for (const std::int64_t extent : shape)
    if (extent == kOnnxBatch) node.fail("its shape depends on the batch size");
  return onnx_elements(shape, "node '" + node.proto().name() + "' (" + node.op() + ")");
}

/// The elements of a result that may be larger than what it is made of.
std::size_t grown(const OnnxNode& node, const Shape& shape) {
  const std::size_t count = elements(node, shape);
  if (count > (std::size_t{1} << 24)) node.fail("its constant result is too large");
  return count;
}

const OnnxTensor& need(const OnnxNode& node, const Inputs& in, std::size_t i) {
  if (i >= in.size() || in[i] == nullptr) node.fail("an input is missing");
  return *in[i];
}

std::vector<std::int64_t> whole_numbers(const OnnxNode& node, const OnnxTensor& t) {
  if (!t.whole) node.fail("an input that must hold whole numbers does not");
  return t.ints;
}

/// The elements at `from`, in that order.
OnnxTensor gathered(const OnnxTensor& t, Shape shape, const std::vector<std::size_t>& from) {
  OnnxTensor out;
  out.shape = std::move(shape);
  out.whole = t.whole;
  for (const std::size_t i : from) {
    if (t.whole)
      out.ints.push_back(t.ints[i]);
    else
      out.floats.push_back(t.floats[i]);
  }
  return out;
}

/// f(place of each element of `shape`, its indices) in row-major order.
void for_each_index(const Shape& shape, std::size_t count,
                    const std::function<void(const Shape&)>& f) {
  Shape index(shape.size());
  for (std::size_t i = 0; i < count; ++i) {
    f(index);
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      if (++index[axis] < shape[axis]) break;
      index[axis] = 0;
    }
  }
}

std::size_t place(const Shape& shape, const Shape& index) {
  std::size_t at = 0;
  for (std::size_t axis = 0; axis < shape.size(); ++axis)
    at = at * static_cast<std::size_t>(shape[axis]) +
         static_cast<std::size_t>(shape[axis] == 1 ? 0 : index[axis]);
  return at;
}

OnnxTensor constant(const OnnxNode& node, OnnxFolder& folder) {
  OnnxTensor t;
  if (const auto* value = node.attribute("value"))
    return read_onnx_tensor(value->t(), folder, "node '" + node.proto().name() + "' (Constant)");
  if (const auto* number = node.attribute("value_float")) {
    t.floats = {number->f()};
  } else if (const auto* whole = node.attribute("value_int")) {
    t.whole = true;
    t.ints = {whole->i()};
  } else if (const auto* numbers = node.attribute("value_floats")) {
    t.floats.assign(numbers->floats().begin(), numbers->floats().end());
    t.shape = {static_cast<std::int64_t>(t.floats.size())};
  } else if (const auto* wholes = node.attribute("value_ints")) {
    t.whole = true;
    t.ints.assign(wholes->ints().begin(), wholes->ints().end());
    t.shape = {static_cast<std::int64_t>(t.ints.size())};
  } else {
    node.fail("a constant of a kind that is not read");
  }
  return t;
}

OnnxTensor constant_of_shape(const OnnxNode& node, const Inputs& in, OnnxFolder& folder) {
  OnnxTensor out;
  out.shape = whole_numbers(node, need(node, in, 0));
  const std::size_t count = grown(node, out.shape);
  OnnxTensor value;
  value.floats = {0};
  if (const auto* a = node.attribute("value"))
    value = read_onnx_tensor(a->t(), folder, "node '" + node.proto().name() + "'");
  if (value.size() != 1) node.fail("its value is not one number");
  out.whole = value.whole;
  if (value.whole)
    out.ints.assign(count, value.ints[0]);
  else
    out.floats.assign(count, value.floats[0]);
  return out;
}

OnnxTensor gather(const OnnxNode& node, const Inputs& in) {
  const OnnxTensor& t = need(node, in, 0);
  const OnnxTensor& indices = need(node, in, 1);
  const std::size_t axis = onnx_axis(node, node.integer("axis", 0), t.shape.size());
  Shape shape(t.shape.begin(), t.shape.begin() + static_cast<std::ptrdiff_t>(axis));
  shape.insert(shape.end(), indices.shape.begin(), indices.shape.end());
  shape.insert(shape.end(), t.shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, t.shape.end());
  const std::size_t rank = indices.shape.size();
  std::vector<std::size_t> from;
  const std::vector<std::int64_t> which = whole_numbers(node, indices);
  for_each_index(shape, grown(node, shape), [&](const Shape& at) {
    const auto first = at.begin() + static_cast<std::ptrdiff_t>(axis);
    const Shape inner(first, first + static_cast<std::ptrdiff_t>(rank));
    std::int64_t i = which[place(indices.shape, inner)];
    if (i < 0) i += t.shape[axis];
    if (i < 0 || i >= t.shape[axis]) node.fail("an index is out of range");
    Shape index(at.begin(), first);
    index.push_back(i);
    index.insert(index.end(), first + static_cast<std::ptrdiff_t>(rank), at.end());
    from.push_back(place(t.shape, index));
  });
  return gathered(t, shape, from);
}

/// The axes of a Squeeze or an Unsqueeze: an attribute before opset 13, then an input.
std::vector<std::int64_t> axes_of(const OnnxNode& node, const Inputs& in) {
  if (in.size() > 1 && in[1] != nullptr) return whole_numbers(node, *in[1]);
  return node.integers("axes");
}

OnnxTensor unsqueeze(const OnnxNode& node, const Inputs& in) {
  OnnxTensor t = need(node, in, 0);
  const auto axes = axes_of(node, in);
  const std::size_t rank = t.shape.size() + axes.size();
  std::vector<bool> added(rank);
  for (const std::int64_t axis : axes) added[onnx_axis(node, axis, rank)] = true;
  Shape shape;
  std::size_t next = 0;
  for (std::size_t axis = 0; axis < rank; ++axis)
    shape.push_back(added[axis] || next >= t.shape.size() ? 1 : t.shape[next++]);
  t.shape = shape;
  return t;
}

OnnxTensor squeeze(const OnnxNode& node, const Inputs& in) {
  OnnxTensor t = need(node, in, 0);
  const auto axes = axes_of(node, in);
  Shape shape;
  for (std::size_t axis = 0; axis < t.shape.size(); ++axis) {
    bool gone = axes.empty() && t.shape[axis] == 1;
    for (const std::int64_t a : axes) gone = gone || onnx_axis(node, a, t.shape.size()) == axis;
    if (gone && t.shape[axis] != 1) node.fail("squeezes an axis of more than one value");
    if (!gone) shape.push_back(t.shape[axis]);
  }
  t.shape = shape;
  return t;
}

OnnxTensor concat(const OnnxNode& node, const Inputs& in) {
  const OnnxTensor& first = need(node, in, 0);
  const std::size_t axis = onnx_axis(node, node.integer("axis", 0), first.shape.size());
  OnnxTensor out;
  out.whole = first.whole;
  out.shape = first.shape;
  out.shape[axis] = 0;
  std::size_t outer = 1;
  for (std::size_t a = 0; a < axis; ++a) outer *= static_cast<std::size_t>(first.shape[a]);
  for (std::size_t i = 0; i < in.size(); ++i) {
    const OnnxTensor& t = need(node, in, i);
    Shape same = t.shape;
    if (same.size() == out.shape.size()) same[axis] = out.shape[axis];
    if (same != out.shape || t.whole != out.whole) node.fail("its inputs do not fit each other");
    out.shape[axis] += t.shape[axis];
  }
  for (std::size_t o = 0; o < outer; ++o)
    for (const OnnxTensor* t : in) {
      const std::size_t part = t->size() / std::max<std::size_t>(outer, 1);
      for (std::size_t k = o * part; k < (o + 1) * part; ++k) {
        if (out.whole)
          out.ints.push_back(t->ints[k]);
        else
          out.floats.push_back(t->floats[k]);
      }
    }
  return out;
}

OnnxTensor cast(const OnnxNode& node, const Inputs& in) {
  const OnnxTensor& t = need(node, in, 0);
  const auto to = node.integer("to", onnx::TensorProto::FLOAT);
  const bool whole = to == onnx::TensorProto::INT64 || to == onnx::TensorProto::INT32 ||
                     to == onnx::TensorProto::BOOL || to == onnx::TensorProto::UINT8;
  if (whole == t.whole) return t;
  OnnxTensor out;
  out.shape = t.shape;
  out.whole = whole;
  for (const float v : t.floats) {
    if (!(std::fabs(v) < 0x1p62f)) node.fail("a value is too large for a whole number");
    out.ints.push_back(static_cast<std::int64_t>(v));
  }
  for (const std::int64_t v : t.ints) {
    if (v == kOnnxBatch) node.fail("computes with the batch size");
    out.floats.push_back(static_cast<float>(v));
  }
  return out;
}

OnnxTensor slice(const OnnxNode& node, const Inputs& in) {
  const OnnxTensor& t = need(node, in, 0);
  const auto starts = whole_numbers(node, need(node, in, 1));
  const auto ends = whole_numbers(node, need(node, in, 2));
  std::vector<std::int64_t> axes(starts.size()), steps(starts.size(), 1);
  std::iota(axes.begin(), axes.end(), 0);
  if (in.size() > 3 && in[3] != nullptr) axes = whole_numbers(node, *in[3]);
  if (in.size() > 4 && in[4] != nullptr) steps = whole_numbers(node, *in[4]);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    node.fail("its starts, ends, axes and steps differ in number");
  std::vector<OnnxSlice> parts;
  for (const std::int64_t extent : t.shape) parts.push_back({0, extent, 1});
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const std::size_t axis = onnx_axis(node, axes[i], t.shape.size());
    if (steps[i] == 0) node.fail("a step of 0");
    parts[axis] = onnx_slice(starts[i], ends[i], steps[i], t.shape[axis]);
  }
  Shape shape;
  for (const OnnxSlice& part : parts) shape.push_back(part.count);
  std::vector<std::size_t> from;
  for_each_index(shape, elements(node, shape), [&](const Shape& at) {
    Shape index;
    for (std::size_t axis = 0; axis < at.size(); ++axis)
      index.push_back(parts[axis].first + at[axis] * parts[axis].step);
    from.push_back(place(t.shape, index));
  });
  return gathered(t, shape, from);
}

OnnxTensor reshape(const OnnxNode& node, const Inputs& in) {
  OnnxTensor t = need(node, in, 0);
  Shape shape = whole_numbers(node, need(node, in, 1));
  std::size_t known = 1, unknown = shape.size();
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    if (shape[axis] == 0 && node.integer("allowzero", 0) == 0) {
      if (axis >= t.shape.size()) node.fail("copies an extent that its input lacks");
      shape[axis] = t.shape[axis];
    }
    if (shape[axis] == -1)
      unknown = axis;
    else
      known *= elements(node, {shape[axis]});
  }
  if (unknown < shape.size()) {
    if (known == 0 || t.size() % known != 0) node.fail("its shape does not fit its input");
    shape[unknown] = static_cast<std::int64_t>(t.size() / known);
  }
  if (elements(node, shape) != t.size()) node.fail("its shape does not fit its input");
  t.shape = shape;
  return t;
}

OnnxTensor transpose(const OnnxNode& node, const Inputs& in) {
  const OnnxTensor& t = need(node, in, 0);
  const std::size_t rank = t.shape.size();
  std::vector<std::int64_t> perm = node.integers("perm");
  if (perm.empty())
    for (std::size_t axis = rank; axis-- > 0;) perm.push_back(static_cast<std::int64_t>(axis));
  std::vector<std::int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t axis = 0; axis < sorted.size(); ++axis)
    if (sorted.size() != rank || sorted[axis] != static_cast<std::int64_t>(axis))
      node.fail("perm is no permutation of its input's axes");
  Shape shape;
  for (const std::int64_t axis : perm) shape.push_back(t.shape[static_cast<std::size_t>(axis)]);
  std::vector<std::size_t> from;
  for_each_index(shape, t.size(), [&](const Shape& at) {
    Shape index(rank);
    for (std::size_t axis = 0; axis < rank; ++axis)
      index[static_cast<std::size_t>(perm[axis])] = at[axis];
    from.push_back(place(t.shape, index));
  });
  return gathered(t, shape, from);
}

std::int64_t combined(const OnnxNode& node, std::int64_t a, std::int64_t b) {
  if (a == kOnnxBatch || b == kOnnxBatch) node.fail("computes with the batch size");
  std::int64_t result = 0;
  const std::string& op = node.op();
  if (op == "Div") {
    if (b == 0 || (b == -1 && a == INT64_MIN)) node.fail("divides by zero");
    return a / b;
  }
  const bool overflow = op == "Add"   ? __builtin_add_overflow(a, b, &result)
                        : op == "Sub" ? __builtin_sub_overflow(a, b, &result)
                                      : __builtin_mul_overflow(a, b, &result);
  if (overflow) node.fail("its result is too large");
  return result;
}

OnnxTensor arithmetic(const OnnxNode& node, const Inputs& in) {
  const OnnxTensor& a = need(node, in, 0);
  const OnnxTensor& b = need(node, in, 1);
  if (a.whole != b.whole) node.fail("its inputs are of different types");
  const std::size_t rank = std::max(a.shape.size(), b.shape.size());
  const auto padded = [&](Shape s) {
    s.insert(s.begin(), rank - s.size(), 1);
    return s;
  };
  const Shape sa = padded(a.shape), sb = padded(b.shape);
  OnnxTensor out;
  out.whole = a.whole;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (sa[axis] != sb[axis] && sa[axis] != 1 && sb[axis] != 1)
      node.fail("the shapes of its inputs do not fit each other");
    out.shape.push_back(sa[axis] == 1 ? sb[axis] : sa[axis]);
  }
  const std::string& op = node.op();
  for_each_index(out.shape, grown(node, out.shape), [&](const Shape& at) {
    const std::size_t i = place(sa, at), j = place(sb, at);
    if (out.whole) {
      out.ints.push_back(combined(node, a.ints[i], b.ints[j]));
      return;
    }
    const float x = a.floats[i], y = b.floats[j];
    out.floats.push_back(op == "Add" ? x + y : op == "Sub" ? x - y : op == "Mul" ? x * y : x / y);
  });
  return out;
}

/// A function of one value.
OnnxTensor mapped(const OnnxNode& node, const Inputs& in) {
  OnnxTensor t = need(node, in, 0);
  const std::string& op = node.op();
  if (t.whole) {
    if (op != "Neg") node.fail("is not computed on whole numbers");
    for (std::int64_t& v : t.ints) {
      if (v == kOnnxBatch || v == INT64_MIN) node.fail("computes with the batch size");
      v = -v;
    }
    return t;
  }
  for (float& v : t.floats)
    v = op == "Sqrt" ? std::sqrt(v) : op == "Neg" ? -v : op == "Floor" ? std::floor(v) : 1.0f / v;
  return t;
}

}  // namespace

std::size_t onnx_axis(const OnnxNode& node, std::int64_t axis, std::size_t rank) {
  const auto count = static_cast<std::int64_t>(rank);
  if (axis < -count || axis >= count) node.fail("an axis is out of range");
  return static_cast<std::size_t>(axis < 0 ? axis + count : axis);
}

OnnxSlice onnx_slice(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t extent) {
  const auto clamped = [&](std::int64_t at) {
    if (at < 0) at = at < -extent ? -1 : at + extent;
    return std::clamp(at, std::int64_t{step > 0 ? 0 : -1}, step > 0 ? extent : extent - 1);
  };
  if (start < -extent) start = 0;
  OnnxSlice part{clamped(start), 0, step};
  const std::int64_t last = clamped(end);
  if (step > 0 && last > part.first) part.count = (last - part.first - 1) / step + 1;
  if (step < 0 && last < part.first) part.count = (part.first - last - 1) / -step + 1;
  return part;
}

std::optional<OnnxTensor> fold_onnx_node(const OnnxNode& node, const Inputs& in,
                                         OnnxFolder& folder) {
  if (node.op() == "Constant") return constant(node, folder);
  if (node.op() == "ConstantOfShape") return constant_of_shape(node, in, folder);
  using Fold = OnnxTensor (*)(const OnnxNode&, const Inputs&);
  static const std::map<std::string, Fold> folds = {
      {"Identity", [](const OnnxNode& n, const Inputs& i) { return need(n, i, 0); }},
      {"Gather", gather},
      {"Unsqueeze", unsqueeze},
      {"Squeeze", squeeze},
      {"Concat", concat},
      {"Cast", cast},
      {"Slice", slice},
      {"Reshape", reshape},
      {"Transpose", transpose},
      {"Add", arithmetic},
      {"Sub", arithmetic},
      {"Mul", arithmetic},
      {"Div", arithmetic},
      {"Sqrt", mapped},
      {"Neg", mapped},
      {"Floor", mapped},
      {"Reciprocal", mapped},
      {"Shape", [](const OnnxNode& n, const Inputs& i) {
         OnnxTensor t;
         t.whole = true;
         t.ints = need(n, i, 0).shape;
         t.shape = {static_cast<std::int64_t>(t.ints.size())};
         return t;
       }}};
  const auto found = folds.find(node.op());
  if (found == folds.end()) return std::nullopt;
  return found->second(node, in);
}

}  // namespace smoothcert
