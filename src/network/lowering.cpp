// What the lowerings of a network, for evaluation and for training, read off a layer alike.
#include "network/lowering.hpp"

namespace smoothcert {

bool is_plain(const WindowShape& w) {
  const auto fits = [](const WindowAxis& a) {
    return (a.out - 1) * a.stride + a.kernel <= a.in + 2 * a.padding;
  };
  return !w.adaptive && w.groups == 1 && w.y.kernel == w.x.kernel && w.y.stride == w.x.stride &&
         w.y.padding == w.x.padding && w.y.dilation == 1 && w.x.dilation == 1 && fits(w.y) &&
         fits(w.x);
}

std::optional<Activation> activation_of(const Layer& layer) {
  switch (layer.kind) {
    case LayerKind::leaky_relu:
      return Activation::leaky_relu;
    case LayerKind::relu6:
      return Activation::relu6;
    case LayerKind::elu:
      return Activation::elu;
    case LayerKind::silu:
      return Activation::silu;
    case LayerKind::sigmoid:
      return Activation::sigmoid;
    case LayerKind::tanh:
      return Activation::tanh;
    case LayerKind::gelu:
      return layer.tanh_form ? Activation::gelu_tanh : Activation::gelu;
    case LayerKind::hardswish:
      return Activation::hardswish;
    case LayerKind::conv2d:
    case LayerKind::relu:
    case LayerKind::batchnorm:
    case LayerKind::maxpool:
    case LayerKind::flatten:
    case LayerKind::linear:
    case LayerKind::normalize:
    case LayerKind::add:
    case LayerKind::global_avg_pool:
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
    case LayerKind::adaptive_maxpool:
    case LayerKind::prelu:
    case LayerKind::softmax:
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
    case LayerKind::concat:
    case LayerKind::mul:
    case LayerKind::sub:
    case LayerKind::constant:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;
  }
  return std::nullopt;
}

ArithmeticShape arithmetic_shape(LayerKind kind, const ActivationShape& a, const ActivationShape& b,
                                 const ActivationShape& out) {
  const auto operand = [](const ActivationShape& s) {
    return ArithmeticOperand{s.channels == 1 ? 0 : s.height * s.width, s.height == 1 ? 0 : s.width,
                             s.width == 1 ? 0 : 1};
  };
  const ArithmeticKind how = kind == LayerKind::sub   ? ArithmeticKind::sub
                             : kind == LayerKind::mul ? ArithmeticKind::mul
                                                      : ArithmeticKind::add;
  return {how, out.channels, out.height, out.width, operand(a), operand(b)};
}

int norm_groups(const Layer& layer) {
  if (layer.kind == LayerKind::groupnorm) return layer.groups;
  return layer.kind == LayerKind::layernorm ? 1 : layer.out.channels;
}

bool renames_input(LayerKind kind) {
  return kind == LayerKind::flatten || kind == LayerKind::reshape || kind == LayerKind::identity ||
         kind == LayerKind::dropout;
}

}  // namespace smoothcert
