// Exact mode in the emulator: noise, every step, votes; equal bits with the CPU reference.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "cpu/reference_forward.hpp"
#include "cuda/votes/exact_pass.hpp"
#include "cuda/votes/library_pass.hpp"
#include "gpu/vote_scheduler.hpp"
#include "kernel_support.hpp"
#include "layer_cases.hpp"
#include "mutation.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/device/uniform_noise.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::random_bytes;
using simt_test::random_floats;
using simt_test::Shape;
using simt_test::small_network;

/// Three images of one batch with 5, 70 and 26 samples.
struct Batch {
  explicit Batch(std::size_t image_size)
      : pixels(random_bytes(3 * image_size, 7)),
        segments{{0, 4, 1, 0}, {5, 9, 0, 1000}, {75, 2, 1, 4294967270u}} {
    on_device = {segments.data(), 3, 101, pixels.data(), static_cast<int>(image_size)};
  }
  [[nodiscard]] std::size_t segment_of(std::uint32_t n) const { return n < 5 ? 0 : n < 75 ? 1 : 2; }
  std::vector<std::uint8_t> pixels;
  std::vector<VoteSegment> segments;
  DeviceSegments on_device;
};

/// The small table of σ = 0.02 is enough: the kernel reads whatever table it is given. A table with
/// tiny thresholds makes equality, the rare case, frequent.
struct Table {
  explicit Table(bool equality) : hot(16), cold(16) {
    for (std::uint32_t c = 0; c < 16; ++c) {
      hot[c] = (equality ? 0u : c << 24) << 4 | (c * 7 + 3) % 16;
      cold[c] = c << 28;
    }
    view = {hot.data(), cold.data(), 4, 8};
  }
  std::vector<std::uint32_t> hot, cold;
  device::LatticeView view;
};

std::vector<float> expected_image(const Batch& batch, const NoiseSpec& noise,
                                  const device::LatticeView& table, std::uint32_t n) {
  const VoteSegment& s = batch.segments[batch.segment_of(n)];
  const std::uint32_t sample = s.first_sample + n - s.begin;
  const auto size = static_cast<std::size_t>(batch.on_device.image_size);
  std::vector<float> image(size);
  for (std::uint32_t p = 0; p < size; ++p) {
    const int pixel = batch.pixels[batch.segment_of(n) * size + p];
    if (noise.law == NoiseLaw::lattice) {
      image[p] = device::lattice_input(device::lattice_pixel(
          pixel, device::lattice_noise_at(table, noise.seed, s.purpose, s.image, sample, p),
          noise.clamp));
    } else if (noise.law == NoiseLaw::uniform) {
      image[p] = device::lattice_input(device::lattice_pixel(
          pixel, device::uniform_noise_at(10, noise.seed, s.purpose, s.image, sample, p),
          noise.clamp));
    } else if (noise.law == NoiseLaw::split) {
      image[p] = device::split_input(device::split_code(
          pixel, device::split_offset(noise.seed, p, noise.width), sample, noise.width));
    } else {
      image[p] = device::gaussian_pixel<device::ScalarMath>(
          static_cast<float>(pixel) * (1.0f / 255.0f), static_cast<float>(noise.sigma),
          device::normal_at(noise.seed, s.purpose, s.image, sample, p), noise.clamp);
    }
  }
  return image;
}

TEST(ExactKernels, NoiseHasTheBitsOfTheCpu) {
  const Batch batch(23);  // no multiple of four
  for (const Shape& shape : simt_test::shapes()) {
    for (const bool clamp : {false, true}) {
      for (const bool equality : {false, true}) {
        for (const NoiseLaw law :
             {NoiseLaw::lattice, NoiseLaw::gaussian, NoiseLaw::uniform, NoiseLaw::split}) {
          simt_test::use(shape);
          const Table table(equality);
          NoiseSpec noise;
          noise.law = law;
          noise.sigma = 0.7;
          noise.clamp = clamp;
          noise.seed = 0x123456789abcdef0u;
          noise.width = 1024;
          constexpr std::size_t kPitch = 104;
          std::vector<float> out(23 * kPitch, -7.0f);
          add_noise(nullptr, batch.on_device, noise, table.view, out.data(), kPitch, 1);
          for (std::uint32_t n = 0; n < 101; ++n) {
            const auto image = expected_image(batch, noise, table.view, n);
            for (std::size_t p = 0; p < 23; ++p) ASSERT_EQ(out[p * kPitch + n], image[p]);
          }
          for (std::size_t p = 0; p < 23; ++p) {
            for (std::size_t n = 101; n < kPitch; ++n) ASSERT_EQ(out[p * kPitch + n], -7.0f);
          }
        }
      }
    }
  }
}

TEST(ExactKernels, EveryStepHasTheBitsOfTheReference) {
  const InferencePlan plan = make_inference_plan(small_network());
  constexpr std::uint32_t kSamples = 67;
  const std::size_t size = plan.input.size(), pitch = value_pitch(kSamples);
  std::vector<float> images = random_floats(kSamples * size, -0.5f, 1.5f, 3);
  images[5] = NAN;  // NaN and infinities travel alike
  images[2 * size + 9] = INFINITY;
  ValueLayout layout = lay_out_values(plan);
  // Give every value its own place, so that all of them can be compared afterwards.
  layout.image = 0;
  layout.total = size;
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    const PlanStep& step = plan.steps[s];
    layout.offsets[s] = layout.total;
    if (step.kind == StepKind::flatten) {
      layout.offsets[s] = layout.offsets[static_cast<std::size_t>(step.in)];
    } else {
      layout.total += step.out_shape.size();
    }
  }
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    std::vector<float> values(layout.total * pitch, -9.0f);
    transpose(nullptr, images.data(), values.data(), kSamples, static_cast<std::uint32_t>(size),
              size, pitch);
    run_plan(nullptr, plan, layout, plan.params.data(), values.data(), kSamples, pitch);
    for (std::uint32_t n = 0; n < kSamples; ++n) {
      const auto expected = reference_activations(plan, std::span(images).subspan(n * size, size));
      for (std::size_t s = 0; s < plan.steps.size(); ++s) {
        for (std::size_t v = 0; v < expected[s].size(); ++v) {
          const float got = values[(layout.offsets[s] + v) * pitch + n], want = expected[s][v];
          ASSERT_TRUE(got == want || (std::isnan(got) && std::isnan(want)))
              << "sample " << n << " step " << s << " value " << v << ": " << got << " " << want;
        }
      }
    }
    for (std::size_t v = 0; v < layout.total; ++v) {
      for (std::size_t n = kSamples; n < pitch; ++n) ASSERT_EQ(values[v * pitch + n], -9.0f);
    }
  }
}

TEST(ExactKernels, EveryLayerCaseHasTheBitsOfTheReference) {
  simt_test::use(simt_test::shapes()[1]);
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const InferencePlan plan = make_inference_plan(formula_network(case_network(c)));
    const ValueLayout layout = lay_out_values(plan);
    constexpr std::uint32_t kSamples = 5;
    const std::size_t size = plan.input.size(), pitch = value_pitch(kSamples);
    std::vector<float> images;
    for (std::uint32_t n = 0; n < kSamples; ++n) {
      auto image = formula_image(plan.input, static_cast<int>(n));
      if (n == 2) image[size / 2] = NAN;
      if (n == 3)
        for (float& v : image) v = 400 * (v - 0.5f);
      images.insert(images.end(), image.begin(), image.end());
    }
    std::vector<float> values(layout.total * pitch, NAN);
    transpose(nullptr, images.data(), values.data() + pitch * layout.image, kSamples,
              static_cast<std::uint32_t>(size), size, pitch);
    const float* logits =
        run_plan(nullptr, plan, layout, plan.params.data(), values.data(), kSamples, pitch);
    // The libraries' path runs the same steps image-major; its convolutions are the direct ones.
    const auto engine = make_direct_engine();
    prepare_engine(*engine, plan, kSamples);
    std::vector<float> rows(layout.total * kSamples, NAN);
    std::copy(images.begin(), images.end(),
              rows.begin() + static_cast<std::ptrdiff_t>(layout.image * kSamples));
    const float* library = run_plan_by_library(nullptr, *engine, plan, layout, plan.params.data(),
                                               rows.data(), kSamples);
    for (std::uint32_t n = 0; n < kSamples; ++n) {
      const auto want = reference_forward(plan, std::span(images).subspan(n * size, size));
      for (std::size_t k = 0; k < want.size(); ++k) {
        const float exact = logits[k * pitch + n], fast = library[n * want.size() + k];
        ASSERT_TRUE(exact == want[k] || (std::isnan(exact) && std::isnan(want[k])))
            << "sample " << n << ": " << exact << " " << want[k];
        ASSERT_TRUE(std::fabs(fast - want[k]) <= 1e-4f * (1 + std::fabs(want[k])) ||
                    (std::isnan(fast) && std::isnan(want[k])))
            << "sample " << n << " by the library: " << fast << " " << want[k];
      }
    }
  }
}

TEST(ExactKernels, VotesOfABatchAreThoseOfTheReference) {
  const Network net = small_network();
  const InferencePlan plan = make_inference_plan(net);
  const ValueLayout layout = lay_out_values(plan);
  const Batch batch(plan.input.size());
  const Table table(false);
  NoiseSpec noise;
  noise.seed = 99;
  std::vector<std::uint64_t> expected(3 * 4, 0);
  for (std::uint32_t n = 0; n < 101; ++n) {
    const int vote =
        reference_vote(reference_forward(plan, expected_image(batch, noise, table.view, n)));
    ++expected[batch.segment_of(n) * 4 + static_cast<std::size_t>(vote < 0 ? 3 : vote)];
  }
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    std::vector<float> values(layout.total * value_pitch(101), NAN);
    std::vector<unsigned long long> counts(12, 0);
    count_exact_votes(nullptr, plan, layout, plan.params.data(), noise, table.view, batch.on_device,
                      values.data(), counts.data());
    EXPECT_TRUE(std::equal(counts.begin(), counts.end(), expected.begin()));
  }
}

TEST(ExactKernels, NanLogitsAreInvalidAndTiesGoToTheLowestIndex) {
  constexpr std::uint32_t kSamples = 40;
  const VoteSegment segments[] = {{0, 0, 0, 0}, {33, 1, 0, 0}};
  std::vector<float> logits(kSamples * 3, 1.0f);  // sample-major, all equal
  logits[3 * 4 + 2] = NAN;
  logits[3 * 39 + 0] = NAN;
  logits[3 * 38 + 1] = 2.0f;
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    std::vector<unsigned long long> counts(8, 100);  // votes are added
    count_votes(nullptr, logits.data(), 1, 3, 3, {segments, 2, kSamples, nullptr, 0},
                counts.data());
    EXPECT_THAT(counts, testing::ElementsAre(132, 100, 100, 101, 105, 101, 100, 101));
  }
}

bool transpose_is_right() {
  const std::vector<float> in = random_floats(40 * 45, -1, 1, 2);
  std::vector<float> out(37 * 41, 0.0f);
  transpose(nullptr, in.data(), out.data(), 40, 37, 45, 41);
  for (std::size_t r = 0; r < 40; ++r) {
    for (std::size_t c = 0; c < 37; ++c) {
      if (out[c * 41 + r] != in[r * 45 + c]) return false;
    }
  }
  return true;
}

TEST(ExactKernels, Transpose) {
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    EXPECT_TRUE(transpose_is_right());
  }
}

const simt::RegisterMutation kTranspose("transpose", [](auto& without, auto seed, auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, transpose_is_right);
});

}  // namespace
}  // namespace smoothcert::gpu
