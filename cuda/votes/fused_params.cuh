// The parameters of a fused fp16 kernel, from the host's description of the launch.
#pragma once

#include <cmath>

#include "cuda/votes/fused_state.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

inline FusedNoise fused_noise(const NoiseSpec& spec, const device::LatticeView& table) {
  FusedNoise noise;
  noise.keys = device::philox_keys(spec.seed);
  noise.seed = spec.seed;
  noise.table = table;
  const auto length = static_cast<std::uint32_t>(table.log2_columns);
  noise.log2_columns = length;
  noise.column_shift = 32 - length;
  noise.columns = 1u << length;
  noise.column_mask = ((1u << length) - 1) * 0x10001u;
  const double scale = 2 * std::log(2.0) * spec.sigma * spec.sigma;
  noise.radius_scale = static_cast<float>(-scale);
  // A little more than 32·scale: the argument of the root stays positive for the largest word.
  noise.radius_offset = static_cast<float>(32 * scale * (1 + 3e-7));
  return noise;
}

inline FusedParams fused_params(const FusedModel& model, const FusedBatch& batch) {
  FusedParams params{};
  params.noise = fused_noise(model.noise, model.table);
  params.batch = batch;
  params.weights = reinterpret_cast<const uint4*>(model.fragments);
  for (int c = 0; c < 16; ++c) params.bias[c] = model.bias[c];
  params.classes = model.classes;
  return params;
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
