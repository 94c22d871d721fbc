// Which networks the fused feature kernel can begin, and the numbers it evaluates them with.
#include "gpu/feature_network.hpp"

#include <algorithm>
#include <cmath>

#include "gpu/fused_network.hpp"
#include "gpu/plan_reader.hpp"
#include "smoothcert/network_spec.hpp"

namespace smoothcert::gpu {
namespace {

/// The largest value that an activation may take: well within fp16, whatever is rounded on the way.
constexpr double kTop = 32768;

std::size_t at(int i) { return static_cast<std::size_t>(i); }

/// The power of two that brings `largest` to (top / 2, top].
double unit_for(double largest, double top, const char* what) {
  if (!(largest > 0)) return 1.0;
  const int exponent = std::ilogb(top / largest);
  if (std::abs(exponent) > 60) {
    throw Mismatch{std::string(what) + " has weights far outside fp16's range"};
  }
  return std::ldexp(1.0, exponent);
}

/// A layer before it is brought to fp16's range: real weights on real inputs.
struct Layer {
  int inputs = 0, outputs = 0;
  std::vector<double> weights, bias;  ///< outputs × inputs
  std::vector<bool> negative;         ///< outputs whose minimum is wanted, not their maximum
};

/// What a layer's inputs are: bounds of their size, and what a 1 is fed as.
struct Inputs {
  std::vector<double> bound;
  double unit = 1.0;
};

/// Bounds of the outputs, before and after a ReLU.
std::vector<double> output_bounds(const Layer& layer, const Inputs& in) {
  std::vector<double> bounds;
  for (int o = 0; o < layer.outputs; ++o) {
    double sum = std::abs(layer.bias[at(o)]);
    for (int i = 0; i < layer.inputs; ++i) {
      sum += std::abs(layer.weights[at(o * layer.inputs + i)]) * in.bound[at(i)];
    }
    bounds.push_back(sum);
  }
  return bounds;
}

/// A convolution of one input channel per 25 inputs: each output channel's weights with a power of
/// two of their own. Returns what the next layer gets.
Inputs fold_convolution(const Layer& layer, const Inputs& in, double top, const char* what,
                        std::vector<float>& weights, std::vector<float>& gain,
                        std::vector<float>& bias) {
  Inputs out{output_bounds(layer, in)};
  out.unit = unit_for(*std::max_element(out.bound.begin(), out.bound.end()), kTop, what);
  for (int o = 0; o < layer.outputs; ++o) {
    const double* first = &layer.weights[at(o * layer.inputs)];
    double largest = 0;
    for (int i = 0; i < layer.inputs; ++i) largest = std::max(largest, std::abs(first[i]));
    const double up = unit_for(largest / in.unit, top, what);
    const double sign = layer.negative[at(o)] ? -1.0 : 1.0;
    for (int i = 0; i < layer.inputs; ++i) {
      weights.push_back(static_cast<float>(sign * first[i] / in.unit * up));
    }
    gain.push_back(static_cast<float>(sign * out.unit / up));
    bias.push_back(static_cast<float>(layer.bias[at(o)] * out.unit));
  }
  return out;
}

/// A linear layer, one power of two for all its weights. Logits, the last one's, are not scaled.
Inputs fold_linear(const Layer& layer, const Inputs& in, bool last, FeatureLinear& linear) {
  Inputs out{output_bounds(layer, in)};
  const auto largest = [](const std::vector<double>& values) {
    double most = 0;
    for (const double v : values) most = std::max(most, std::abs(v));
    return most;
  };
  if (!last) out.unit = unit_for(largest(out.bound), kTop, "a linear layer");
  const double up = unit_for(largest(layer.weights) / in.unit, 1.0, "a linear layer");
  linear.in = layer.inputs;
  linear.out = layer.outputs;
  linear.scale = static_cast<float>(out.unit / up);
  for (const double w : layer.weights) {
    linear.weights.push_back(static_cast<float>(w / in.unit * up));
  }
  for (const double b : layer.bias) linear.bias.push_back(static_cast<float>(b * out.unit));
  return out;
}

/// The convolution of a block behind an affine step of its input channels.
Layer layer_of(const Block& block, const std::vector<double>& scale,
               const std::vector<double>& shift) {
  Layer layer{block.in * kWindow, block.out, block.weights, block.bias, {}};
  for (int o = 0; o < block.out; ++o) {
    for (int i = 0; i < layer.inputs; ++i) {
      double& w = layer.weights[at(o * layer.inputs + i)];
      layer.bias[at(o)] += w * shift[at(i / kWindow)];
      w *= scale[at(i / kWindow)];
    }
    layer.negative.push_back(block.scale[at(o)] < 0);
  }
  return layer;
}

/// Every channel's bound for each of its `each` values.
std::vector<double> repeated(const std::vector<double>& bounds, int each) {
  std::vector<double> out;
  for (const double b : bounds) out.insert(out.end(), at(each), b);
  return out;
}

/// The next linear layer of the plan, behind an affine step of its inputs, `each` a channel.
Layer read_linear(PlanReader& reader, int inputs, const std::vector<double>& in_scale,
                  const std::vector<double>& in_shift, int each) {
  const PlanStep step = reader.take(StepKind::linear, "a linear layer");
  Layer layer{inputs, step.out_shape.channels, {}, {}, {}};
  std::vector<double> scale, shift;
  reader.affine(layer.outputs, scale, shift);
  for (int o = 0; o < layer.outputs; ++o) {
    double bias = reader.value(step.bias + at(o));
    for (int i = 0; i < inputs; ++i) {
      const double w = reader.value(step.weight + at(o) * at(inputs) + at(i));
      bias += w * in_shift[at(i / each)];
      layer.weights.push_back(scale[at(o)] * w * in_scale[at(i / each)]);
    }
    layer.bias.push_back(scale[at(o)] * bias + shift[at(o)]);
  }
  return layer;
}

FeatureNetwork match(const InferencePlan& plan, const NoiseSpec& noise) {
  if (const NoiseTraits& traits = noise_traits(noise.law); traits.has_width())
    throw Mismatch{traits.words};  // the kernel draws Gaussian noise alone
  for (const float p : plan.params) {
    if (!std::isfinite(p)) throw Mismatch{"a parameter is not finite"};
  }
  PlanReader reader(plan);
  std::vector<double> scale, shift;
  reader.affine(1, scale, shift);
  const Block first = reader.block(1, 28, FeatureNetwork::kChannels1);
  const Block second = reader.block(first.out, 12, FeatureNetwork::kChannels2);
  if (reader.at(StepKind::flatten)) reader.take(StepKind::flatten, "a flatten");

  FeatureNetwork net;
  net.classes = plan.classes;
  net.channels1 = first.out;
  net.channels2 = second.out;
  const bool lattice = noise.law == NoiseLaw::lattice;
  Inputs inputs{std::vector<double>(kWindow, largest_input(noise)),
                lattice ? kLatticeInputUnit : 1.0};
  // The bits of an integer are a subnormal half: the weights on it may be as large as fp16 has.
  inputs = fold_convolution(layer_of(first, scale, shift), inputs, lattice ? kTop : 1.0,
                            "the first convolution", net.conv1, net.gain1, net.bias1);
  inputs.bound = repeated(inputs.bound, kWindow);
  inputs = fold_convolution(layer_of(second, first.scale, first.shift), inputs, 1.0,
                            "the second convolution", net.conv2, net.gain2, net.bias2);
  inputs.bound = repeated(inputs.bound, FeatureNetwork::kWindows);
  scale = second.scale;
  shift = second.shift;
  for (int each = FeatureNetwork::kWindows; !reader.done(); each = 1) {
    const auto size = static_cast<int>(inputs.bound.size());
    const Layer layer = read_linear(reader, size, scale, shift, each);
    const bool last = reader.done();
    inputs = fold_linear(layer, inputs, last, net.linear.emplace_back());
    if (last) return net;
    reader.take(StepKind::relu, "a ReLU");
    reader.affine(layer.outputs, scale, shift);
    if (reader.done()) break;
  }
  throw Mismatch{"no linear layer at the end"};
}

}  // namespace

std::optional<FeatureNetwork> match_feature_network(const InferencePlan& plan,
                                                    const NoiseSpec& noise, std::string* why_not) {
  try {
    return match(plan, noise);
  } catch (const Mismatch& mismatch) {
    if (why_not) *why_not = mismatch.why;
    return std::nullopt;
  }
}

}  // namespace smoothcert::gpu
