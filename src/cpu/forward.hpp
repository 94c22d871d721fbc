// Logits of given images by the exact plan, one image per SIMD lane.
#pragma once

#include <span>

#include "cpu/thread_pool.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert::cpu {

/// images: N × CHW, logits: N × classes.
void forward(const InferencePlan& plan, ThreadPool& pool, std::span<const float> images,
             std::span<float> logits);

}  // namespace smoothcert::cpu
