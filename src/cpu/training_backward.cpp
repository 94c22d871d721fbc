// The backward pass of each layer, on one lane group.
#include <algorithm>
#include <cstring>

#include "cpu/training_pass.hpp"

namespace smoothcert::cpu {
namespace {

std::size_t cast(int x) { return static_cast<std::size_t>(x); }

/// Zero rows and columns around (padding) or between (dilation) the values of an activation.
void spread(std::size_t channels, int height, int width, int padding, int dilation, int to_height,
            int to_width, std::size_t lanes, const float* from, float* to) {
  const std::size_t row = cast(to_width) * lanes;
  std::fill_n(to, channels * cast(to_height) * row, 0.0f);
  for (std::size_t c = 0; c < channels; ++c, to += cast(to_height) * row)
    for (int y = 0; y < height; ++y) {
      float* line = to + cast(padding + y * dilation) * row + cast(padding) * lanes;
      for (int x = 0; x < width; ++x, from += lanes)
        std::memcpy(line + cast(x * dilation) * lanes, from, lanes * sizeof(float));
    }
}

}  // namespace

void TrainingPass::conv_weights(const TrainNode& node, int group, Scratch& scratch) {
  const float* in = value(node.in, group);
  const float* grad = gradient(node.out, group);
  if (node.padding > 0) {
    spread(node.channels, node.in_shape.height, node.in_shape.width, node.padding, 1,
           node.gradient.in_height, node.gradient.in_width, lanes_, in, scratch.spread.data());
    in = scratch.spread.data();
  }
  kernels_.conv_weights(node.gradient, in, grad, slot(group) + node.weight_slot);
  if (node.has_bias())
    kernels_.channel_sums(cast(node.out_shape.channels),
                          cast(node.out_shape.height) * cast(node.out_shape.width), grad,
                          slot(group) + node.bias_slot);
}

void TrainingPass::conv_input(const TrainNode& node, const float* grad, float* to,
                              Scratch& scratch) {
  if (node.stride > 1) {
    spread(cast(node.out_shape.channels), node.out_shape.height, node.out_shape.width, 0,
           node.stride, node.backward.in_height, node.backward.in_width, lanes_, grad,
           scratch.spread.data());
    grad = scratch.spread.data();
  }
  lane_kernels_.conv(node.backward, node.backward.out_width, grad, to);
}

void TrainingPass::parameter_gradients(const TrainNode& node, int group, Scratch& scratch) {
  const float* grad = gradient(node.out, group);
  float* weights = slot(group) + node.weight_slot;
  switch (node.kind) {
    case LayerKind::conv2d:
      if (node.plain_window) return conv_weights(node, group, scratch);
      kernels_.window_conv_weights(node.window, value(node.in, group), grad, weights);
      if (node.has_bias())
        kernels_.channel_sums(node.bias_count, node.out_shape.size() / node.bias_count, grad,
                              slot(group) + node.bias_slot);
      break;
    case LayerKind::prelu:
      kernels_.prelu_slopes(node.weight_count, node.channels * node.area / node.weight_count,
                            value(node.in, group), grad, weights);
      break;
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      kernels_.group_norm_backward(norm_step(node), value(node.in, group), grad, nullptr, weights,
                                   slot(group) + node.bias_slot);
      break;
    case LayerKind::batchnorm:  // combine_backward()
    case LayerKind::linear:     // linear()
    case LayerKind::relu:
    case LayerKind::maxpool:
    case LayerKind::flatten:
    case LayerKind::normalize:
    case LayerKind::add:
    case LayerKind::global_avg_pool:
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
    case LayerKind::adaptive_maxpool:
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
    case LayerKind::softmax:
    case LayerKind::concat:
    case LayerKind::mul:
    case LayerKind::sub:
    case LayerKind::constant:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;
  }
}

void TrainingPass::gradient_of_input(const Op& op, const TrainNode& node, const Batch& batch,
                                     int group, float* to, Scratch& scratch) {
  const float* grad = gradient(node.out, group);
  const float* in = value(node.in, group);
  const std::size_t count = node.channels * node.area;
  switch (node.kind) {
    case LayerKind::conv2d:
      if (node.plain_window)
        conv_input(node, grad, to, scratch);
      else
        kernels_.window_conv_input(window_step(node), grad, to);
      break;
    case LayerKind::relu:
      kernels_.relu_backward(count, value(node.out, group), grad, to);
      break;
    case LayerKind::batchnorm: {
      const NormState& norm = parameters_.norm(node.norm);
      if (node.pool_out != kNoValue)
        kernels_.norm_pool_backward(norm_pool(node), valid(batch, group), norm.backward.data(), in,
                                    gradient(node.pool_out, group), to);
      else if (op.mode == ForwardMode::train)
        kernels_.norm_backward(node.channels, node.area, valid(batch, group), norm.backward.data(),
                               in, grad, to);
      else
        kernels_.scale_channels(node.channels, node.area, norm.scale.data(), grad, to);
      break;
    }
    case LayerKind::normalize:
      kernels_.scale_channels(node.channels, node.area, node.scale.data(), grad, to);
      break;
    case LayerKind::maxpool:
    case LayerKind::adaptive_maxpool:
      if (node.plain_window)
        kernels_.maxpool_backward(node.pool, in, grad, to);
      else
        kernels_.window_max_backward(node.window, in, grad, to);
      break;
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
      kernels_.window_mean_backward(node.window, grad, to);
      break;
    case LayerKind::global_avg_pool:
      kernels_.average_backward(node.channels, node.area, grad, to);
      break;
    case LayerKind::add:
    case LayerKind::sub:
    case LayerKind::mul:
      if (node.plain_add)
        std::copy_n(grad, count * lanes_, to);
      else
        kernels_.arithmetic_backward(node.arithmetic, false, value(node.in2, group), grad, to);
      break;
    case LayerKind::concat:
      std::copy_n(grad, group_stride(node.in), to);
      break;
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
      kernels_.activate_backward(node.activation, node.alpha, count, in, grad, to);
      break;
    case LayerKind::prelu:
      kernels_.prelu_backward(node.weight_count, count / node.weight_count, parameters_.scale(node),
                              in, grad, to);
      break;
    case LayerKind::softmax:
      kernels_.softmax_backward(node.channels, node.area, value(node.out, group), grad, to);
      break;
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      kernels_.group_norm_backward(norm_step(node), in, grad, to, nullptr, nullptr);
      break;
    case LayerKind::linear:  // linear()
    case LayerKind::constant:
    case LayerKind::flatten:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;
  }
}

void TrainingPass::backward(const Op& op, const TrainNode& node, const Batch& batch, int group,
                            Scratch& scratch) {
  const BackwardStep& step = op.gradient;
  if (step.parameters) parameter_gradients(node, group, scratch);
  flow(node.in, step.in, group, scratch,
       [&](float* to) { gradient_of_input(op, node, batch, group, to, scratch); });
  if (node.in2 == kNoValue) return;
  const float* grad = gradient(node.out, group);
  if (node.kind == LayerKind::concat) {
    const auto part = [&](int v, Flow how) {
      flow(v, how, group, scratch, [&](float* to) { std::copy_n(grad, group_stride(v), to); });
      grad += group_stride(v);
    };
    grad += group_stride(node.in);
    part(node.in2, step.in2);
    for (std::size_t i = 0; i < node.more.size(); ++i) part(node.more[i], step.more[i]);
  } else if (node.plain_add && step.in2 == Flow::add) {
    float* sum = gradient(node.in2, group);
    lane_kernels_.add(node.channels * node.area, sum, grad, sum);
  } else {
    flow(node.in2, step.in2, group, scratch, [&](float* to) {
      if (node.plain_add)
        std::copy_n(grad, node.channels * node.area * lanes_, to);
      else
        kernels_.arithmetic_backward(node.arithmetic, true, value(node.in, group), grad, to);
    });
  }
}

}  // namespace smoothcert::cpu
