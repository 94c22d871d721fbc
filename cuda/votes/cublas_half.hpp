// Matrix products of halves by cuBLAS, fp32 throughout the sum.
#pragma once

#include <memory>

#include "cuda/votes/half_engine.hpp"

namespace smoothcert::gpu {

/// cuBLAS where it is built in and SMOOTHCERT_GPU_ENGINE does not say "direct", else our own
/// kernel. On the calling thread's device, for one stream.
std::unique_ptr<HalfEngine> make_half_engine();

}  // namespace smoothcert::gpu
