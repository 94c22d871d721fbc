// A study network with realistic scales, images, and a fused launch on plain vectors.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cpu/reference_forward.hpp"
#include "cuda/votes/launch_fused.hpp"
#include "fused_reference.hpp"
#include "gpu/fused_network.hpp"
#include "gpu/fused_packing.hpp"
#include "gpu/vote_tiles.hpp"
#include "kernel_support.hpp"

namespace smoothcert::simt_test {

/// The study's network: PyTorch's initial weights, BatchNorm scales of both signs, a readout wide
/// enough for votes to spread over the classes.
inline Network study_network(unsigned seed = 1) {
  Network net = initialise(builtin_network("convnn"), seed);
  for (auto& [name, tensor] : net.tensors) {
    if (!name.starts_with("bn1")) continue;
    const bool variance = name.ends_with("var");
    tensor.data = random_floats(tensor.data.size(), variance ? 0.01f : -0.4f,
                                variance ? 0.3f : 0.6f, seed + static_cast<unsigned>(name.size()));
  }
  // A readout that prefers no class on average, so that votes depend on the samples.
  std::vector<float>& bias = net.tensors.at("fc1.bias").data;
  std::fill(bias.begin(), bias.end(), 0.0f);
  const InferencePlan plan = make_inference_plan(net);
  constexpr int kSamples = 40;
  std::vector<float> mean(10, 0.0f);
  for (unsigned s = 0; s < kSamples; ++s) {
    const auto logits = reference_forward(plan, random_floats(784, 0.0f, 1.0f, 100 + s));
    for (std::size_t c = 0; c < 10; ++c) mean[c] -= logits[c] / kSamples;
  }
  bias = mean;
  return net;
}

inline std::vector<std::uint8_t> digit_like_images(std::size_t count, unsigned seed) {
  std::vector<std::uint8_t> pixels = random_bytes(count * 784, seed);
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const std::size_t y = i % 784 / 28, x = i % 28;
    if (y < 5 || y > 22 || x < 7 || x > 20) pixels[i] = 0;
  }
  return pixels;
}

inline NoiseSpec noise_spec(NoiseLaw law, double sigma, bool clamp, std::uint64_t seed) {
  NoiseSpec noise;
  noise.law = law;
  noise.sigma = sigma;
  noise.clamp = clamp;
  noise.seed = seed;
  if (law == NoiseLaw::lattice) noise.table = make_lattice_table(sigma, 784);
  return noise;
}

inline device::LatticeView view(const LatticeTable* table) {
  if (!table) return {};
  return {table->hot.data(), table->cold.data(), table->log2_columns, table->offset};
}

/// A batch on plain vectors; segments of these sizes with images, purposes and first samples that
/// differ.
struct FusedCase {
  FusedCase(const std::vector<std::uint32_t>& sizes, std::vector<std::uint8_t> images)
      : pixels(std::move(images)) {
    for (std::size_t s = 0; s < sizes.size(); ++s) {
      const auto i = static_cast<std::uint32_t>(s);
      segments.push_back({samples, 7 + 1000 * i, 1 + i % 2, i == 1 ? 4294967200u : 90 * i});
      samples += sizes[s];
    }
  }
  [[nodiscard]] const std::uint8_t* image(std::size_t segment) const {
    return pixels.data() + 784 * segment;
  }
  [[nodiscard]] std::uint32_t size(std::size_t s) const {
    return (s + 1 < segments.size() ? segments[s + 1].begin : samples) - segments[s].begin;
  }
  /// A batch whose tiles hold `tile` samples; `counts` is zeroed and written by the launch.
  gpu::FusedBatch batch(std::uint32_t tile, int classes) {
    tiles = gpu::tile_offsets(segments, samples, tile);
    counts.assign(segments.size() * static_cast<std::size_t>(classes + 1), 0);
    return {segments.data(), tiles.data(),  static_cast<std::uint32_t>(segments.size()),
            samples,         pixels.data(), counts.data()};
  }
  std::vector<std::uint8_t> pixels;
  std::vector<gpu::VoteSegment> segments;
  std::uint32_t samples = 0;
  std::vector<std::uint32_t> tiles;
  std::vector<unsigned long long> counts;
};

/// A network packed for the fused kernels.
struct PackedNetwork {
  PackedNetwork(const InferencePlan& plan, NoiseSpec spec) : noise(std::move(spec)) {
    std::string why;
    const auto match = gpu::match_fused_network(plan, noise, &why);
    if (!match) throw std::runtime_error("does not fit the fused kernel: " + why);
    net = *match;
    fragments = gpu::pack_fragments(net);
    warpgroup = gpu::pack_warpgroup(net);
  }
  [[nodiscard]] gpu::FusedModel model(bool wgmma = false) const {
    gpu::FusedModel m;
    m.noise = noise;
    m.table = view(noise.table.get());
    m.fragments = wgmma ? warpgroup.data() : fragments.data();
    std::copy(std::begin(net.bias), std::end(net.bias), m.bias);
    m.classes = net.classes;
    return m;
  }
  NoiseSpec noise;
  gpu::FusedNetwork net;
  std::vector<std::uint32_t> fragments, warpgroup;
};

/// A table whose thresholds are the fractions of these samples' own words, wherever they do not
/// overwrite each other: equality, the rare case, everywhere. For tables of 2^11 columns.
inline std::shared_ptr<const LatticeTable> table_that_equals(const LatticeTable& table,
                                                             std::uint64_t seed,
                                                             const gpu::VoteSegment& segment,
                                                             std::uint32_t samples) {
  auto equal = std::make_shared<LatticeTable>(table);
  for (std::uint32_t n = 0; n < samples; ++n) {
    for (std::uint32_t group = 0; group < 196; ++group) {
      const auto words =
          device::philox_at(seed, segment.purpose, segment.image, segment.first_sample + n, group);
      for (const std::uint32_t word : words.v) {
        std::uint32_t& hot = equal->hot[word >> 21];
        hot = word << 11 | (hot & 0x7FFu);
        equal->cold[word >> 21] = 0x80000000u;
      }
    }
  }
  return equal;
}

/// The counts of a batch by the plain computation of fused_reference.hpp.
inline std::vector<unsigned long long> fused_reference_counts(const PackedNetwork& packed,
                                                              const FusedCase& batch) {
  const auto classes = static_cast<std::size_t>(packed.net.classes);
  const gpu::FusedNetwork net = rounded_to_half(packed.net);
  const auto table = view(packed.noise.table.get());
  std::vector<unsigned long long> counts(batch.segments.size() * (classes + 1), 0);
  for (std::size_t s = 0; s < batch.segments.size(); ++s) {
    const gpu::VoteSegment& segment = batch.segments[s];
    for (std::uint32_t n = 0; n < batch.size(s); ++n) {
      const std::uint32_t sample = segment.first_sample + n;
      const auto input = packed.noise.law == NoiseLaw::lattice
                             ? fused_lattice_input(packed.noise, table, batch.image(s),
                                                   segment.purpose, segment.image, sample)
                             : fused_gaussian_input(packed.noise, batch.image(s), segment.purpose,
                                                    segment.image, sample);
      const int vote = reference_vote(fused_reference_logits(net, input));
      ++counts[s * (classes + 1) + (vote < 0 ? classes : static_cast<std::size_t>(vote))];
    }
  }
  return counts;
}

}  // namespace smoothcert::simt_test
