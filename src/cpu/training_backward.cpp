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

void TrainingPass::backward(const Op& op, const TrainNode& node, const Batch& batch, int group,
                            Scratch& scratch) {
  const float* grad = gradient(node.out, group);
  if (node.kind == LayerKind::conv2d && op.gradient.parameters) conv_weights(node, group, scratch);
  const std::size_t count = node.channels * node.area;
  if (op.gradient.in != Flow::skip) {
    const bool adds = op.gradient.in == Flow::add;
    float* to = adds ? scratch.sum.data() : gradient(node.in, group);
    switch (node.kind) {
      case LayerKind::conv2d:
        conv_input(node, grad, to, scratch);
        break;
      case LayerKind::relu:
        kernels_.relu_backward(count, value(node.out, group), grad, to);
        break;
      case LayerKind::batchnorm: {
        const NormState& norm = parameters_.norm(node.norm);
        if (node.pool_out != kNoValue)
          kernels_.norm_pool_backward(norm_pool(node), valid(batch, group), norm.backward.data(),
                                      value(node.in, group), gradient(node.pool_out, group), to);
        else if (op.mode == ForwardMode::train)
          kernels_.norm_backward(node.channels, node.area, valid(batch, group),
                                 norm.backward.data(), value(node.in, group), grad, to);
        else
          kernels_.scale_channels(node.channels, node.area, norm.scale.data(), grad, to);
        break;
      }
      case LayerKind::normalize:
        kernels_.scale_channels(node.channels, node.area, node.scale.data(), grad, to);
        break;
      case LayerKind::maxpool:
        kernels_.maxpool_backward(node.pool, value(node.in, group), grad, to);
        break;
      case LayerKind::global_avg_pool:
        kernels_.average_backward(node.channels, node.area, grad, to);
        break;
      case LayerKind::add:
        std::copy_n(grad, count * lanes_, to);
        break;
      case LayerKind::linear:
      case LayerKind::flatten:
      default:  // refused by make_backward_plan()
        break;
    }
    if (adds) {
      float* sum = gradient(node.in, group);
      lane_kernels_.add(count, sum, to, sum);
    }
  }
  if (op.gradient.in2 != Flow::skip) {
    float* to = gradient(node.in2, group);
    if (op.gradient.in2 == Flow::add)
      lane_kernels_.add(count, to, grad, to);
    else
      std::copy_n(grad, count * lanes_, to);
  }
}

}  // namespace smoothcert::cpu
