// Launch of the fused feature kernel.
#include "cuda/runtime/launch.cuh"
#include "cuda/votes/fused_features_kernel.cuh"
#include "cuda/votes/fused_params.cuh"
#include "cuda/votes/launch_features.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

template <class Noise, int kWarps>
void launch_features(Stream stream, const FeatureParams& params, unsigned blocks) {
  constexpr std::size_t kShared = sizeof(FeatureShared<Noise, kWarps>);
  const auto kernel = fused_features_kernel<Noise, kWarps>;
  SMOOTHCERT_ALLOW_SHARED(kernel, kShared);
  SMOOTHCERT_LAUNCH(kernel, dim3(blocks), dim3(kWarps * 32), kShared, stream, params);
}

template <class Noise>
void launch_features(Stream stream, const FeatureParams& params, FeatureShape shape) {
  switch (shape.warps) {
#if defined(SMOOTHCERT_DEVICE_WIDTHS)
    case 12:
      return launch_features<Noise, 12>(stream, params, shape.blocks);
    case 8:
      return launch_features<Noise, 8>(stream, params, shape.blocks);
#else
    case 2:
      return launch_features<Noise, 2>(stream, params, shape.blocks);
    case 1:
      return launch_features<Noise, 1>(stream, params, shape.blocks);
#endif
  }
  throw Error("fused feature kernel: no width of " + std::to_string(shape.warps) + " warps");
}

}  // namespace

int feature_warps() {
#if defined(SMOOTHCERT_DEVICE_WIDTHS)
  return compiled_for(fused_features_kernel<LatticeNoise<true>, 12>) >= 90 ? 12 : 8;
#else
  return 2;
#endif
}

std::size_t feature_shared_bytes(NoiseLaw law, int warps) {
  const std::size_t one = law == NoiseLaw::lattice ? sizeof(FeatureShared<LatticeNoise<true>, 1>)
                                                   : sizeof(FeatureShared<GaussianNoise<true>, 1>);
  return one + static_cast<std::size_t>(warps - 1) * sizeof(FeatureSample);
}

void compute_features(Stream stream, const FeatureModel& model, const DeviceSegments& batch,
                      FeatureShape shape, std::uint16_t* features) {
  FeatureParams params;
  params.noise = fused_noise(model.noise, model.table);
  params.batch = batch;
  params.weights = reinterpret_cast<const uint4*>(model.weights);
  params.channel_pairs = model.channel_pairs;
  params.features = reinterpret_cast<std::uint32_t*>(features);
  const bool clamp = model.noise.clamp;
  if (model.noise.law == NoiseLaw::lattice) {
    clamp ? launch_features<LatticeNoise<true>>(stream, params, shape)
          : launch_features<LatticeNoise<false>>(stream, params, shape);
  } else {
    clamp ? launch_features<GaussianNoise<true>>(stream, params, shape)
          : launch_features<GaussianNoise<false>>(stream, params, shape);
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
