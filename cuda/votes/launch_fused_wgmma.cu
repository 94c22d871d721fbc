// Launch of the fused fp16 kernel with wgmma, a unit of its own for the one architecture it is for.
#include "cuda/runtime/launch.cuh"
#include "cuda/votes/fused_params.cuh"
#include "cuda/votes/fused_wgmma_kernel.cuh"
#include "cuda/votes/launch_fused.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

#if defined(SMOOTHCERT_DEVICE_WIDTHS)
constexpr int kGroups = 3;
#else
constexpr int kGroups = 2;
#endif

template <class Noise>
void launch_wgmma(Stream stream, const FusedParams& params, unsigned blocks) {
  constexpr std::size_t kShared = sizeof(WgmmaShared<Noise, kGroups>);
  static_assert(kShared <= 232448, "more than compute capability 9.0 has");
  const auto kernel = fused_wgmma_kernel<Noise, kGroups>;
  SMOOTHCERT_ALLOW_SHARED(kernel, kShared);
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks), dim3(kGroups * 128), kShared, stream, params);
}

}  // namespace

bool wgmma_is_built() {
#if defined(SMOOTHCERT_BUILT_FOR_90A) || !defined(__CUDACC__)
  return true;
#else
  return false;
#endif
}

void count_fused_votes_wgmma(Stream stream, const FusedModel& model, const FusedBatch& batch,
                             FusedShape shape) {
  const FusedParams params = fused_params(model, batch);
  const bool clamp = model.noise.clamp;
  if (model.noise.law == NoiseLaw::lattice) {
    clamp ? launch_wgmma<LatticeNoise<true, true>>(stream, params, shape.blocks)
          : launch_wgmma<LatticeNoise<false, true>>(stream, params, shape.blocks);
  } else {
    clamp ? launch_wgmma<GaussianNoise<true, true>>(stream, params, shape.blocks)
          : launch_wgmma<GaussianNoise<false, true>>(stream, params, shape.blocks);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
