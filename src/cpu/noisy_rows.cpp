// Draws lane groups as the vote engine does and turns each from [pixel][lane] into rows.
#include "cpu/noisy_rows.hpp"

#include <algorithm>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "cpu/lane_kernels.hpp"
#include "cpu/lane_noise_step.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noisy_inputs.hpp"

namespace smoothcert::cpu {
namespace {

constexpr std::align_val_t kAlignment{64};
struct FreeAligned {
  void operator()(float* p) const { operator delete[](p, kAlignment); }
};
using AlignedFloats = std::unique_ptr<float[], FreeAligned>;

/// One lane group of one of the row sets.
struct Group {
  const NoisyRows* rows;
  std::size_t first;  ///< row
};

NoiseStep step_of(const NoiseSpec& noise, std::size_t size, const NoisyRows& rows) {
  NoiseStep step = noise_step(noise, size);
  step.pixels = rows.pixels;
  step.purpose = static_cast<std::uint32_t>(rows.purpose);
  step.image = rows.image;
  return step;
}

/// [pixel][lane] → one row a lane. A block of pixels at a time stays in the first-level cache.
void to_rows(const float* lanes, int lane_count, std::size_t size, std::size_t valid, float* out) {
  constexpr std::size_t kBlock = 128;
  const auto stride = static_cast<std::size_t>(lane_count);
  for (std::size_t begin = 0; begin < size; begin += kBlock) {
    const std::size_t end = std::min(size, begin + kBlock);
    for (std::size_t lane = 0; lane < valid; ++lane) {
      const float* from = lanes + begin * stride + lane;
      float* to = out + lane * size;
      for (std::size_t pixel = begin; pixel < end; ++pixel, from += stride) to[pixel] = *from;
    }
  }
}

}  // namespace

void draw_rows(const NoiseSpec& noise, std::size_t size, std::span<const NoisyRows> rows,
               ThreadPool& pool) {
  const LaneKernels& kernels = active_lane_kernels();
  const auto lanes = static_cast<std::size_t>(kernels.lanes);
  const NoiseKernel draw = noise_kernel(kernels, noise.law);
  std::vector<Group> groups;
  for (const NoisyRows& r : rows)
    for (std::size_t first = 0; first < r.count; first += lanes) groups.push_back({&r, first});
  std::vector<AlignedFloats> scratch(static_cast<std::size_t>(pool.threads()));
  pool.parallel_for(groups.size(), [&](std::size_t index, int worker) {
    const Group& group = groups[index];
    const NoisyRows& r = *group.rows;
    AlignedFloats& buffer = scratch[static_cast<std::size_t>(worker)];
    if (!buffer) buffer.reset(new (kAlignment) float[size * lanes]);
    NoiseStep step = step_of(noise, size, r);
    step.first_sample = static_cast<std::uint32_t>(r.first + group.first);
    draw(step, buffer.get());
    to_rows(buffer.get(), kernels.lanes, size, std::min(lanes, r.count - group.first),
            r.out + group.first * size);
  });
}

}  // namespace smoothcert::cpu

namespace smoothcert {

void noisy_inputs(const NoiseSpec& noise, Purpose purpose, std::uint32_t image,
                  std::span<const std::uint8_t> pixels, std::uint64_t first, std::span<float> out,
                  int threads) {
  if (pixels.empty()) throw UsageError("noise: the image has no pixels");
  if (out.size() % pixels.size() != 0)
    throw UsageError("noise: " + std::to_string(out.size()) + " floats are no whole number of " +
                     std::to_string(pixels.size()) + "-pixel samples");
  const std::uint64_t count = out.size() / pixels.size();
  require_drawable(noise, "noise");
  if (noise.law == NoiseLaw::lattice && noise.table->sigma != noise.sigma)
    throw UsageError("noise: lattice noise needs the table of its sigma (make_lattice_table)");
  if (first + count > samples_of(noise) || first + count < first)
    throw UsageError("noise: samples " + std::to_string(first) + " to " +
                     std::to_string(first + count) + " are not a range " + samples_text(noise));
  if (threads < 0 || threads > 4096)
    throw UsageError("threads: " + std::to_string(threads) + " is outside 1 … 4096 (0 = all)");
  ThreadPool pool(threads == 0 ? usable_processors() : threads);
  const cpu::NoisyRows rows{pixels.data(), image, purpose, first, static_cast<std::size_t>(count),
                            out.data()};
  cpu::draw_rows(noise, pixels.size(), {&rows, 1}, pool);
}

}  // namespace smoothcert
