// The fused feature kernel in the emulator: its features equal, bit for bit, and the votes of its
// pass equal, to the last one, those of a plain computation with the same roundings.
#include <gtest/gtest.h>

#include "feature_support.hpp"
#include "mutation.hpp"
#include "util/half.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::feature_counts;
using simt_test::FusedCase;
using simt_test::PackedFeatures;
using simt_test::reference_counts;

std::size_t classes_voted(const std::vector<unsigned long long>& counts) {
  std::size_t n = 0;
  for (const auto c : counts) n += c > 0;
  return n;
}

/// Compares the kernel's features with the plain ones, and what lies behind them with nothing.
void expect_reference_features(const PackedFeatures& packed, const FusedCase& batch,
                               FeatureShape shape) {
  const auto features = simt_test::emulated_features(packed, batch, shape);
  const int size = feature_count(packed.net);
  std::size_t first = 0, different = 0, largest = 0;
  simt_test::for_reference_features(packed, batch, [&](std::size_t, const auto& expected) {
    for (int f = 0; f < size; ++f) {
      const FeaturePlace place(f);
      const double value =
          place.channel < packed.net.channels2
              ? expected[static_cast<std::size_t>(place.channel * 16 + place.window)]
              : 0.0;
      const std::uint16_t got = features[first + static_cast<std::size_t>(f)];
      different += got != double_to_half(value);
      largest = std::max<std::size_t>(largest, got);
    }
    first += static_cast<std::size_t>(size);
  });
  EXPECT_EQ(different, 0u);
  EXPECT_GT(largest, double_to_half(1.0)) << "features that use fp16's range";
  for (; first < features.size(); ++first) ASSERT_EQ(features[first], 0xA5A5u);
}

TEST(FusedFeatures, AreThoseOfThePlainComputation) {
  const InferencePlan lenet = make_inference_plan(simt_test::lenet());
  const InferencePlan small = make_inference_plan(simt_test::small_lenet());
  for (const InferencePlan* plan : {&lenet, &small}) {
    for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
      for (const bool clamp : {true, false}) {
        const PackedFeatures packed(*plan, simt_test::noise_spec(law, 0.5, clamp, 77));
        const FusedCase batch({5, 2}, simt_test::digit_like_images(2, 3));
        simt::emulation() = {};
        expect_reference_features(packed, batch, {1, 2});
      }
    }
  }
}

TEST(FusedFeatures, VotesAreThoseOfThePlainComputation) {
  const InferencePlan plan = make_inference_plan(simt_test::lenet(2));
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    const PackedFeatures packed(plan, simt_test::noise_spec(law, 0.25, true, 5));
    const FusedCase batch({21, 1, 9}, simt_test::digit_like_images(3, 4));
    for (const simt_test::Shape& shape : {simt_test::Shape{64, 0}, simt_test::Shape{128, 11}}) {
      simt_test::use(shape);
      const auto counts = feature_counts(packed, batch, {1, 2}, 32);
      EXPECT_EQ(counts, reference_counts(packed, batch));
      EXPECT_GT(classes_voted(counts), 3u) << "a test that everybody passes";
    }
  }
}

TEST(FusedFeatures, CountsDoNotDependOnTheLaunch) {
  const InferencePlan plan = make_inference_plan(simt_test::small_lenet(2));
  const PackedFeatures packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 1.0, true, 5));
  // One sample, none, many; many images and few; fewer samples than warps.
  const FusedCase batch({1, 15, 0, 17, 0, 3, 1}, simt_test::digit_like_images(7, 4));
  const auto expected = reference_counts(packed, batch);
  EXPECT_GT(classes_voted(expected), 6u);
  for (const FeatureShape shape : {FeatureShape{1, 1}, FeatureShape{3, 2}, FeatureShape{40, 2}}) {
    const std::uint32_t tile = shape.warps == 1 ? 48 : 64;
    simt::emulation() = {};
    simt::emulation().seed = shape.blocks;
    EXPECT_EQ(feature_counts(packed, batch, shape, tile), expected);
  }
}

TEST(FusedFeatures, EqualPixelsAndWordsThatEqualTheirThreshold) {
  const InferencePlan plan = make_inference_plan(simt_test::small_lenet(3));
  PackedFeatures packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.25, true, 6));
  const FusedCase batch({5}, std::vector<std::uint8_t>(784, 255));
  packed.noise.table =
      simt_test::table_that_equals(*packed.noise.table, packed.noise.seed, batch.segments[0], 5);
  simt::emulation() = {};
  expect_reference_features(packed, batch, {1, 1});
}

TEST(FusedFeatures, NanAnywhereIsInvalid) {
  // The host refuses such a network; the kernels still count what they meet.
  const InferencePlan plan = make_inference_plan(simt_test::lenet());
  const PackedFeatures good(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 8));
  const FusedCase batch({9}, simt_test::digit_like_images(1, 5));
  const auto spoil = [](int i, FeatureNetwork& net) {
    if (i == 0) net.conv1[3] = NAN;
    if (i == 1) net.conv2[1234] = NAN;
    if (i == 2) net.linear[0].weights[70'007] = NAN;
    if (i == 3) net.linear[0].bias[9] = NAN;
    if (i == 4) net.linear[1].bias[3] = NAN;
  };
  for (int i = 0; i < 5; ++i) {
    PackedFeatures packed = good;
    spoil(i, packed.net);
    packed.pack();
    simt::emulation() = {};
    const auto counts = feature_counts(packed, batch, {1, 2}, 16);
    EXPECT_EQ(counts.back(), 9u) << i;
    EXPECT_EQ(classes_voted(counts), 1u) << i;
  }
}

TEST(FusedFeatures, ExtremeWeightsStayInRange) {
  Network net = simt_test::lenet(4);
  for (float& w : net.tensors.at("conv1.weight").data) w *= 900.0f;
  for (float& w : net.tensors.at("conv2.weight").data) w *= 1e-7f;
  for (float& w : net.tensors.at("conv2.bias").data) w *= 1e-4f;
  for (float& w : net.tensors.at("fc1.weight").data) w *= 1e12f;
  for (float& w : net.tensors.at("fc2.weight").data) w *= 1e-9f;
  const PackedFeatures packed(make_inference_plan(net),
                              simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 9));
  const FusedCase batch({6}, simt_test::digit_like_images(1, 6));
  simt::emulation() = {};
  expect_reference_features(packed, batch, {1, 1});
  EXPECT_EQ(feature_counts(packed, batch, {1, 1}, 16), reference_counts(packed, batch));
}

bool small_case_is_right() {
  static const PackedFeatures packed(make_inference_plan(simt_test::small_lenet()),
                                     simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 77));
  static const FusedCase batch({5, 2}, simt_test::digit_like_images(2, 3));
  static const auto expected = reference_counts(packed, batch);
  return feature_counts(packed, batch, {1, 2}, 16) == expected;
}

const simt::RegisterMutation kFeatures("fused features", [](auto& without, auto seed,
                                                            auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, small_case_is_right);
});

}  // namespace
}  // namespace smoothcert::gpu
