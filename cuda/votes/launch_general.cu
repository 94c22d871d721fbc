// Launches of the steps that no tuned kernel knows.
#include "cuda/runtime/launch.cuh"
#include "cuda/votes/general_kernels.cuh"
#include "cuda/votes/launch_general.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

void run_general_step(Stream stream, const InferencePlan& plan, const PlanStep& step,
                      const float* params, std::uint32_t samples,
                      const std::function<StepValues(int)>& place) {
  const unsigned threads = block_threads();
  const dim3 block(threads);
  const auto grid = [&](std::size_t outputs) {
    return dim3(static_cast<unsigned>(outputs), blocks_for(samples, threads));
  };
  const std::size_t outputs = step.out_shape.size();
  const int area = step.in_shape.height * step.in_shape.width;
  const float* weight = params + step.weight;
  const float* bias = params + step.bias;
  const StepValues in = place(step.in), out = place(step.out);
  switch (step.kind) {
    case StepKind::window_conv:
      SMOOTHCERT_LAUNCH(window_conv_step_kernel, grid(outputs), block, 0, stream, step.window,
                        samples, weight, bias, in, out);
      break;
    case StepKind::window_max:
    case StepKind::window_mean:
      SMOOTHCERT_LAUNCH(window_pool_step_kernel, grid(outputs), block, 0, stream, step.window,
                        step.kind == StepKind::window_max, samples, in, out);
      break;
    case StepKind::activation:
      SMOOTHCERT_LAUNCH(activation_step_kernel, grid(outputs), block, 0, stream, step.activation,
                        step.alpha, samples, in, out);
      break;
    case StepKind::prelu:
      SMOOTHCERT_LAUNCH(prelu_step_kernel, grid(outputs), block, 0, stream,
                        static_cast<std::uint32_t>(area), samples, weight, in, out);
      break;
    case StepKind::softmax:
      SMOOTHCERT_LAUNCH(softmax_step_kernel, grid(static_cast<std::size_t>(area)), block, 0, stream,
                        step.in_shape.channels, area, samples, in, out);
      break;
    case StepKind::norm: {
      const NormShape shape{
          static_cast<std::uint32_t>(outputs / static_cast<std::size_t>(step.groups)),
          static_cast<std::uint32_t>(area), step.eps, step.value_weights};
      SMOOTHCERT_LAUNCH(norm_step_kernel, grid(static_cast<std::size_t>(step.groups)), block, 0,
                        stream, shape, samples, weight, bias, in, out);
      break;
    }
    case StepKind::arithmetic: {
      const StepValues in2 = place(step.in2);
      SMOOTHCERT_LAUNCH(arithmetic_step_kernel, grid(outputs), block, 0, stream, step.arithmetic,
                        samples, in, in2, out);
      break;
    }
    case StepKind::concat: {
      std::size_t first = 0;
      step.for_each_input([&](int number) {
        const std::size_t size = value_shape(plan, number).size();
        SMOOTHCERT_LAUNCH(copy_step_kernel, grid(size), block, 0, stream, first, samples,
                          place(number), out);
        first += size;
      });
      break;
    }
    case StepKind::constant:
      SMOOTHCERT_LAUNCH(constant_step_kernel, grid(outputs), block, 0, stream, samples, weight,
                        out);
      break;
    default:
      throw Error("a step of this network has no kernel; please report this");
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
