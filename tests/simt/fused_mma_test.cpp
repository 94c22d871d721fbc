// The fused fp16 kernel in the emulator: votes equal, to the last one, those of a plain computation
// with the same roundings.
#include <gtest/gtest.h>

#include "cpu/reference_forward.hpp"
#include "fused_reference.hpp"
#include "fused_support.hpp"
#include "mutation.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::FusedCase;
using simt_test::PackedNetwork;

using simt_test::fused_reference_counts;

std::vector<unsigned long long> emulated_counts(const PackedNetwork& packed, FusedCase& batch,
                                                FusedShape shape) {
  count_fused_votes(nullptr, packed.model(), batch.batch(16, packed.net.classes), shape);
  return batch.counts;
}

std::size_t classes_voted(const std::vector<unsigned long long>& counts) {
  std::size_t n = 0;
  for (const auto c : counts) n += c > 0;
  return n;
}

TEST(FusedMma, VotesAreThoseOfThePlainComputation) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network());
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    for (const bool clamp : {true, false}) {
      const PackedNetwork packed(plan, simt_test::noise_spec(law, 0.25, clamp, 77));
      FusedCase batch({21, 16}, simt_test::digit_like_images(2, 3));
      simt::emulation() = {};
      const auto counts = emulated_counts(packed, batch, {1, 1});
      EXPECT_EQ(counts, fused_reference_counts(packed, batch)) << static_cast<int>(law) << clamp;
      EXPECT_GT(classes_voted(counts), 3u) << "a test that everybody passes";
    }
  }
}

TEST(FusedMma, CountsDoNotDependOnTheLaunch) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network(2));
  const PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 1.0, true, 5));
  // Fewer than 16 samples, none, whole tiles, one more; many images and few.
  FusedCase batch({1, 15, 0, 17, 32, 3, 1}, simt_test::digit_like_images(7, 4));
  const auto expected = fused_reference_counts(packed, batch);
  for (const FusedShape shape : {FusedShape{1, 1}, FusedShape{3, 2}, FusedShape{20, 1}}) {
    simt::emulation() = {};
    simt::emulation().seed = shape.blocks;
    EXPECT_EQ(emulated_counts(packed, batch, shape), expected);
  }
}

TEST(FusedMma, EqualPixelsAndWordsThatEqualTheirThreshold) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network(3));
  PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.25, true, 6));
  FusedCase batch({5}, std::vector<std::uint8_t>(784, 255));
  packed.noise.table =
      simt_test::table_that_equals(*packed.noise.table, packed.noise.seed, batch.segments[0], 5);
  simt::emulation() = {};
  const auto counts = emulated_counts(packed, batch, {1, 1});
  EXPECT_EQ(counts, fused_reference_counts(packed, batch));
}

TEST(FusedMma, NanInTheLinearLayerIsInvalid) {
  // The host refuses such a network; the kernel still counts what it meets.
  const InferencePlan plan = make_inference_plan(simt_test::study_network());
  PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 8));
  packed.net.bias[3] = NAN;
  FusedCase batch({9}, simt_test::digit_like_images(1, 5));
  simt::emulation() = {};
  const auto counts = emulated_counts(packed, batch, {1, 1});
  EXPECT_EQ(counts.back(), 9u);
  EXPECT_EQ(classes_voted(counts), 1u);
}

TEST(FusedMma, ExtremeWeightsStayInRange) {
  Network net = simt_test::study_network(4);
  for (float& w : net.tensors.at("conv1.weight").data) w *= 900.0f;  // gain 2^r up
  for (float& w : net.tensors.at("conv2.weight").data) w *= 1e-5f;   // and down
  for (float& w : net.tensors.at("fc1.weight").data) w *= 1e12f;
  const PackedNetwork packed(make_inference_plan(net),
                             simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 9));
  FusedCase batch({16}, simt_test::digit_like_images(1, 6));
  simt::emulation() = {};
  EXPECT_EQ(emulated_counts(packed, batch, {1, 1}), fused_reference_counts(packed, batch));
}

bool small_case_is_right() {
  const InferencePlan plan = make_inference_plan(simt_test::study_network());
  const PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 77));
  FusedCase batch({34, 5}, simt_test::digit_like_images(2, 3));
  return emulated_counts(packed, batch, {1, 2}) == fused_reference_counts(packed, batch);
}

const simt::RegisterMutation kFused("fused mma", [](auto& without, auto seed, auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, small_case_is_right);
});

}  // namespace
}  // namespace smoothcert::gpu
