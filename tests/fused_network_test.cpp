// Which networks the fused kernel takes, and the Philox split it uses.
#include "gpu/fused_network.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "gpu/fused_packing.hpp"
#include "gpu/vote_tiles.hpp"
#include "smoothcert/device/philox_split.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert::gpu {
namespace {

NoiseSpec lattice(bool clamp = true) {
  NoiseSpec noise;
  noise.clamp = clamp;
  noise.table = make_lattice_table(1.0, 784);
  return noise;
}

std::string refusal(const Network& net, const NoiseSpec& noise) {
  std::string why;
  return match_fused_network(make_inference_plan(net), noise, &why) ? "" : why;
}

TEST(FusedNetwork, TakesTheStudysNetworkAndRefusesOthersWithAReason) {
  const Network study = initialise(builtin_network("convnn"), 1);
  EXPECT_EQ(refusal(study, lattice()), "");
  EXPECT_EQ(refusal(study, lattice(false)), "");
  EXPECT_NE(refusal(initialise(builtin_network("lenet"), 1), lattice()), "");
  EXPECT_NE(refusal(initialise(builtin_network("mlp"), 1), lattice()), "");
  EXPECT_NE(refusal(initialise(builtin_network("cifar-cnn"), 1), lattice()), "");
}

TEST(FusedNetwork, DrawsGaussianNoiseAlone) {
  const Network net = initialise(builtin_network("convnn"), 1);
  NoiseSpec noise;
  noise.width = 512;
  noise.law = NoiseLaw::uniform;
  EXPECT_EQ(refusal(net, noise), "uniform noise");
  noise.law = NoiseLaw::split;
  EXPECT_EQ(refusal(net, noise), "splitting noise");
}

TEST(FusedNetwork, RefusesWhatIsNotFiniteOrLeavesFp16) {
  Network net = initialise(builtin_network("convnn"), 1);
  net.tensors.at("conv2.weight").data[3] = NAN;
  EXPECT_EQ(refusal(net, lattice()), "a parameter is not finite");
  net = initialise(builtin_network("convnn"), 1);
  for (float& w : net.tensors.at("conv1.weight").data) w = 1e5f;
  EXPECT_NE(refusal(net, lattice()).find("fp16"), std::string::npos);
}

// The folded network computes what the plan computes, in real arithmetic.
TEST(FusedNetwork, FoldingChangesNothing) {
  Network net = initialise(builtin_network("convnn"), 3);
  for (auto& v : net.tensors.at("bn1.weight").data) v = v * -1.5f;  // negative scales
  net.tensors.at("bn1.running_mean").data[2] = 0.3f;
  const InferencePlan plan = make_inference_plan(net);
  const auto fused = match_fused_network(plan, lattice(), nullptr);
  ASSERT_TRUE(fused);
  const auto& w = net.tensors.at("conv1.weight").data;
  for (int c = 0; c < 5; ++c) {
    for (int k = 0; k < 25; ++k) {
      EXPECT_NEAR(fused->conv1[c][k] * fused->gain1[c] * kLatticeInputUnit,
                  w[static_cast<std::size_t>(c * 25 + k)], 1e-7);
    }
    EXPECT_LT(fused->gain1[c], 0);
    EXPECT_EQ(std::exp2(std::round(std::log2(-fused->gain1[c]))), -fused->gain1[c]);
  }
}

TEST(FusedNetwork, EveryWeightIsInTheFragments) {
  Network net = initialise(builtin_network("convnn"), 3);
  const auto fused = match_fused_network(make_inference_plan(net), lattice(), nullptr);
  ASSERT_TRUE(fused);
  double sum = 0, expected = 0;
  for (int f = 0; f < FragmentMap::kCount; ++f) {
    for (int k = 0; k < 16; ++k) {
      for (int n = 0; n < 8; ++n) sum += std::abs(fragment_value(*fused, f, k, n));
    }
  }
  // A tap of channels 0..3 stands once per pooled row, dy and dx; of channel 4 also per tile.
  for (int c = 0; c < 5; ++c) {
    for (const float v : fused->conv1[c]) expected += std::abs(v) * (c == 4 ? 16 : 8);
  }
  for (int o = 0; o < 5; ++o) {
    for (int c = 0; c < 5; ++c) {
      // Of channel 4 two positions for output channels 0..3, and again four for channel 4.
      for (const float v : fused->conv2[o][c])
        expected += std::abs(v) * (o == 4 ? 8 : c == 4 ? 8 : 4);
    }
  }
  for (const auto& row : fused->linear) {
    for (const float v : row) expected += std::abs(v);
  }
  EXPECT_NEAR(sum, expected, 1e-6 * expected);
}

TEST(PhiloxSplit, HasTheWordsOfPhilox) {
  for (std::uint32_t i = 0; i < 200; ++i) {
    const std::uint64_t seed = 0x9e3779b97f4a7c15u * i;
    const std::uint32_t purpose = i % 5, image = i * 7919, sample = ~(i * 104729), group = i * 31;
    const auto keys = device::philox_keys(seed);
    const auto got = device::philox_join(keys, device::philox_group(keys, purpose, image, group),
                                         device::philox_sample(keys, image, sample));
    const auto want = device::philox_at(seed, purpose, image, sample, group);
    for (int w = 0; w < 4; ++w) ASSERT_EQ(got.v[w], want.v[w]);
  }
}

TEST(VoteTiles, CoverEverySegment) {
  const std::vector<VoteSegment> segments{{0, 0, 0, 0}, {1, 0, 0, 0}, {1, 0, 0, 0}, {33, 0, 0, 0}};
  EXPECT_EQ(tile_offsets(segments, 50, 16), (std::vector<std::uint32_t>{0, 1, 1, 3, 5}));
  EXPECT_EQ(tile_offsets(segments, 50, 64), (std::vector<std::uint32_t>{0, 1, 1, 2, 3}));
}

}  // namespace
}  // namespace smoothcert::gpu
