// Fast mode's library path in the emulator, with the direct engine in the libraries' place.
#include "cuda/votes/library_pass.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cpu/reference_forward.hpp"
#include "gpu/tile_sizes.hpp"
#include "kernel_support.hpp"
#include "smoothcert/device/normal.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::Shape;
using simt_test::small_network;

std::vector<float> noisy_image(const std::uint8_t* pixels, const VoteSegment& segment,
                               std::uint32_t sample, const NoiseSpec& noise) {
  std::vector<float> image(84);
  for (std::uint32_t p = 0; p < 84; ++p) {
    image[p] = device::gaussian_pixel<device::ScalarMath>(
        static_cast<float>(pixels[p]) * device::kPixelScale, static_cast<float>(noise.sigma),
        device::normal_at(noise.seed, segment.purpose, segment.image, sample, p), noise.clamp);
  }
  return image;
}

TEST(LibraryPass, LogitsAndVotesAreThoseOfThePlanWhateverTheBatchHolds) {
  const InferencePlan plan = make_inference_plan(small_network());
  const ValueLayout layout = lay_out_values(plan);
  const std::vector<std::uint8_t> pixels = simt_test::random_bytes(2 * 84, 4);
  const VoteSegment segments[] = {{0, 3, 1, 10}, {9, 5, 0, 0}};
  NoiseSpec noise;
  noise.law = NoiseLaw::gaussian;
  noise.sigma = 0.6;
  noise.seed = 12;
  constexpr std::uint32_t kTile = 32, kSamples = 21;
  std::vector<unsigned long long> expected(8, 0);
  std::vector<float> logits;
  for (std::uint32_t n = 0; n < kSamples; ++n) {
    const std::size_t s = n < 9 ? 0 : 1;
    const auto row = reference_forward(
        plan, noisy_image(&pixels[s * 84], segments[s],
                          segments[s].first_sample + n - segments[s].begin, noise));
    logits.insert(logits.end(), row.begin(), row.end());
    ++expected[s * 4 + static_cast<std::size_t>(reference_vote(row))];
  }
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    const auto engine = make_direct_engine();
    prepare_engine(*engine, plan, kTile);
    // What an earlier batch left behind is computed, too, and must not matter.
    std::vector<float> values(layout.total * kTile, 1e30f);
    std::vector<unsigned long long> counts(8, 0);
    count_library_votes(nullptr, *engine, plan, layout, plan.params.data(), noise, {},
                        {segments, 2, kSamples, pixels.data(), 84}, values.data(), kTile,
                        counts.data());
    EXPECT_EQ(counts, expected);
    const float* got = values.data() + kTile * layout.offsets.back();
    for (std::size_t i = 0; i < logits.size(); ++i) {
      ASSERT_NEAR(got[i], logits[i], 1e-5 * (1 + std::abs(logits[i])));
    }
  }
}

TEST(LibraryPass, TheTileDependsOnTheNetworkAlone) {
  ValueLayout layout;
  layout.total = 1000;
  EXPECT_EQ(library_tile(layout), 8192u);
  layout.total = 100'000;
  EXPECT_EQ(library_tile(layout), 1024u);
  layout.total = 3'000'000;  // about ResNet-50's
  EXPECT_EQ(library_tile(layout), 32u);
  layout.total = 100'000'000;
  EXPECT_EQ(library_tile(layout), 16u);
}

}  // namespace
}  // namespace smoothcert::gpu
