// The wgmma kernel in the emulator: the same votes as the plain computation, hence as mma.sync.
#include <gtest/gtest.h>

#include "fused_support.hpp"
#include "mutation.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::fused_reference_counts;
using simt_test::FusedCase;
using simt_test::PackedNetwork;

constexpr FusedShape shape_of(unsigned blocks) { return {blocks, 0, 2}; }

std::vector<unsigned long long> wgmma_counts(const PackedNetwork& packed, FusedCase& batch,
                                             unsigned blocks) {
  const FusedShape shape = shape_of(blocks);
  count_fused_votes(nullptr, packed.model(true), batch.batch(shape.tile(), packed.net.classes),
                    shape);
  return batch.counts;
}

TEST(FusedWgmma, VotesAreThoseOfThePlainComputation) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network());
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    for (const bool clamp : {true, false}) {
      const PackedNetwork packed(plan, simt_test::noise_spec(law, 0.5, clamp, 77));
      FusedCase batch({50}, simt_test::digit_like_images(1, 3));
      simt::emulation() = {};
      EXPECT_EQ(wgmma_counts(packed, batch, 1), fused_reference_counts(packed, batch))
          << static_cast<int>(law) << clamp;
    }
  }
}

TEST(FusedWgmma, CountsDoNotDependOnTheLaunch) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network(2));
  const PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 1.0, true, 5));
  FusedCase batch({1, 65, 0, 15, 64}, simt_test::digit_like_images(5, 4));
  const auto expected = fused_reference_counts(packed, batch);
  for (const unsigned blocks : {1u, 3u}) {
    simt::emulation() = {};
    simt::emulation().seed = blocks;
    EXPECT_EQ(wgmma_counts(packed, batch, blocks), expected);
  }
}

TEST(FusedWgmma, WordsThatEqualTheirThreshold) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network(3));
  PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.25, true, 6));
  FusedCase batch({5}, std::vector<std::uint8_t>(784, 255));
  packed.noise.table =
      simt_test::table_that_equals(*packed.noise.table, packed.noise.seed, batch.segments[0], 5);
  simt::emulation() = {};
  EXPECT_EQ(wgmma_counts(packed, batch, 1), fused_reference_counts(packed, batch));
}

bool small_case_is_right() {
  static const PackedNetwork packed(make_inference_plan(simt_test::study_network()),
                                    simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 77));
  FusedCase batch({130, 3}, simt_test::digit_like_images(2, 3));
  static const auto expected = fused_reference_counts(packed, batch);
  return wgmma_counts(packed, batch, 1) == expected;
}

const simt::RegisterMutation kWgmma("fused wgmma", [](auto& without, auto seed, auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, small_case_is_right);
});

}  // namespace
}  // namespace smoothcert::gpu
