// Launches of the steps that no tuned kernel knows, whichever way their values lie. Asynchronous on
// the given stream; pointers are device pointers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "cuda/runtime/abi.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

/// Value i of sample n at base[i·value_pitch + n·sample_pitch].
struct StepValues {
  float* base = nullptr;
  std::size_t value_pitch = 1, sample_pitch = 1;
};

/// Whether run_general_step() runs it.
constexpr bool is_general(StepKind kind) { return kind >= StepKind::window_conv; }

/// `place` says where a value number lies, the step's inputs and its output.
void run_general_step(Stream stream, const InferencePlan& plan, const PlanStep& step,
                      const float* params, std::uint32_t samples,
                      const std::function<StepValues(int)>& place);

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
