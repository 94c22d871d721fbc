// Launches of the fused fp16 kernel with mma.sync, and which one a device gets.
#include "cuda/runtime/launch.cuh"
#include "cuda/votes/fused_mma_kernel.cuh"
#include "cuda/votes/fused_params.cuh"
#include "cuda/votes/launch_fused.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

template <class Noise, int kWarps>
void launch_fused(Stream stream, const FusedParams& params, unsigned blocks) {
  constexpr std::size_t kShared = sizeof(FusedShared<Noise, kWarps>);
  const auto kernel = fused_mma_kernel<Noise, kWarps>;
  SMOOTHCERT_ALLOW_SHARED(kernel, kShared);
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks), dim3(kWarps * 32), kShared, stream, params);
}

template <class Noise>
void launch_fused(Stream stream, const FusedParams& params, FusedShape shape) {
  switch (shape.warps) {
#if defined(SMOOTHCERT_DEVICE_WIDTHS)
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
  if (shape.warpgroups > 0) return count_fused_votes_wgmma(stream, model, batch, shape);
  const FusedParams params = fused_params(model, batch);
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
