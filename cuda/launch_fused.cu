#include <cmath>

#include "fused_mma_kernel.cuh"
#include "launch.cuh"
#include "launch_fused.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

FusedNoise fused_noise(const NoiseSpec& spec, const device::LatticeView& table) {
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

template <class Noise, int kWarps>
void launch_fused(Stream stream, const FusedParams& params, unsigned blocks) {
  constexpr std::size_t kShared = sizeof(FusedShared<Noise, kWarps>);
#if defined(__CUDACC__)
  SMOOTHCERT_CUDA(cudaFuncSetAttribute(fused_mma_kernel<Noise, kWarps>,
                                       cudaFuncAttributeMaxDynamicSharedMemorySize, kShared));
#endif
  const auto kernel = fused_mma_kernel<Noise, kWarps>;
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks), dim3(kWarps * 32), kShared, stream, params);
}

template <class Noise>
void launch_fused(Stream stream, const FusedParams& params, FusedShape shape) {
  switch (shape.warps) {
#if defined(__CUDACC__)
    case 12:
      return launch_fused<Noise, 12>(stream, params, shape.blocks);
    case 8:
      return launch_fused<Noise, 8>(stream, params, shape.blocks);
    case 4:
      return launch_fused<Noise, 4>(stream, params, shape.blocks);
#else
    case 2:
      return launch_fused<Noise, 2>(stream, params, shape.blocks);
    case 1:
      return launch_fused<Noise, 1>(stream, params, shape.blocks);
#endif
  }
  throw Error("fused kernel: no width of " + std::to_string(shape.warps) + " warps");
}

}  // namespace

std::size_t fused_shared_bytes(NoiseLaw law, int warps) {
  const auto bytes = [&](auto one, auto two) {
    return one + static_cast<std::size_t>(warps - 1) * (two - one);
  };
  return law == NoiseLaw::lattice ? bytes(sizeof(FusedShared<LatticeNoise<true>, 1>),
                                          sizeof(FusedShared<LatticeNoise<true>, 2>))
                                  : bytes(sizeof(FusedShared<GaussianNoise<true>, 1>),
                                          sizeof(FusedShared<GaussianNoise<true>, 2>));
}

void count_fused_votes(Stream stream, const FusedModel& model, const FusedBatch& batch,
                       FusedShape shape) {
  FusedParams params{};
  params.noise = fused_noise(model.noise, model.table);
  params.batch = batch;
  params.fragments = reinterpret_cast<const uint4*>(model.fragments);
  for (int c = 0; c < 16; ++c) params.bias[c] = model.bias[c];
  params.classes = model.classes;
  const bool clamp = model.noise.clamp;
  if (model.noise.law == NoiseLaw::lattice) {
    clamp ? launch_fused<LatticeNoise<true>>(stream, params, shape)
          : launch_fused<LatticeNoise<false>>(stream, params, shape);
  } else {
    clamp ? launch_fused<GaussianNoise<true>>(stream, params, shape)
          : launch_fused<GaussianNoise<false>>(stream, params, shape);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
