// Fast mode for networks of two convolutions whose linear layers are large: the fused feature
// kernel, then matrix products of whole tiles.
#include "cuda/votes/feature_pass.hpp"

#include "cuda/train/launch_train.hpp"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {

void count_feature_votes(Stream stream, HalfEngine& engine, const FeatureModel& model,
                         FeatureShape shape, std::span<const DeviceLinear> linear, int classes,
                         const DeviceSegments& batch, const FeatureBuffers& buffers,
                         std::uint32_t tile, unsigned long long* counts) {
  compute_features(stream, model, batch, shape, buffers.features);
  const std::uint16_t* x = buffers.features;
  for (const DeviceLinear& layer : linear) {
    engine.multiply(stream, {static_cast<int>(tile), layer.in, layer.out, layer.scale}, x,
                    layer.weights, buffers.sums);
    if (&layer == &linear.back()) {
      add_bias(stream, layer.bias, {layer.out, 1, 1}, tile, buffers.sums);
      count_votes(stream, buffers.sums, 1, static_cast<std::size_t>(layer.out), classes, batch,
                  counts);
    } else {
      relu_to_halves(stream, buffers.sums, layer.bias, layer.out, tile, buffers.hidden);
      x = buffers.hidden;
    }
  }
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
