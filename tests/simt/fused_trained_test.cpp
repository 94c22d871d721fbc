// Fast mode on a trained model: fp16 votes beside exact ones.
#include <gtest/gtest.h>

#include "data/digits.hpp"
#include "fused_support.hpp"
#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::FusedCase;
using simt_test::PackedNetwork;

/// convnn trained with noise on the built-in digits (tests/golden/make_convnn_smoothing).
Network trained_network() {
  return load_network(SMOOTHCERT_SOURCE_DIR "/tests/golden/convnn_smoothing.safetensors");
}

std::vector<std::uint8_t> test_images(int count) { return draw_digits(3, 1, count).test.pixels; }

TEST(FusedTrained, HalfPrecisionVotesAgreeWithExactOnes) {
  const InferencePlan plan = make_inference_plan(trained_network());
  constexpr std::uint32_t kImages = 50, kSamples = 40;
  const auto pixels = test_images(kImages);
  for (const double sigma : {0.25, 0.5, 1.0}) {
    const PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, sigma, true, 7));
    const FusedNetwork net = simt_test::rounded_to_half(packed.net);
    const auto table = simt_test::view(packed.noise.table.get());
    unsigned agree = 0, right = 0;
    for (std::uint32_t i = 0; i < kImages; ++i) {
      for (std::uint32_t n = 0; n < kSamples; ++n) {
        const auto input =
            simt_test::fused_lattice_input(packed.noise, table, &pixels[784 * i], 1, i, n);
        std::vector<float> exact(784);
        for (std::size_t p = 0; p < 784; ++p) {
          exact[p] = device::lattice_input(static_cast<int>(input[p] * 0x1p24));
        }
        const int fast = reference_vote(simt_test::fused_reference_logits(net, input));
        const int vote = reference_vote(reference_forward(plan, exact));
        agree += fast == vote;
        right += vote >= 0;
      }
    }
    EXPECT_GE(agree, 0.998 * kImages * kSamples) << "sigma " << sigma;
    EXPECT_EQ(right, kImages * kSamples);
    RecordProperty("agreement_at_" + std::to_string(sigma), std::to_string(agree));
  }
}

TEST(FusedTrained, TheKernelVotesAsItsReference) {
  const InferencePlan plan = make_inference_plan(trained_network());
  const PackedNetwork packed(plan, simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 11));
  FusedCase batch({32, 32, 20}, test_images(3));
  simt::emulation() = {};
  count_fused_votes(nullptr, packed.model(), batch.batch(16, 10), {1, 2});
  EXPECT_EQ(batch.counts, simt_test::fused_reference_counts(packed, batch));
}

}  // namespace
}  // namespace smoothcert::gpu
