// Networks of two convolutions and linear layers, packed for the fused feature kernel, and their
// votes on plain vectors: by the pass in the emulator and by the plain computation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cuda/votes/feature_pass.hpp"
#include "feature_reference.hpp"
#include "fused_support.hpp"
#include "gpu/feature_packing.hpp"

namespace smoothcert::simt_test {

/// Biases of the last layer such that no class is preferred on average: votes depend on the
/// samples.
inline void centre_logits(Network& net, const std::string& bias_name) {
  std::vector<float>& bias = net.tensors.at(bias_name).data;
  std::fill(bias.begin(), bias.end(), 0.0f);
  const InferencePlan plan = make_inference_plan(net);
  constexpr int kSamples = 10;
  std::vector<float> mean(bias.size(), 0.0f);
  for (unsigned s = 0; s < kSamples; ++s) {
    const auto logits = reference_forward(plan, random_floats(784, 0.0f, 1.0f, 100 + s));
    for (std::size_t c = 0; c < mean.size(); ++c) mean[c] -= logits[c] / kSamples;
  }
  bias = mean;
}

inline Network lenet(unsigned seed = 1) {
  Network net = initialise(builtin_network("lenet"), seed);
  centre_logits(net, "fc2.bias");
  return net;
}

/// Odd channel counts, normalisation and BatchNorm of both signs before and behind the ReLUs, one
/// linear layer of three classes.
inline Network small_lenet(unsigned seed = 1) {
  NetworkSpec spec;
  spec.name = "small lenet";
  spec.input = {1, 28, 28};
  spec.classes = 3;
  const auto layer = [&](LayerKind kind, std::string name = "") -> Layer& {
    Layer l;
    l.kind = kind;
    l.name = std::move(name);
    l.inputs = {static_cast<int>(spec.layers.size()) - 1};
    spec.layers.push_back(l);
    return spec.layers.back();
  };
  const auto convolution = [&](const char* name, int channels) {
    Layer& l = layer(LayerKind::conv2d, name);
    l.out_channels = channels, l.kernel = 5;
  };
  const auto pooling = [&] {
    Layer& l = layer(LayerKind::maxpool);
    l.kernel = l.stride = 2;
  };
  Layer& normalize = layer(LayerKind::normalize, "normalize");
  normalize.mean = {0.13f}, normalize.stddev = {0.31f};
  convolution("conv1", 7);
  layer(LayerKind::relu);
  layer(LayerKind::batchnorm, "bn1");
  pooling();
  convolution("conv2", 11);
  layer(LayerKind::batchnorm, "bn2");
  layer(LayerKind::relu);
  pooling();
  layer(LayerKind::flatten);
  layer(LayerKind::linear, "fc").out_channels = 3;
  infer_shapes(spec);
  Network net = initialise(spec, seed);
  for (auto& [name, tensor] : net.tensors) {
    if (!name.starts_with("bn")) continue;
    const bool variance = name.ends_with("var");
    tensor.data = random_floats(tensor.data.size(), variance ? 0.05f : -0.5f,
                                variance ? 0.5f : 0.6f, seed + static_cast<unsigned>(name.size()));
  }
  centre_logits(net, "fc.bias");
  return net;
}

/// A network packed for the feature kernel.
struct PackedFeatures {
  PackedFeatures(const InferencePlan& plan, NoiseSpec spec) : noise(std::move(spec)) {
    std::string why;
    const auto match = gpu::match_feature_network(plan, noise, &why);
    if (!match) throw std::runtime_error("does not fit the feature kernel: " + why);
    net = *match;
    pack();
  }
  void pack() {
    words = gpu::pack_features(net);
    layers = gpu::pack_linear(net);
  }
  [[nodiscard]] gpu::FeatureModel model() const {
    return {noise, view(noise.table.get()), words.data(), (net.channels2 + 1) / 2};
  }
  NoiseSpec noise;
  gpu::FeatureNetwork net;
  std::vector<std::uint32_t> words;
  std::vector<gpu::PackedLinear> layers;
};

inline gpu::DeviceSegments segments_of(const FusedCase& batch) {
  return {batch.segments.data(), static_cast<std::uint32_t>(batch.segments.size()), batch.samples,
          batch.pixels.data(), 784};
}

/// The features of every sample, with an unwritten one behind the last.
inline std::vector<std::uint16_t> emulated_features(const PackedFeatures& packed,
                                                    const FusedCase& batch,
                                                    gpu::FeatureShape shape) {
  const auto size = static_cast<std::size_t>(gpu::feature_count(packed.net));
  std::vector<std::uint16_t> features((batch.samples + 1) * size, 0xA5A5);
  gpu::compute_features(nullptr, packed.model(), segments_of(batch), shape, features.data());
  return features;
}

/// The counts of a batch by the pass, with our own kernel's products.
inline std::vector<unsigned long long> feature_counts(const PackedFeatures& packed,
                                                      const FusedCase& batch,
                                                      gpu::FeatureShape shape, std::uint32_t tile) {
  std::vector<gpu::DeviceLinear> linear;
  std::size_t widest = 0;
  for (const auto& layer : packed.layers) {
    linear.push_back({layer.in, layer.out, layer.scale, layer.weights.data(), layer.bias.data()});
    widest = std::max(widest, static_cast<std::size_t>(layer.out));
  }
  // What an earlier batch left behind is computed, too, and must not matter.
  std::vector<std::uint16_t> features(tile * static_cast<std::size_t>(linear[0].in), 0x7BFF);
  std::vector<std::uint16_t> hidden(tile * widest, 0x7BFF);
  std::vector<float> sums(tile * widest, 1e30f);
  const auto classes = static_cast<std::size_t>(packed.net.classes);
  std::vector<unsigned long long> counts(batch.segments.size() * (classes + 1), 0);
  const auto engine = gpu::make_direct_half_engine();
  gpu::count_feature_votes(nullptr, *engine, packed.model(), shape, linear, packed.net.classes,
                           segments_of(batch), {features.data(), hidden.data(), sums.data()}, tile,
                           counts.data());
  return counts;
}

/// Calls f(segment, features) for every sample, by the plain computation.
template <class F>
void for_reference_features(const PackedFeatures& packed, const FusedCase& batch, F&& f) {
  const gpu::FeatureNetwork net = rounded_to_half(packed.net);
  const auto table = view(packed.noise.table.get());
  for (std::size_t s = 0; s < batch.segments.size(); ++s) {
    const gpu::VoteSegment& segment = batch.segments[s];
    for (std::uint32_t n = 0; n < batch.size(s); ++n) {
      const std::uint32_t sample = segment.first_sample + n;
      f(s, reference_features(
               net, packed.noise.law == NoiseLaw::lattice
                        ? fused_lattice_input(packed.noise, table, batch.image(s), segment.purpose,
                                              segment.image, sample)
                        : fused_gaussian_input(packed.noise, batch.image(s), segment.purpose,
                                               segment.image, sample)));
    }
  }
}

inline std::vector<unsigned long long> reference_counts(const PackedFeatures& packed,
                                                        const FusedCase& batch) {
  const gpu::FeatureNetwork net = rounded_to_half(packed.net);
  const auto classes = static_cast<std::size_t>(net.classes);
  std::vector<unsigned long long> counts(batch.segments.size() * (classes + 1), 0);
  for_reference_features(packed, batch, [&](std::size_t s, const std::vector<double>& features) {
    const int vote = reference_vote(reference_logits(net, features));
    ++counts[s * (classes + 1) + (vote < 0 ? classes : static_cast<std::size_t>(vote))];
  });
  return counts;
}

}  // namespace smoothcert::simt_test
