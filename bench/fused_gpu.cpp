// The fused kernels on a GPU, one beside the other: samples a second, and whether they agree.
//
//   fused_gpu [IMAGES [SAMPLES]]       one JSON line a kernel; exit 1 where votes disagree too much
//
// The exact kernel's votes are the measure: fp16 votes may differ on 0.2 % of the samples of a
// trained model; the network here has its initial weights, whose logits lie closer, so 2 % are
// granted. The two fp16 kernels differ only by their tensor cores' last bits. LeNet's feature
// kernel follows, a whole tile at a time, with our own matrix products (the measure) and with
// cuBLAS's.
#include <cuda_runtime_api.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <functional>
#include <vector>

#include "cuda/runtime/context.hpp"
#include "cuda/votes/cublas_half.hpp"
#include "cuda/votes/feature_pass.hpp"
#include "cuda/votes/launch_fused.hpp"
#include "cuda/votes/vote_device.hpp"
#include "gpu/exact_program.hpp"
#include "gpu/fused_packing.hpp"
#include "gpu/vote_tiles.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::gpu {
namespace {

/// The batch on the device, with tiles of one size.
struct Batch {
  Batch(std::uint32_t images, std::uint32_t samples, std::uint32_t tile, cudaStream_t stream) {
    std::vector<std::uint8_t> values(std::size_t{images} * 784);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::size_t y = i % 784 / 28, x = i % 28;
      const bool ink = (y + i / 784) % 9 < 3 && x > 6 && x < 21;
      values[i] = static_cast<std::uint8_t>(ink ? 255 - x * 3 : 0);
    }
    for (std::uint32_t i = 0; i < images; ++i) segments_.push_back({i * samples, i, 1, 0});
    total = images * samples;
    counters = std::size_t{images} * 11;
    device_segments_ = upload(segments_, stream);
    tiles_ = upload(tile_offsets(segments_, total, tile), stream);
    pixels_ = upload(values, stream);
    counts_ = DeviceBuffer<unsigned long long>(counters);
  }
  [[nodiscard]] FusedBatch view() const {
    return {
        device_segments_.data(), tiles_.data(), static_cast<std::uint32_t>(segments_.size()), total,
        pixels_.data(),          counts_.data()};
  }
  [[nodiscard]] DeviceSegments segments() const {
    return {device_segments_.data(), static_cast<std::uint32_t>(segments_.size()), total,
            pixels_.data(), 784};
  }
  std::vector<std::uint64_t> counts(cudaStream_t stream) const {
    std::vector<std::uint64_t> host(counters);
    SMOOTHCERT_CUDA(cudaMemcpyAsync(host.data(), counts_.data(), counters * sizeof(std::uint64_t),
                                    cudaMemcpyDeviceToHost, stream));
    SMOOTHCERT_CUDA(cudaStreamSynchronize(stream));
    return host;
  }
  std::uint32_t total = 0;
  std::size_t counters = 0;

 private:
  std::vector<VoteSegment> segments_;
  DeviceBuffer<VoteSegment> device_segments_;
  DeviceBuffer<std::uint32_t> tiles_;
  DeviceBuffer<std::uint8_t> pixels_;
  DeviceBuffer<unsigned long long> counts_;
};

struct Timing {
  std::vector<std::uint64_t> votes;
  double best = 0, median = 0;  ///< seconds
};

/// One launch for the votes and to warm up, then nine timed ones.
Timing time_launches(const Batch& batch, cudaStream_t stream, const std::function<void()>& launch) {
  const FusedBatch view = batch.view();
  SMOOTHCERT_CUDA(cudaMemsetAsync(view.counts, 0, batch.counters * 8, stream));
  launch();
  Timing timing;
  timing.votes = batch.counts(stream);
  cudaEvent_t from = nullptr, to = nullptr;
  SMOOTHCERT_CUDA(cudaEventCreate(&from));
  SMOOTHCERT_CUDA(cudaEventCreate(&to));
  std::vector<double> seconds;
  for (int i = 0; i < 9; ++i) {
    SMOOTHCERT_CUDA(cudaEventRecord(from, stream));
    launch();
    SMOOTHCERT_CUDA(cudaEventRecord(to, stream));
    SMOOTHCERT_CUDA(cudaEventSynchronize(to));
    float milliseconds = 0;
    SMOOTHCERT_CUDA(cudaEventElapsedTime(&milliseconds, from, to));
    seconds.push_back(milliseconds * 1e-3);
  }
  cudaEventDestroy(from);
  cudaEventDestroy(to);
  std::sort(seconds.begin(), seconds.end());
  timing.best = seconds.front();
  timing.median = seconds[seconds.size() / 2];
  return timing;
}

/// Votes that moved from one class to another: half the sum of differences.
double moved(const std::vector<std::uint64_t>& a, const std::vector<std::uint64_t>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] > b[i] ? a[i] - b[i] : b[i] - a[i];
  return sum / 2;
}

/// LeNet: noise and convolutions fused, the rest as matrix products.
bool time_features(cudaStream_t stream, const cudaDeviceProp& properties) {
  const InferencePlan plan = make_inference_plan(initialise(builtin_network("lenet"), 1));
  NoiseSpec noise;
  noise.table = make_lattice_table(noise.sigma, 784);
  const auto network = match_feature_network(plan, noise, nullptr);
  FeatureShape shape;
  shape.blocks = static_cast<unsigned>(properties.multiProcessorCount);
  shape.warps = feature_warps();
  if (feature_shared_bytes(noise.law, shape.warps) > properties.sharedMemPerBlockOptin) return true;
  const auto words = upload(pack_features(*network), stream);
  const auto hot = upload(noise.table->hot, stream), cold = upload(noise.table->cold, stream);
  const FeatureModel model{
      noise,
      {hot.data(), cold.data(), noise.table->log2_columns, noise.table->offset},
      words.data(),
      (network->channels2 + 1) / 2};
  std::vector<DeviceBuffer<std::uint16_t>> weights;
  std::vector<DeviceBuffer<float>> biases;
  std::vector<DeviceLinear> linear;
  for (const PackedLinear& layer : pack_linear(*network)) {
    weights.push_back(upload(layer.weights, stream));
    biases.push_back(upload(layer.bias, stream));
    linear.push_back(
        {layer.in, layer.out, layer.scale, weights.back().data(), biases.back().data()});
  }
  const std::uint32_t tile = tile_sizes().feature;
  const DeviceBuffer<std::uint16_t> features(std::size_t{tile} *
                                             static_cast<std::size_t>(linear[0].in));
  const DeviceBuffer<std::uint16_t> hidden(std::size_t{tile} *
                                           static_cast<std::size_t>(linear[0].out));
  const DeviceBuffer<float> sums(std::size_t{tile} * static_cast<std::size_t>(linear[0].out));
  const Batch batch(32, tile / 32, 16, stream);
  bool agree = true;
  std::vector<std::uint64_t> votes;
  const auto report = [&](const std::string& kernel, const Timing& timing) {
    if (votes.empty()) votes = timing.votes;
    const double share = moved(timing.votes, votes) / batch.total;
    agree = agree && share <= 0.02;
    std::printf(
        "{\"kernel\": \"%s\", \"noise\": \"lattice\", \"device\": \"%s\", \"samples\": %u, "
        "\"samples_per_second\": %.4g, \"median\": %.4g, \"votes_unlike_direct\": %.3g}\n",
        kernel.c_str(), properties.name, batch.total, batch.total / timing.best,
        batch.total / timing.median, share);
  };
  for (const auto& engine : {make_direct_half_engine(), make_half_engine()}) {
    report("fused features + " + engine->describe(), time_launches(batch, stream, [&] {
             count_feature_votes(stream, *engine, model, shape, linear, 10, batch.segments(),
                                 {features.data(), hidden.data(), sums.data()}, tile,
                                 batch.view().counts);
           }));
  }
  const Timing alone = time_launches(batch, stream, [&] {
    compute_features(stream, model, batch.segments(), shape, features.data());
  });
  std::printf(
      "{\"kernel\": \"fused features alone\", \"device\": \"%s\", \"samples\": %u, "
      "\"samples_per_second\": %.4g, \"median\": %.4g}\n",
      properties.name, batch.total, batch.total / alone.best, batch.total / alone.median);
  return agree;
}

int run(std::uint32_t images, std::uint32_t samples) {
  const OwnedStream owned = make_stream();
  const cudaStream_t stream = owned.get();
  cudaDeviceProp properties{};
  SMOOTHCERT_CUDA(cudaGetDeviceProperties(&properties, 0));
  const InferencePlan plan = make_inference_plan(initialise(builtin_network("convnn"), 1));
  bool agree = true;
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    NoiseSpec noise;
    noise.law = law;
    device::LatticeView table{};
    DeviceBuffer<std::uint32_t> hot, cold;
    if (law == NoiseLaw::lattice) {
      noise.table = make_lattice_table(noise.sigma, 784);
      hot = upload(noise.table->hot, stream);
      cold = upload(noise.table->cold, stream);
      table = {hot.data(), cold.data(), noise.table->log2_columns, noise.table->offset};
    }
    std::vector<std::uint64_t> exact_votes;
    const auto report = [&](const char* kernel, const Batch& batch, const Timing& timing) {
      const double share = moved(timing.votes, exact_votes) / batch.total;
      agree = agree && share <= 0.02;
      std::printf(
          "{\"kernel\": \"%s\", \"noise\": \"%s\", \"device\": \"%s\", \"samples\": %u, "
          "\"samples_per_second\": %.4g, \"median\": %.4g, \"votes_unlike_exact\": %.3g}\n",
          kernel, law == NoiseLaw::lattice ? "lattice" : "gaussian", properties.name, batch.total,
          batch.total / timing.best, batch.total / timing.median, share);
    };
    {
      const auto program = make_exact_program(plan, properties.sharedMemPerBlockOptin, nullptr);
      const auto weights = upload(program->weights, stream);
      const Batch batch(images, samples, static_cast<std::uint32_t>(program->samples), stream);
      const auto blocks = static_cast<unsigned>(4 * properties.multiProcessorCount);
      const Timing timing = time_launches(batch, stream, [&] {
        count_fused_exact_votes(stream, *program, weights.data(), noise, table, batch.view(),
                                blocks);
      });
      exact_votes = timing.votes;
      report("exact fused", batch, timing);
    }
    const auto network = match_fused_network(plan, noise, nullptr);
    FusedModel model;
    model.noise = noise;
    model.table = table;
    model.classes = network->classes;
    std::copy(std::begin(network->bias), std::end(network->bias), model.bias);
    for (const bool wgmma : {false, true}) {
      if (wgmma && !(properties.major == 9 && properties.minor == 0 && wgmma_is_built())) continue;
      FusedShape shape;
      shape.blocks = static_cast<unsigned>(properties.multiProcessorCount);
      shape.warpgroups = wgmma ? 3 : 0;
      shape.warps = 8;
      if (fused_shared_bytes(law, shape.warps) > properties.sharedMemPerBlockOptin) shape.warps = 4;
      const auto weights =
          upload(wgmma ? pack_warpgroup(*network) : pack_fragments(*network), stream);
      model.fragments = weights.data();
      const Batch batch(images, samples, shape.tile(), stream);
      report(wgmma ? "fused fp16 wgmma" : "fused fp16 mma", batch,
             time_launches(batch, stream,
                           [&] { count_fused_votes(stream, model, batch.view(), shape); }));
    }
  }
  agree = time_features(stream, properties) && agree;
  return agree ? 0 : 1;
}

}  // namespace
}  // namespace smoothcert::gpu

int main(int argc, char** argv) {
  try {
    std::string why;
    if (!smoothcert::gpu::cuda_usable(&why)) {
      std::fprintf(stderr, "fused_gpu: skipped, %s\n", why.c_str());
      return 77;
    }
    const auto number = [&](int i, std::uint32_t otherwise) {
      return argc > i ? static_cast<std::uint32_t>(std::strtoul(argv[i], nullptr, 10)) : otherwise;
    };
    return smoothcert::gpu::run(number(1, 128), number(2, 100000));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fused_gpu: %s\n", error.what());
    return 2;
  }
}
