// Fast mode by features beside exact mode: the folded network, and votes of a trained model.
#include <gtest/gtest.h>

#include <cmath>

#include "data/digits.hpp"
#include "feature_support.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::PackedFeatures;

TEST(FusedFeatures, TrainedVotesAgreeWithExactOnes) {
  // convnn is of the shape class, too: the one trained with noise on the built-in digits
  // (tests/golden/make_convnn_smoothing).
  const InferencePlan plan = make_inference_plan(
      load_network(SMOOTHCERT_SOURCE_DIR "/tests/golden/convnn_smoothing.safetensors"));
  constexpr std::uint32_t kImages = 50, kSamples = 40;
  const auto pixels = draw_digits(3, 1, kImages).test.pixels;
  for (const double sigma : {0.25, 0.5, 1.0}) {
    const PackedFeatures packed(plan, simt_test::noise_spec(NoiseLaw::lattice, sigma, true, 7));
    const FeatureNetwork net = simt_test::rounded_to_half(packed.net);
    const auto table = simt_test::view(packed.noise.table.get());
    unsigned agree = 0;
    for (std::uint32_t i = 0; i < kImages; ++i) {
      for (std::uint32_t n = 0; n < kSamples; ++n) {
        const auto input =
            simt_test::fused_lattice_input(packed.noise, table, &pixels[784 * i], 1, i, n);
        std::vector<float> exact(784);
        for (std::size_t p = 0; p < 784; ++p) {
          exact[p] = device::lattice_input(static_cast<int>(input[p] * 0x1p24));
        }
        const auto features = simt_test::reference_features(net, input);
        agree += reference_vote(simt_test::reference_logits(net, features)) ==
                 reference_vote(reference_forward(plan, exact));
      }
    }
    EXPECT_GE(agree, 0.998 * kImages * kSamples) << "sigma " << sigma;
    RecordProperty("agreement_at_" + std::to_string(sigma), std::to_string(agree));
  }
}

TEST(FusedFeatures, FoldingChangesNothingButRoundings) {
  for (const Network& net : {simt_test::lenet(6), simt_test::small_lenet(6)}) {
    const InferencePlan plan = make_inference_plan(net);
    const PackedFeatures packed(plan, simt_test::noise_spec(NoiseLaw::gaussian, 0.5, true, 1));
    const FeatureNetwork rounded = simt_test::rounded_to_half(packed.net);
    for (unsigned i = 0; i < 3; ++i) {
      const std::vector<float> x = simt_test::random_floats(784, 0.0f, 1.0f, 40 + i);
      const auto expected = reference_forward(plan, x);
      const auto got = simt_test::reference_logits(
          rounded, simt_test::reference_features(rounded, {x.begin(), x.end()}));
      float size = 0;
      for (const float v : expected) size = std::max(size, std::abs(v));
      for (std::size_t c = 0; c < expected.size(); ++c) {
        EXPECT_NEAR(got[c], expected[c], 0.01 * size);
      }
    }
  }
}

}  // namespace
}  // namespace smoothcert::gpu
