// Sums, differences, products and quotients of an ONNX graph, and the functions that exporters
// write out with them: GELU by erf, layer normalisation by means and roots.
#include <cmath>

#include "checkpoint/onnx_operators.hpp"

namespace smoothcert {
namespace {

using Part = OnnxActivation::Part;

/// How a constant lies over a value of these dims per image.
struct Spread {
  enum class Kind { one, by_channel, other } kind = Kind::other;
  ActivationShape shape;  ///< other: as a constant layer
  std::vector<std::int64_t> dims;
};

Spread spread_of(const OnnxContext& context, const OnnxTensor& t, const OnnxActivation& x) {
  if (t.size() == 1) return {Spread::Kind::one, {}, {}};
  std::vector<std::int64_t> dims = t.shape;
  while (dims.size() > x.dims.size() && dims.front() == 1) dims.erase(dims.begin());
  if (dims.size() > x.dims.size())
    context.node.fail("combines each image with a constant that differs between images");
  dims.insert(dims.begin(), x.dims.size() - dims.size(), 1);
  bool by_channel = !dims.empty() && dims[0] == x.dims[0];
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (dims[i] != 1 && dims[i] != x.dims[i])
      context.node.fail("combines its input with a constant of another shape");
    by_channel = by_channel && (i == 0 || dims[i] == 1);
  }
  if (by_channel) return {Spread::Kind::by_channel, {}, dims};
  return {Spread::Kind::other, onnx_shape(context.node, dims), dims};
}

std::vector<double> doubles(const OnnxTensor& t) {
  if (t.whole) return {t.ints.begin(), t.ints.end()};
  return {t.floats.begin(), t.floats.end()};
}

OnnxActivation part_of(const OnnxActivation& x, Part part, double number = 0) {
  OnnxActivation value;
  value.layer = x.layer;
  value.dims = x.dims;
  value.part = part;
  value.number = number;
  return value;
}

bool near(double a, double b) { return std::fabs(a - b) <= 1e-6 * std::fabs(b); }

/// A layer over the value that the part is of.
OnnxActivation whole_layer(const OnnxContext& context, const OnnxActivation& part, LayerKind kind,
                           double eps = 0) {
  OnnxActivation x = part_of(part, Part::whole);
  Layer layer;
  layer.kind = kind;
  if (kind == LayerKind::layernorm) {
    layer.affine = false;
    layer.eps = eps;
  }
  OnnxActivation out = context.builder.add(context.node, layer, {x});
  out.dims = x.dims;
  return out;
}

/// A part of a function with a number: what it becomes, nothing where it is no part of one.
bool part_with_number(const OnnxContext& context, const OnnxActivation& x, double c,
                      OnnxValue& out) {
  const std::string& op = context.node.op();
  const bool multiplies = op == "Mul" || op == "Div";
  const double factor = op == "Div" ? 1 / c : c;
  if (x.part == Part::erf && op == "Add" && c == 1)
    out = part_of(x, Part::one_plus_erf);
  else if (x.part == Part::one_plus_erf && multiplies && factor == 0.5)
    out = part_of(x, Part::normal_cdf);
  else if (x.part == Part::twice_gelu && multiplies && factor == 0.5)
    out = whole_layer(context, x, LayerKind::gelu);
  else if (x.part == Part::variance && op == "Add" && c > 0)
    out = part_of(x, Part::variance_eps, c);
  else
    return false;
  return true;
}

/// The same of two values, in either order where the operator does not care.
bool part_with_value(const OnnxContext& context, const OnnxActivation& a, const OnnxActivation& b,
                     OnnxValue& out) {
  const std::string& op = context.node.op();
  const bool same = a.layer == b.layer;
  if (op == "Mul" && b.part == Part::one_plus_erf && a.part == Part::whole) {
    if (same)
      out = part_of(b, Part::twice_gelu);
    else if (a.multiple_of == b.layer && near(a.factor, 0.5))
      out = whole_layer(context, b, LayerKind::gelu);
    else
      return false;
  } else if (op == "Mul" && b.part == Part::normal_cdf && a.part == Part::whole && same) {
    out = whole_layer(context, b, LayerKind::gelu);
  } else if (op == "Sub" && b.part == Part::mean && a.part == Part::whole && same) {
    out = part_of(b, Part::centred);
  } else if (op == "Mul" && a.part == Part::centred && b.part == Part::centred && same) {
    out = part_of(b, Part::squares);
  } else if ((op == "Div" && a.part == Part::centred && b.part == Part::deviation && same) ||
             (op == "Mul" && a.part == Part::centred && b.part == Part::inverse_deviation &&
              same)) {
    out = whole_layer(context, b, LayerKind::layernorm, b.number);
  } else {
    return false;
  }
  return true;
}

OnnxActivation with_constant(const OnnxContext& context, std::size_t which) {
  const OnnxNode& node = context.node;
  const std::string& op = node.op();
  const OnnxActivation& x = onnx_activation(context, which);
  const OnnxTensor& t = onnx_constant(context, 1 - which);
  const bool first = which == 1;  // the constant is the first operand
  OnnxValue part;
  if (t.size() == 1 && !first && part_with_number(context, x, onnx_number(context, t), part))
    return std::get<OnnxActivation>(part);
  if (t.size() == 1 && first && op != "Sub" && op != "Div" &&
      part_with_number(context, x, onnx_number(context, t), part))
    return std::get<OnnxActivation>(part);
  if (t.size() == 1 && first && op == "Div" && x.part == Part::deviation &&
      onnx_number(context, t) == 1)
    return part_of(x, Part::inverse_deviation, x.number);
  if (op == "Div" && first) node.fail("divides a constant by a value of the image");
  const Spread spread = spread_of(context, t, x);
  std::vector<double> c = doubles(t);
  const bool alone = context.alone[which];
  if (spread.kind != Spread::Kind::other) {
    std::vector<double> scale{1}, shift{0};
    if (op == "Add") {
      if (alone && spread.kind == Spread::Kind::by_channel && context.builder.add_bias(x, c))
        return x;
      shift = c;
    } else if (op == "Sub") {
      shift = c;
      for (double& v : shift) v = first ? v : -v;
      scale = {first ? -1.0 : 1.0};
    } else {
      scale = c;
      if (op == "Div")
        for (double& v : scale) v = 1 / v;
    }
    OnnxActivation out = context.builder.affine(node, x, scale, shift, alone);
    out.part = Part::whole;
    out.multiple_of = -2;
    // What erf and ½ are of, unless the product has joined the layer before it.
    if ((op == "Mul" || op == "Div") && spread.kind == Spread::Kind::one && out.layer != x.layer) {
      out.multiple_of = x.layer;
      out.factor = scale[0];
    }
    return out;
  }
  if (op == "Div")
    for (double& v : c) v = 1 / v;
  const OnnxActivation constant =
      context.builder.constant(node, spread.shape, {c.begin(), c.end()});
  Layer layer;
  layer.kind = op == "Add" ? LayerKind::add : op == "Sub" ? LayerKind::sub : LayerKind::mul;
  OnnxActivation out = first ? context.builder.add(node, layer, {constant, x})
                             : context.builder.add(node, layer, {x, constant});
  out.dims = x.dims;
  return out;
}

OnnxActivation with_value(const OnnxContext& context) {
  const OnnxNode& node = context.node;
  const std::string& op = node.op();
  const OnnxActivation &a = onnx_activation(context, 0), &b = onnx_activation(context, 1);
  OnnxValue part;
  if (part_with_value(context, a, b, part) || (op == "Mul" && part_with_value(context, b, a, part)))
    return std::get<OnnxActivation>(part);
  if (op == "Div") node.fail("divides by a value of the image");
  if (a.dims.size() != b.dims.size()) node.fail("combines values of different ranks");
  Layer layer;
  layer.kind = op == "Add" ? LayerKind::add : op == "Sub" ? LayerKind::sub : LayerKind::mul;
  OnnxActivation out = context.builder.add(node, layer, {a, b});
  out.dims.resize(a.dims.size());
  for (std::size_t i = 0; i < a.dims.size(); ++i) out.dims[i] = std::max(a.dims[i], b.dims[i]);
  return out;
}

OnnxActivation power(const OnnxContext& context) {
  const OnnxActivation& x = onnx_activation(context, 0);
  const double exponent = onnx_number(context, onnx_constant(context, 1));
  if (x.part == Part::centred && exponent == 2) return part_of(x, Part::squares);
  if (x.part == Part::variance_eps && exponent == 0.5) return part_of(x, Part::deviation, x.number);
  if (exponent != 2) context.node.fail("only squares are supported");
  Layer layer;
  layer.kind = LayerKind::mul;
  OnnxActivation out = context.builder.add(context.node, layer, {x, x});
  out.dims = x.dims;
  return out;
}

}  // namespace

bool apply_onnx_arithmetic(const OnnxContext& context, std::vector<OnnxValue>& out) {
  const std::string& op = context.node.op();
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div") {
    if (context.in.size() != 2) context.node.fail("needs two inputs");
    const bool first = std::holds_alternative<OnnxActivation>(*context.in[0]);
    const bool second = std::holds_alternative<OnnxActivation>(*context.in[1]);
    out = {first && second ? with_value(context) : with_constant(context, first ? 0 : 1)};
  } else if (op == "Neg") {
    out = {context.builder.affine(context.node, onnx_activation(context, 0), {-1}, {0},
                                  context.alone[0])};
  } else if (op == "Pow") {
    out = {power(context)};
  } else if (op == "Sqrt") {
    const OnnxActivation& x = onnx_activation(context, 0);
    if (x.part != Part::variance_eps)
      context.node.fail("a root is supported as a part of a layer normalisation alone");
    out = {part_of(x, Part::deviation, x.number)};
  } else if (op == "Reciprocal") {
    const OnnxActivation& x = onnx_activation(context, 0);
    if (x.part != Part::deviation) context.node.fail("divides by a value of the image");
    out = {part_of(x, Part::inverse_deviation, x.number)};
  } else {
    return false;
  }
  return true;
}

}  // namespace smoothcert
