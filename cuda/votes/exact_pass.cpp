// Exact mode on one stream: noise, the plan's steps, votes.
#include "cuda/votes/exact_pass.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

const float* run_plan(Stream stream, const InferencePlan& plan, const ValueLayout& layout,
                      const float* params, float* values, std::uint32_t samples,
                      std::size_t pitch) {
  const auto value = [&](int number) {
    return values +
           pitch * (number < 0 ? layout.image : layout.offsets[static_cast<std::size_t>(number)]);
  };
  for (const PlanStep& step : plan.steps) {
    if (is_general(step.kind)) {
      run_general_step(stream, plan, step, params, samples, [&](int number) {
        return StepValues{value(number), pitch, 1};
      });
    } else {
      run_step(stream, step, params, value(step.in),
               step.kind == StepKind::add ? value(step.in2) : nullptr, value(step.out), samples,
               pitch);
    }
  }
  return value(static_cast<int>(plan.steps.size()) - 1);
}

void count_exact_votes(Stream stream, const InferencePlan& plan, const ValueLayout& layout,
                       const float* params, const NoiseSpec& noise,
                       const device::LatticeView& table, const DeviceSegments& batch, float* values,
                       unsigned long long* counts) {
  const std::size_t pitch = value_pitch(batch.samples);
  float* image = values + pitch * layout.image;
  add_noise(stream, batch, noise, table, image, pitch, 1);
  const float* logits = run_plan(stream, plan, layout, params, values, batch.samples, pitch);
  count_votes(stream, logits, pitch, 1, plan.classes, batch, counts);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
