// A network forward and backward on one stream, with gradients of parameters and of the input.
#include "cuda/train/train_pass.hpp"

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

void forward_layer(Stream stream, LayerEngine& engine, const TrainPlan& plan, const TrainBuffers& b,
                   const TrainLayer& layer, std::uint32_t n, ForwardMode mode) {
  const float* in = b.value(plan, layer.in);
  float* out = b.value(plan, layer.out);
  const float* weight = layer.has_weight() ? b.parameters + layer.weight : nullptr;
  const float* bias = layer.has_bias() ? b.parameters + layer.bias : nullptr;
  const std::size_t count = layer.out_shape.size() * n;
  switch (layer.kind) {
    case LayerKind::conv2d:
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
      if (layer.through_relu) break;  // forward_relu() did
      maxpool(stream, pooling(layer), n, in, out, b.pools + layer.pool * b.capacity);
      break;
    case LayerKind::normalize: {
      const float* scale = b.constants + layer.constants;
      affine(stream, in, scale, scale + layer.in_shape.channels, layer.in_shape, n, out);
      break;
    }
    case LayerKind::add:
      add(stream, in, b.value(plan, layer.in2), count, out);
      break;
    case LayerKind::global_avg_pool:
      average(stream, in, layer.in_shape, n, out);
      break;
    case LayerKind::flatten:
    default:  // refused by make_backward_plan()
      break;  // a change of name
  }
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
  const float* weight = layer.has_weight() ? b.parameters + layer.weight : nullptr;
  float* weight_gradient = step.parameters ? b.parameter_gradients + layer.weight : nullptr;
  float* bias_grad =
      step.parameters && layer.has_bias() ? b.parameter_gradients + layer.bias : nullptr;
  const std::size_t count = layer.out_shape.size() * n;
  const ConvShape shape = conv_shape(layer, static_cast<int>(n));
  switch (layer.kind) {
    case LayerKind::conv2d:
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
      if (in_gradient) {
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
    case LayerKind::add:
      if (in_gradient) {
        pass_gradient(stream, out_gradient, count, add_in, in_gradient);
      }
      if (step.in2 != Flow::skip) {
        pass_gradient(stream, out_gradient, count, step.in2 == Flow::add,
                      b.gradient(plan, layer.in2));
      }
      break;
    case LayerKind::global_avg_pool:
      if (in_gradient) {
        average_backward(stream, out_gradient, layer.in_shape, n, add_in, in_gradient);
      }
      break;
    case LayerKind::flatten:
    default:  // refused by make_backward_plan()
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
    if (layer.kind == LayerKind::conv2d || layer.kind == LayerKind::linear) {
      engine.prepare(conv_shape(layer, static_cast<int>(n)), layer.kind == LayerKind::linear, true);
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
