// A network forward and backward on one stream, with gradients of parameters and of the input.
#include "cuda/train/train_pass.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

Pooling pooling(const TrainLayer& layer) {
  return {layer.in_shape, layer.out_shape, layer.kernel, layer.stride, layer.padding};
}

const TrainLayer& layer_of(const TrainPlan& plan, int index) {
  return plan.layers[static_cast<std::size_t>(index)];
}

/// relu, with the bias of the convolution before it and the pooling after it where they are joined.
void forward_relu(Stream stream, const LayerEngine& engine, const TrainPlan& plan,
                  const TrainBuffers& b, int index, std::uint32_t n) {
  const TrainLayer& layer = layer_of(plan, index);
  const float* in = b.value(plan, layer.in);
  const bool has_bias =
      layer.in >= 0 && layer_of(plan, layer.in).bias_in_relu && engine.adds_bias_apart();
  const float* bias = has_bias ? b.parameters + layer_of(plan, layer.in).bias : nullptr;
  if (layer.pooled_by >= 0) {
    const TrainLayer& pool = layer_of(plan, layer.pooled_by);
    relu_maxpool(stream, pooling(pool), n, in, bias, b.value(plan, layer.pooled_by),
                 b.pools + pool.pool * b.capacity);
  } else if (bias) {
    bias_relu(stream, in, bias, layer.out_shape, n, b.value(plan, index));
  } else {
    relu(stream, in, layer.out_shape.size() * n, b.value(plan, index));
  }
}

void forward_layer(Stream stream, LayerEngine& engine, const TrainPlan& plan, const TrainBuffers& b,
                   int index, std::uint32_t n, ForwardMode mode) {
  const TrainLayer& layer = layer_of(plan, index);
  const float* in = b.value(plan, layer.in);
  float* out = b.value(plan, index);
  const float* weight = b.parameters + layer.weight;
  const float* bias = layer.has_bias ? b.parameters + layer.bias : nullptr;
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
      forward_relu(stream, engine, plan, b, index, n);
      break;
    case LayerKind::batchnorm:
      batchnorm(stream, layer, mode, n, in, weight, b.parameters + layer.bias,
                b.statistics + layer.statistics, b.saved + layer.saved, b.scratch, out);
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
      break;  // a change of name
  }
}

void backward_layer(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                    const TrainBuffers& b, int index, std::uint32_t n, ForwardMode mode,
                    const BackwardGoals& goals) {
  const TrainLayer& layer = layer_of(plan, index);
  const float* in = b.value(plan, layer.in);
  const float* out_gradient = b.gradient(plan, index);
  // Joined with the relu before it, a layer's gradient is of the relu's input, whose only reader
  // the relu is.
  const int target = layer.through_relu ? layer_of(plan, layer.in).in : layer.in;
  float* in_gradient = goals.input || layer.in_trains ? b.gradient(plan, target) : nullptr;
  const float* weight = b.parameters + layer.weight;
  float* weight_gradient = goals.parameters ? b.parameter_gradients + layer.weight : nullptr;
  float* bias_grad =
      goals.parameters && layer.has_bias ? b.parameter_gradients + layer.bias : nullptr;
  const std::size_t count = layer.out_shape.size() * n;
  const ConvShape shape = conv_shape(layer, static_cast<int>(n));
  switch (layer.kind) {
    case LayerKind::conv2d:
      if (weight_gradient) {
        engine.conv_weight_gradient(stream, shape, in, out_gradient, goals.add_parameters,
                                    weight_gradient, bias_grad);
      }
      if (in_gradient) {
        engine.conv_input_gradient(stream, shape, out_gradient, weight, layer.adds_to_in,
                                   in_gradient);
      }
      break;
    case LayerKind::linear:
      if (weight_gradient) {
        engine.linear_weight_gradient(stream, shape, in, out_gradient, goals.add_parameters,
                                      weight_gradient, bias_grad);
      }
      if (in_gradient) {
        engine.linear_input_gradient(stream, shape, out_gradient, weight, layer.adds_to_in,
                                     in_gradient);
      }
      break;
    case LayerKind::batchnorm:
      if (!weight_gradient && !in_gradient) break;
      batchnorm_backward(stream, layer, mode, n, in, weight, b.saved + layer.saved, out_gradient,
                         b.scratch, weight_gradient,
                         goals.parameters ? b.parameter_gradients + layer.bias : nullptr,
                         goals.add_parameters, in_gradient, layer.adds_to_in, layer.through_relu);
      break;
    case LayerKind::relu:
      if (in_gradient && !layer.gradient_by_next) {
        relu_backward(stream, b.value(plan, index), out_gradient, count, layer.adds_to_in,
                      in_gradient);
      }
      break;
    case LayerKind::maxpool:
      if (in_gradient) {
        maxpool_backward(stream, pooling(layer), n, b.pools + layer.pool * b.capacity,
                         layer.through_relu ? b.value(plan, index) : nullptr, out_gradient,
                         layer.adds_to_in, in_gradient);
      }
      break;
    case LayerKind::normalize:
      if (in_gradient) {
        affine_backward(stream, out_gradient, b.constants + layer.constants, layer.in_shape, n,
                        layer.adds_to_in, in_gradient);
      }
      break;
    case LayerKind::add:
      if (in_gradient) {
        pass_gradient(stream, out_gradient, count, layer.adds_to_in, in_gradient);
      }
      if (goals.input || layer.in2_trains) {
        pass_gradient(stream, out_gradient, count, layer.adds_to_in2, b.gradient(plan, layer.in2));
      }
      break;
    case LayerKind::global_avg_pool:
      if (in_gradient) {
        average_backward(stream, out_gradient, layer.in_shape, n, layer.adds_to_in, in_gradient);
      }
      break;
    case LayerKind::flatten:
      break;
  }
}

}  // namespace

void forward_pass(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                  const TrainBuffers& buffers, std::uint32_t n, ForwardMode mode) {
  for (int i = 0; i <= plan.logits(); ++i) {
    forward_layer(stream, engine, plan, buffers, i, n, mode);
  }
}

void backward_pass(Stream stream, LayerEngine& engine, const TrainPlan& plan,
                   const TrainBuffers& buffers, std::uint32_t n, ForwardMode mode,
                   const BackwardGoals& goals) {
  for (int i = plan.logits(); i >= 0; --i) {
    if (!plan.layers[static_cast<std::size_t>(i)].reached) continue;
    backward_layer(stream, engine, plan, buffers, i, n, mode, goals);
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
