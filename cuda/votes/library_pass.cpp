// Fast mode for any network: the plan's layers image-major (NCHW), convolutions and linear layers
// by the engine of the GPU's libraries.
#include "cuda/votes/library_pass.hpp"

#include "cuda/train/launch_train.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

ConvShape conv_shape(const PlanStep& step, std::uint32_t tile) {
  const auto images = static_cast<int>(tile);
  if (step.kind == StepKind::linear) {
    const auto features = static_cast<int>(step.in_shape.size());
    return {images, features, 1, 1, step.out_shape.channels, 1, 1, 1, 1, 0};
  }
  return {images,
          step.in_shape.channels,
          step.in_shape.height,
          step.in_shape.width,
          step.out_shape.channels,
          step.out_shape.height,
          step.out_shape.width,
          step.kernel,
          step.stride,
          step.padding};
}

/// Whether the bias of this convolution is left to the relu that follows, its only reader: one pass
/// over the values less.
bool bias_in_relu(const LayerEngine& engine, const InferencePlan& plan, int convolution) {
  if (convolution < 0 || !engine.adds_bias_apart()) return false;
  const auto steps = static_cast<int>(plan.steps.size());
  const auto step = [&](int i) -> const PlanStep& {
    return plan.steps[static_cast<std::size_t>(i)];
  };
  const int next = convolution + 1;
  if (step(convolution).kind != StepKind::conv2d || next >= steps ||
      step(next).kind != StepKind::relu || step(next).in != convolution) {
    return false;
  }
  for (int i = next + 1; i < steps; ++i) {
    if (step(i).in == convolution || step(i).in2 == convolution) return false;
  }
  return true;
}

}  // namespace

const float* run_plan_by_library(Stream stream, LayerEngine& engine, const InferencePlan& plan,
                                 const ValueLayout& layout, const float* params, float* values,
                                 std::uint32_t tile) {
  const auto value = [&](int number) {
    return values +
           std::size_t{tile} *
               (number < 0 ? layout.image : layout.offsets[static_cast<std::size_t>(number)]);
  };
  for (const PlanStep& step : plan.steps) {
    if (is_general(step.kind)) {
      run_general_step(stream, plan, step, params, tile, [&](int number) {
        return StepValues{value(number), 1, value_shape(plan, number).size()};
      });
      continue;
    }
    const float *in = value(step.in), *weight = params + step.weight, *bias = params + step.bias;
    float* out = value(step.out);
    const std::size_t count = step.out_shape.size() * tile;
    switch (step.kind) {
      case StepKind::conv2d:
        engine.conv(stream, conv_shape(step, tile), in, weight,
                    bias_in_relu(engine, plan, step.out) ? nullptr : bias, out);
        break;
      case StepKind::linear:
        engine.linear(stream, conv_shape(step, tile), in, weight, bias, out);
        break;
      case StepKind::affine:
        affine(stream, in, weight, bias, step.in_shape, tile, out);
        break;
      case StepKind::relu:
        if (bias_in_relu(engine, plan, step.in)) {
          const PlanStep& convolution = plan.steps[static_cast<std::size_t>(step.in)];
          bias_relu(stream, in, params + convolution.bias, step.out_shape, tile, out);
        } else {
          relu(stream, in, count, out);
        }
        break;
      case StepKind::maxpool:
        maxpool(stream, {step.in_shape, step.out_shape, step.kernel, step.stride, step.padding},
                tile, in, out, nullptr);
        break;
      case StepKind::add:
        add(stream, in, value(step.in2), count, out);
        break;
      case StepKind::global_avg_pool:
        average(stream, in, step.in_shape, tile, out);
        break;
      default:
        break;  // a flatten is a change of name; the layout gave both values the same place
    }
  }
  return value(static_cast<int>(plan.steps.size()) - 1);
}

void count_library_votes(Stream stream, LayerEngine& engine, const InferencePlan& plan,
                         const ValueLayout& layout, const float* params, const NoiseSpec& noise,
                         const device::LatticeView& table, const DeviceSegments& batch,
                         float* values, std::uint32_t tile, unsigned long long* counts) {
  float* image = values + std::size_t{tile} * layout.image;
  const std::size_t size = plan.input.size();
  add_noise(stream, batch, noise, table, image, 1, size);
  const float* logits = run_plan_by_library(stream, engine, plan, layout, params, values, tile);
  count_votes(stream, logits, 1, static_cast<std::size_t>(plan.classes), plan.classes, batch,
              counts);
}

void prepare_engine(LayerEngine& engine, const InferencePlan& plan, std::uint32_t tile) {
  for (const PlanStep& step : plan.steps) {
    if (step.kind == StepKind::conv2d || step.kind == StepKind::linear) {
      engine.prepare(conv_shape(step, tile), step.kind == StepKind::linear, false);
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
