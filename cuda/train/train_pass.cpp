// A network forward and backward on one stream, with gradients of parameters and of the input.
#include "cuda/train/train_pass.hpp"

#include "cuda/layers/launch_general_layers.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

Pooling pooling(const TrainLayer& layer) {
  return {layer.in_shape, layer.out_shape, layer.kernel, layer.stride, layer.padding};
}

/// relu, with the bias of the convolution before it and the pooling after it where they are joined.
void forward_relu(Stream stream, const LayerEngine& engine, const TrainPlan& plan,
                  const TrainBuffers& b, const TrainLayer& layer, std::uint32_t n) {
  const float* in = b.value(plan, layer.in);
  const TrainLayer* before = plan.before(layer);
  const bool has_bias = before && before->bias_in_relu && engine.adds_bias_apart();
  const float* bias = has_bias ? b.parameters + before->bias : nullptr;
  if (layer.pooled_by != kNoNode) {
    const TrainLayer& pool = plan.layer(layer.pooled_by);
    relu_maxpool(stream, pooling(pool), n, in, bias, b.value(plan, pool.out),
                 b.pools + pool.pool * b.capacity);
  } else if (bias) {
    bias_relu(stream, in, bias, layer.out_shape, n, b.value(plan, layer.out));
  } else {
    relu(stream, in, layer.out_shape.size() * n, b.value(plan, layer.out));
  }
}

/// Null where there is none; a BatchNorm without affine has ones and zeros.
const float* weight_of(const TrainBuffers& b, const TrainLayer& layer) {
  if (layer.has_weight()) return b.parameters + layer.weight;
  return layer.kind == LayerKind::batchnorm ? b.constants + layer.constants : nullptr;
}
const float* bias_of(const TrainBuffers& b, const TrainLayer& layer) {
  if (layer.has_bias()) return b.parameters + layer.bias;
  return layer.kind == LayerKind::batchnorm
             ? b.constants + layer.constants + layer.in_shape.channels
             : nullptr;
}

/// Values of an image in one of the plan's values.
std::size_t size_of(const TrainPlan& plan, int value) {
  return plan.graph.value(value).shape.size();
}

void forward_layer(Stream stream, LayerEngine& engine, const TrainPlan& plan, const TrainBuffers& b,
                   const TrainLayer& layer, std::uint32_t n, ForwardMode mode) {
  const float* in = layer.in == kNoValue ? nullptr : b.value(plan, layer.in);
  float* out = b.value(plan, layer.out);
  const float* weight = weight_of(b, layer);
  const float* bias = bias_of(b, layer);
  const std::size_t count = layer.out_shape.size() * n;
  switch (layer.kind) {
    case LayerKind::conv2d:
      if (!layer.plain_window) {
        window_conv(stream, layer.window, n, in, weight, bias, out);
        break;
      }
      engine.conv(stream, conv_shape(layer, static_cast<int>(n)), in, weight,
                  layer.bias_in_relu && engine.adds_bias_apart() ? nullptr : bias, out);
      break;
    case LayerKind::linear:
      engine.linear(stream, conv_shape(layer, static_cast<int>(n)), in, weight, bias, out);
      break;
    case LayerKind::relu:
      forward_relu(stream, engine, plan, b, layer, n);
      break;
    case LayerKind::batchnorm:
      batchnorm(stream, layer, mode, n, in, weight, bias, b.statistics + layer.statistics,
                b.saved + layer.saved, b.scratch, out);
      break;
    case LayerKind::maxpool:
    case LayerKind::adaptive_maxpool:
      if (layer.through_relu) break;  // forward_relu() did
      if (!layer.plain_window) {
        window_max(stream, layer.window, n, in, out, b.pools + layer.pool * b.capacity);
        break;
      }
      maxpool(stream, pooling(layer), n, in, out, b.pools + layer.pool * b.capacity);
      break;
    case LayerKind::normalize: {
      const float* scale = b.constants + layer.constants;
      affine(stream, in, scale, scale + layer.in_shape.channels, layer.in_shape, n, out);
      break;
    }
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
      window_mean(stream, layer.window, n, in, out);
      break;
    case LayerKind::add:
    case LayerKind::sub:
    case LayerKind::mul:
      if (layer.plain_add) {
        add(stream, in, b.value(plan, layer.in2), count, out);
      } else {
        arithmetic(stream, layer.arithmetic, size_of(plan, layer.in), size_of(plan, layer.in2), n,
                   in, b.value(plan, layer.in2), out);
      }
      break;
    case LayerKind::concat: {
      std::size_t first = 0;
      layer.for_each_input([&](int value) {
        const std::size_t part = size_of(plan, value);
        copy_into(stream, layer.out_shape.size(), first, part, n, b.value(plan, value), out);
        first += part;
      });
      break;
    }
    case LayerKind::constant:
      repeat(stream, b.statistics + layer.statistics, layer.out_shape.size(), n, out);
      break;
    case LayerKind::global_avg_pool:
      average(stream, in, layer.in_shape, n, out);
      break;
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
      activate(stream, layer, n, in, out);
      break;
    case LayerKind::prelu:
      prelu(stream, layer, n, weight, in, out);
      break;
    case LayerKind::softmax:
      softmax(stream, layer, n, in, out);
      break;
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm:
      group_norm(stream, layer, n, in, weight, bias, b.values + layer.moments * b.capacity, out);
      break;
    case LayerKind::flatten:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;  // a change of name
  }
}

/// The inputs of a concat from the second on.
void backward_concat(Stream stream, const TrainPlan& plan, const TrainBuffers& b,
                     const TrainLayer& layer, const BackwardStep& step, std::uint32_t n) {
  const float* gradient = b.gradient(plan, layer.out);
  std::size_t first = size_of(plan, layer.in);
  const auto part = [&](int value, Flow flow) {
    const std::size_t size = size_of(plan, value);
    if (flow != Flow::skip) {
      copy_out_of(stream, layer.out_shape.size(), first, size, n, gradient, flow == Flow::add,
                  b.gradient(plan, value));
    }
    first += size;
  };
  part(layer.in2, step.in2);
  for (std::size_t i = 0; i < layer.more.size(); ++i) part(layer.more[i], step.more[i]);
}

void backward_layer(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                    const TrainBuffers& b, const BackwardStep& step, std::uint32_t n,
                    const step_op::Backward& pass) {
  const TrainLayer& layer = plan.layer(step.node);
  const float* in = b.value(plan, layer.in);
  const float* out_gradient = b.gradient(plan, layer.out);
  // Joined with the relu before it, a layer's gradient is of the relu's input, whose only reader
  // the relu is.
  const int target = layer.through_relu ? plan.before(layer)->in : layer.in;
  float* in_gradient = step.in == Flow::skip ? nullptr : b.gradient(plan, target);
  const bool add_in = step.in == Flow::add;
  const float* weight = weight_of(b, layer);
  float* weight_gradient = step.parameters ? b.parameter_gradients + layer.weight : nullptr;
  float* bias_grad =
      step.parameters && layer.has_bias() ? b.parameter_gradients + layer.bias : nullptr;
  const std::size_t count = layer.out_shape.size() * n;
  const ConvShape shape = conv_shape(layer, static_cast<int>(n));
  switch (layer.kind) {
    case LayerKind::conv2d:
      if (!layer.plain_window) {
        if (weight_gradient) {
          window_conv_weight_gradient(stream, layer.window, n, in, out_gradient, pass.add,
                                      weight_gradient);
        }
        if (bias_grad) {
          bias_gradient(stream, out_gradient, layer.out_shape, n, pass.add, b.scratch, bias_grad);
        }
        if (in_gradient) {
          window_conv_input_gradient(stream, layer.window, n, out_gradient, weight, add_in,
                                     in_gradient);
        }
        break;
      }
      if (weight_gradient) {
        engine.conv_weight_gradient(stream, shape, in, out_gradient, pass.add, weight_gradient,
                                    bias_grad);
      }
      if (in_gradient) {
        engine.conv_input_gradient(stream, shape, out_gradient, weight, add_in, in_gradient);
      }
      break;
    case LayerKind::linear:
      if (weight_gradient) {
        engine.linear_weight_gradient(stream, shape, in, out_gradient, pass.add, weight_gradient,
                                      bias_grad);
      }
      if (in_gradient) {
        engine.linear_input_gradient(stream, shape, out_gradient, weight, add_in, in_gradient);
      }
      break;
    case LayerKind::batchnorm:
      batchnorm_backward(stream, layer, pass.mode, n, in, weight, b.saved + layer.saved,
                         out_gradient, b.scratch, weight_gradient, bias_grad, pass.add, in_gradient,
                         add_in, layer.through_relu);
      break;
    case LayerKind::relu:
      if (in_gradient && !layer.gradient_by_next) {
        relu_backward(stream, b.value(plan, layer.out), out_gradient, count, add_in, in_gradient);
      }
      break;
    case LayerKind::maxpool:
    case LayerKind::adaptive_maxpool:
      if (in_gradient && !layer.plain_window) {
        window_max_backward(stream, layer.window, n, b.pools + layer.pool * b.capacity,
                            out_gradient, add_in, in_gradient);
      } else if (in_gradient) {
        maxpool_backward(stream, pooling(layer), n, b.pools + layer.pool * b.capacity,
                         layer.through_relu ? b.value(plan, layer.out) : nullptr, out_gradient,
                         add_in, in_gradient);
      }
      break;
    case LayerKind::normalize:
      if (in_gradient) {
        affine_backward(stream, out_gradient, b.constants + layer.constants, layer.in_shape, n,
                        add_in, in_gradient);
      }
      break;
    case LayerKind::avgpool:
    case LayerKind::adaptive_avgpool:
      if (in_gradient) {
        window_mean_backward(stream, layer.window, n, out_gradient, add_in, in_gradient);
      }
      break;
    case LayerKind::add:
    case LayerKind::sub:
    case LayerKind::mul: {
      const auto gradient_of = [&](bool second, Flow flow, float* gradient) {
        if (flow == Flow::skip) return;
        if (layer.plain_add) {
          pass_gradient(stream, out_gradient, count, flow == Flow::add, gradient);
        } else {
          arithmetic_backward(
              stream, layer.arithmetic, size_of(plan, layer.in), size_of(plan, layer.in2), second,
              n, second ? in : b.value(plan, layer.in2), out_gradient, flow == Flow::add, gradient);
        }
      };
      gradient_of(false, step.in, in_gradient);
      gradient_of(true, step.in2, b.gradient(plan, layer.in2));
      break;
    }
    case LayerKind::concat:
      if (in_gradient) {
        copy_out_of(stream, layer.out_shape.size(), 0, size_of(plan, layer.in), n, out_gradient,
                    add_in, in_gradient);
      }
      backward_concat(stream, plan, b, layer, step, n);
      break;
    case LayerKind::leaky_relu:
    case LayerKind::relu6:
    case LayerKind::elu:
    case LayerKind::silu:
    case LayerKind::sigmoid:
    case LayerKind::tanh:
    case LayerKind::gelu:
    case LayerKind::hardswish:
      if (in_gradient) {
        activate_backward(stream, layer, n, in, out_gradient, add_in, in_gradient);
      }
      break;
    case LayerKind::prelu:
      if (weight_gradient) {
        prelu_slopes(stream, layer, n, in, out_gradient, pass.add, weight_gradient);
      }
      if (in_gradient) {
        prelu_backward(stream, layer, n, weight, in, out_gradient, add_in, in_gradient);
      }
      break;
    case LayerKind::softmax:
      if (in_gradient) {
        softmax_backward(stream, layer, n, b.value(plan, layer.out), out_gradient, add_in,
                         in_gradient);
      }
      break;
    case LayerKind::groupnorm:
    case LayerKind::layernorm:
    case LayerKind::instancenorm: {
      const float* moments = b.values + layer.moments * b.capacity;
      if (weight_gradient) {
        group_norm_parameters(stream, layer, n, in, moments, out_gradient, pass.add,
                              weight_gradient, bias_grad);
      }
      if (in_gradient) {
        group_norm_backward(stream, layer, n, in, weight, moments, out_gradient, add_in,
                            in_gradient);
      }
      break;
    }
    case LayerKind::global_avg_pool:
      if (in_gradient) {
        average_backward(stream, out_gradient, layer.in_shape, n, add_in, in_gradient);
      }
      break;
    case LayerKind::constant:  // no gradient flows into it
    case LayerKind::flatten:
    case LayerKind::reshape:
    case LayerKind::identity:
    case LayerKind::dropout:
      break;
  }
}

}  // namespace

void forward_pass(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                  const TrainBuffers& buffers, std::uint32_t n, const step_op::Forward& pass) {
  for (const TrainLayer& layer : plan.layers) {
    if (layer.reached) forward_layer(stream, engine, plan, buffers, layer, n, pass.mode);
  }
}

void backward_pass(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                   const TrainBuffers& buffers, std::uint32_t n, const step_op::Backward& pass) {
  for (const BackwardStep& step : backward_steps(plan.graph, pass.of)) {
    backward_layer(stream, engine, plan, buffers, step, n, pass);
  }
}

void prepare_engine(LayerEngine& engine, const TrainPlan& plan, std::uint32_t n) {
  for (const TrainLayer& layer : plan.layers) {
    if (layer.is_dense()) {
      engine.prepare(conv_shape(layer, static_cast<int>(n)), layer.kind == LayerKind::linear, true);
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
