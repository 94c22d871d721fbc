// Which networks the fused fp16 kernel can evaluate, and the numbers it evaluates them with.
#include "gpu/fused_network.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "gpu/plan_reader.hpp"

namespace smoothcert::gpu {
namespace {

constexpr int kChannels = FusedNetwork::kChannels, kTaps = FusedNetwork::kTaps;
constexpr double kLargest = 60000;  ///< of fp16's 65504, with room for rounding

/// Smallest r in [−14, 15] with largest·2^−r ≤ limit.
int exponent_for(double largest, double limit, const char* what) {
  int r = largest > 0 ? static_cast<int>(std::ceil(std::log2(largest / limit))) : 0;
  while (std::ldexp(largest, -r) > limit) ++r;
  if (r > 15) throw Mismatch{std::string("the weights of ") + what + " are too large for fp16"};
  return std::max(r, -14);
}

void check(double bound, const char* what) {
  if (!(bound <= kLargest)) throw Mismatch{std::string(what) + " could leave the range of fp16"};
}

/// Weights of one output channel (sign and size folded), its gain and bias; `input_bound` per input
/// channel, `unit` what a 1 of the input is fed as. Returns the bound of the pooled activation.
template <class Write>
double fold_channel(const double* weights, double bias, bool negative, int inputs, double unit,
                    double limit, const double* input_bound, float& gain, float& out_bias,
                    const char* what, Write&& write) {
  double largest = 0, sum = 0;
  for (int i = 0; i < inputs * kTaps; ++i) {
    largest = std::max(largest, std::abs(weights[i]));
    sum += std::abs(weights[i]) * input_bound[i / kTaps];
  }
  // Both the weights and every partial sum must fit.
  const int r =
      std::max(exponent_for(largest / unit, limit, what), exponent_for(sum, kLargest / 2, what));
  const double sign = negative ? -1.0 : 1.0;
  for (int i = 0; i < inputs * kTaps; ++i) {
    write(i, static_cast<float>(std::ldexp(sign * weights[i] / unit, -r)));
  }
  gain = static_cast<float>(std::ldexp(sign, r));
  out_bias = static_cast<float>(bias);
  check(std::abs(bias) + sum, what);
  return std::abs(bias) + sum;
}

/// The layers of a plan that the kernel can run.
struct Layers {
  Block first, second;
  PlanStep linear;
};

Layers read_layers(PlanReader& reader, const InferencePlan& plan, const NoiseSpec& noise) {
  if (const NoiseTraits& traits = noise_traits(noise.law); traits.has_width())
    throw Mismatch{traits.words};  // the kernel draws Gaussian noise alone
  for (const float p : plan.params) {
    if (!std::isfinite(p)) throw Mismatch{"a parameter is not finite"};
  }
  if (plan.classes > FusedNetwork::kClasses) throw Mismatch{"more than 16 classes"};
  std::vector<double> input_scale, input_shift;
  reader.affine(1, input_scale, input_shift);
  Block first = reader.block(1, 28, kChannels);
  for (int o = 0; o < first.out; ++o) {
    for (int k = 0; k < kTaps; ++k) {
      double& w = first.weights[static_cast<std::size_t>(o * kTaps + k)];
      first.bias[static_cast<std::size_t>(o)] += w * input_shift[0];
      w *= input_scale[0];
    }
  }
  Block second = reader.block(first.out, 12, kChannels);
  if (reader.at(StepKind::flatten)) reader.take(StepKind::flatten, "a flatten");
  const PlanStep linear = reader.take(StepKind::linear, "a linear layer");
  if (!reader.done()) throw Mismatch{"more layers than two convolutions and a linear one"};
  return {std::move(first), std::move(second), linear};
}

/// Both convolutions, with the affine step between them in the second one's weights.
void fold_convolutions(Block& first, Block& second, const NoiseSpec& noise, FusedNetwork& net) {
  const bool lattice = noise.law == NoiseLaw::lattice;
  const double input = largest_input(noise);
  double h1[kChannels] = {};
  for (int o = 0; o < first.out; ++o) {
    const auto oc = static_cast<std::size_t>(o);
    h1[o] = fold_channel(&first.weights[oc * kTaps], first.bias[oc], first.scale[oc] < 0, 1,
                         lattice ? kLatticeInputUnit : 1.0, lattice ? 32768.0 : 1.0, &input,
                         net.gain1[o], net.bias1[o], "the first convolution",
                         [&](int i, float w) { net.conv1[o][i] = w; });
  }
  for (int o = 0; o < second.out; ++o) {
    const auto oc = static_cast<std::size_t>(o);
    double* w = &second.weights[oc * static_cast<std::size_t>(first.out * kTaps)];
    for (int i = 0; i < first.out * kTaps; ++i) {  // the affine step behind the first ReLU
      const auto c = static_cast<std::size_t>(i / kTaps);
      second.bias[oc] += w[i] * first.shift[c];
      w[i] *= first.scale[c];
    }
    fold_channel(w, second.bias[oc], second.scale[oc] < 0, first.out, 1.0, 1.0, h1, net.gain2[o],
                 net.bias2[o], "the second convolution",
                 [&](int i, float v) { net.conv2[o][i / kTaps][i % kTaps] = v; });
  }
}

/// The linear layer, with the affine step before it in its weights, and all of it scaled alike.
void fold_linear(const PlanReader& reader, const PlanStep& linear, const Block& second,
                 FusedNetwork& net) {
  const int features = second.out * 16;
  double largest = 0;
  std::vector<double> weights, bias;
  for (int c = 0; c < net.classes; ++c) {
    bias.push_back(reader.value(linear.bias + static_cast<std::size_t>(c)));
    for (int k = 0; k < features; ++k) {
      const double w = reader.value(linear.weight + static_cast<std::size_t>(c * features + k));
      bias.back() += w * second.shift[static_cast<std::size_t>(k / 16)];
      weights.push_back(w * second.scale[static_cast<std::size_t>(k / 16)]);
      largest = std::max(largest, std::abs(weights.back()));
    }
  }
  const int f = largest > 0 ? std::ilogb(largest) + 1 : 0;  // all classes alike: no vote changes
  for (int c = 0; c < FusedNetwork::kClasses; ++c) {
    net.bias[c] = c < net.classes
                      ? static_cast<float>(std::ldexp(bias[static_cast<std::size_t>(c)], -f))
                      : -1e30f;
    for (int k = 0; k < features && c < net.classes; ++k) {
      net.linear[c][k] =
          static_cast<float>(std::ldexp(weights[static_cast<std::size_t>(c * features + k)], -f));
    }
    if (c < net.classes) check(std::abs(net.bias[c]) / 1e20, "the logits");
  }
}

FusedNetwork match(const InferencePlan& plan, const NoiseSpec& noise) {
  PlanReader reader(plan);
  Layers layers = read_layers(reader, plan, noise);
  FusedNetwork net;
  net.classes = plan.classes;
  fold_convolutions(layers.first, layers.second, noise, net);
  fold_linear(reader, layers.linear, layers.second, net);
  return net;
}

}  // namespace

std::optional<FusedNetwork> match_fused_network(const InferencePlan& plan, const NoiseSpec& noise,
                                                std::string* why_not) {
  try {
    return match(plan, noise);
  } catch (const Mismatch& mismatch) {
    if (why_not) *why_not = mismatch.why;
    return std::nullopt;
  }
}

}  // namespace smoothcert::gpu
