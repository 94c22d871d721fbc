// Launches of exact mode: noise, the steps of the plan, votes.
#include <bit>

#include "cuda/runtime/launch.cuh"
#include "cuda/train/step_kernels.cuh"
#include "cuda/votes/launch_exact.hpp"
#include "cuda/votes/noise_kernels.cuh"
#include "cuda/votes/vote_kernels.cuh"

namespace smoothcert::gpu {
inline namespace SMOOTHCERT_GPU_ABI {
namespace {

StepShape shape_of(const PlanStep& step, std::uint32_t samples, std::size_t pitch) {
  StepShape s{};
  s.in_channels = step.in_shape.channels;
  s.in_height = step.in_shape.height;
  s.in_width = step.in_shape.width;
  s.out_height = step.out_shape.height;
  s.out_width = step.out_shape.width;
  s.kernel = step.kernel;
  s.stride = step.stride;
  s.padding = step.padding;
  s.samples = samples;
  s.pitch = pitch;
  if (step.kind == StepKind::linear) {  // a 1×1 convolution over as many channels as features
    s.in_channels = static_cast<int>(step.in_shape.size());
    s.in_height = s.in_width = s.out_height = s.out_width = s.kernel = s.stride = 1;
    s.padding = 0;
  }
  return s;
}

}  // namespace

void add_lattice_noise(Stream stream, const DeviceSegments& batch, const device::LatticeView& table,
                       std::uint64_t seed, bool clamp, float* out, std::size_t pixel_pitch,
                       std::size_t sample_pitch) {
  const unsigned threads = block_threads();
  const dim3 grid(static_cast<unsigned>((batch.image_size + 3) / 4),
                  blocks_for(batch.samples, threads));
  SMOOTHCERT_LAUNCH(lattice_noise_kernel, grid, dim3(threads), 0, stream, batch, table, seed, clamp,
                    out, pixel_pitch, sample_pitch);
}

void add_gaussian_noise(Stream stream, const DeviceSegments& batch, float sigma, std::uint64_t seed,
                        bool clamp, float* out, std::size_t pixel_pitch, std::size_t sample_pitch) {
  const unsigned threads = block_threads();
  const dim3 grid(static_cast<unsigned>((batch.image_size + 3) / 4),
                  blocks_for(batch.samples, threads));
  SMOOTHCERT_LAUNCH(gaussian_noise_kernel, grid, dim3(threads), 0, stream, batch, sigma, seed,
                    clamp, out, pixel_pitch, sample_pitch);
}

void add_uniform_noise(Stream stream, const DeviceSegments& batch, std::uint32_t width,
                       std::uint64_t seed, bool clamp, float* out, std::size_t pixel_pitch,
                       std::size_t sample_pitch) {
  const unsigned threads = block_threads();
  const dim3 grid(static_cast<unsigned>((batch.image_size + 3) / 4),
                  blocks_for(batch.samples, threads));
  const int log2_width = std::countr_zero(width);
  SMOOTHCERT_LAUNCH(uniform_noise_kernel, grid, dim3(threads), 0, stream, batch, log2_width, seed,
                    clamp, out, pixel_pitch, sample_pitch);
}

void add_split_noise(Stream stream, const DeviceSegments& batch, std::uint32_t width,
                     std::uint64_t seed, float* out, std::size_t pixel_pitch,
                     std::size_t sample_pitch) {
  const unsigned threads = block_threads();
  const dim3 grid(static_cast<unsigned>((batch.image_size + 3) / 4),
                  blocks_for(batch.samples, threads));
  SMOOTHCERT_LAUNCH(split_noise_kernel, grid, dim3(threads), 0, stream, batch, width, seed, out,
                    pixel_pitch, sample_pitch);
}

void add_noise(Stream stream, const DeviceSegments& batch, const NoiseSpec& noise,
               const device::LatticeView& table, float* out, std::size_t pixel_pitch,
               std::size_t sample_pitch) {
  switch (noise.law) {
    case NoiseLaw::lattice:
      return add_lattice_noise(stream, batch, table, noise.seed, noise.clamp, out, pixel_pitch,
                               sample_pitch);
    case NoiseLaw::gaussian:
      return add_gaussian_noise(stream, batch, static_cast<float>(noise.sigma), noise.seed,
                                noise.clamp, out, pixel_pitch, sample_pitch);
    case NoiseLaw::uniform:
      return add_uniform_noise(stream, batch, noise.width, noise.seed, noise.clamp, out,
                               pixel_pitch, sample_pitch);
    case NoiseLaw::split:
      return add_split_noise(stream, batch, noise.width, noise.seed, out, pixel_pitch,
                             sample_pitch);
  }
}

void run_step(Stream stream, const PlanStep& step, const float* params, const float* in,
              const float* in2, float* out, std::uint32_t samples, std::size_t pitch) {
  const StepShape s = shape_of(step, samples, pitch);
  const unsigned threads = block_threads();
  const dim3 grid(static_cast<unsigned>(step.out_shape.size()), blocks_for(samples, threads));
  const dim3 block(threads);
  const float* weight = params + step.weight;
  const float* bias = params + step.bias;
  switch (step.kind) {
    case StepKind::conv2d:
    case StepKind::linear:
      SMOOTHCERT_LAUNCH(conv_step_kernel, grid, block, 0, stream, s, weight, bias, in, out);
      break;
    case StepKind::affine:
      SMOOTHCERT_LAUNCH(affine_step_kernel, grid, block, 0, stream, s, weight, bias, in, out);
      break;
    case StepKind::relu:
      SMOOTHCERT_LAUNCH(relu_step_kernel, grid, block, 0, stream, s, in, out);
      break;
    case StepKind::maxpool:
      SMOOTHCERT_LAUNCH(maxpool_step_kernel, grid, block, 0, stream, s, in, out);
      break;
    case StepKind::add:
      SMOOTHCERT_LAUNCH(add_step_kernel, grid, block, 0, stream, s, in, in2, out);
      break;
    case StepKind::global_avg_pool:
      SMOOTHCERT_LAUNCH(average_step_kernel, grid, block, 0, stream, s, in, out);
      break;
    default:
      break;  // a flatten is a change of name; the layout gave both values the same place
  }
}

void transpose(Stream stream, const float* in, float* out, std::uint32_t rows,
               std::uint32_t columns, std::size_t in_pitch, std::size_t out_pitch) {
  const dim3 grid(blocks_for(columns, kTile), blocks_for(rows, kTile));
  const dim3 block(kTile, block_threads() / kTile);
  SMOOTHCERT_LAUNCH(transpose_kernel, grid, block, 0, stream, in, out, rows, columns, in_pitch,
                    out_pitch);
}

void count_votes(Stream stream, const float* logits, std::size_t value_pitch,
                 std::size_t sample_pitch, int classes, const DeviceSegments& batch,
                 unsigned long long* counts) {
  const unsigned threads = block_threads();
  SMOOTHCERT_LAUNCH(vote_kernel, dim3(blocks_for(batch.samples, threads)), dim3(threads), 0, stream,
                    logits, value_pitch, sample_pitch, classes, batch.segments, batch.count,
                    batch.samples, counts);
}

}  // namespace SMOOTHCERT_GPU_ABI
}  // namespace smoothcert::gpu
