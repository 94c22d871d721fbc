// Which networks the fused feature kernel takes, and that its packing loses no weight.
#include "gpu/feature_network.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "gpu/feature_packing.hpp"
#include "smoothcert/network.hpp"
#include "util/half.hpp"

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
  return match_feature_network(make_inference_plan(net), noise, &why) ? "" : why;
}

TEST(FeatureNetwork, TakesLeNetAndRefusesOthersWithAReason) {
  EXPECT_EQ(refusal(initialise(builtin_network("lenet"), 1), lattice()), "");
  EXPECT_EQ(refusal(initialise(builtin_network("lenet"), 1), lattice(false)), "");
  EXPECT_EQ(refusal(initialise(builtin_network("convnn"), 1), lattice()), "");
  EXPECT_EQ(refusal(initialise(builtin_network("mlp"), 1), lattice()),
            "expected a convolution (step 0)");
  EXPECT_NE(refusal(initialise(builtin_network("cifar-cnn"), 1), lattice()), "");
}

TEST(FeatureNetwork, DrawsGaussianNoiseAlone) {
  const Network net = initialise(builtin_network("lenet"), 1);
  NoiseSpec noise;
  noise.width = 512;
  noise.law = NoiseLaw::uniform;
  EXPECT_EQ(refusal(net, noise), "uniform noise");
  noise.law = NoiseLaw::split;
  EXPECT_EQ(refusal(net, noise), "splitting noise");
}

TEST(FeatureNetwork, RefusesWhatIsNotFiniteOrFarOutsideFp16) {
  Network net = initialise(builtin_network("lenet"), 1);
  net.tensors.at("fc1.weight").data[3] = NAN;
  EXPECT_EQ(refusal(net, lattice()), "a parameter is not finite");
  net = initialise(builtin_network("lenet"), 1);
  for (float& w : net.tensors.at("conv1.weight").data) w = 1e30f;
  EXPECT_NE(refusal(net, lattice()).find("fp16"), std::string::npos);
}

TEST(FeatureNetwork, WeightsAndActivationsFillTheUpperEndOfFp16) {
  Network net = initialise(builtin_network("lenet"), 2);
  for (float& w : net.tensors.at("conv2.weight").data) w *= 1e-6f;  // would be a subnormal half
  const auto features = match_feature_network(make_inference_plan(net), lattice(), nullptr);
  ASSERT_TRUE(features);
  const auto largest = [](const std::vector<float>& values) {
    float most = 0;
    for (const float v : values) most = std::max(most, std::abs(v));
    return most;
  };
  EXPECT_GT(largest(features->conv1), 16384);
  EXPECT_LE(largest(features->conv1), 32768);
  EXPECT_GT(largest(features->conv2), 0.5);
  EXPECT_LE(largest(features->conv2), 1);
  for (const FeatureLinear& layer : features->linear) {
    EXPECT_GT(largest(layer.weights), 0.5);
    EXPECT_LE(largest(layer.weights), 1);
    EXPECT_EQ(std::exp2(std::round(std::log2(layer.scale))), layer.scale);
  }
  for (const float gain : features->gain2) {
    EXPECT_EQ(std::exp2(std::round(std::log2(gain))), gain);
  }
}

double size_of(std::uint32_t halves) {
  return std::abs(half_to_float(static_cast<std::uint16_t>(halves))) +
         std::abs(half_to_float(static_cast<std::uint16_t>(halves >> 16)));
}

double rounded_size(const std::vector<float>& values) {
  double sum = 0;
  for (const float v : values) sum += std::abs(half_to_float(double_to_half(v)));
  return sum;
}

TEST(FeatureNetwork, EveryWeightStandsOnceInItsPlace) {
  const Network net = initialise(builtin_network("lenet"), 3);
  const auto features = match_feature_network(make_inference_plan(net), lattice(), nullptr);
  ASSERT_TRUE(features);
  const auto words = pack_features(*features);
  double first = 0, second = 0;
  for (int i = FeatureMap::kConv2; i < FeatureMap::kConv1; ++i) {
    second += size_of(words[static_cast<std::size_t>(i)]);
  }
  for (int i = FeatureMap::kConv1; i < FeatureMap::kEpilogue; ++i) {
    first += size_of(words[static_cast<std::size_t>(i)]);
  }
  EXPECT_NEAR(first, rounded_size(features->conv1), 1e-9 * first);
  EXPECT_NEAR(second, rounded_size(features->conv2), 1e-9 * second);
  const auto layers = pack_linear(*features);
  ASSERT_EQ(layers.size(), 2u);
  EXPECT_EQ(feature_count(*features), 800);
  EXPECT_EQ(layers[0].in, 800);
  EXPECT_EQ(layers[0].out, 512);
  EXPECT_EQ(layers[1].in, 512);
  EXPECT_EQ(layers[1].out, 16);
  for (std::size_t l = 0; l < 2; ++l) {
    double sum = 0;
    for (const std::uint16_t w : layers[l].weights) sum += size_of(w);
    EXPECT_NEAR(sum, rounded_size(features->linear[l].weights), 1e-9 * sum);
  }
  // Feature 37: channels 2 and 3, pooled output 2, the second of the two.
  EXPECT_EQ(layers[0].weights[37], double_to_half(features->linear[0].weights[3 * 16 + 2]));
}

TEST(FeatureNetwork, RowsOfTheConvolutionsMatrices) {
  EXPECT_EQ(conv1_row(5).tap, -1);
  EXPECT_EQ(conv1_row(13).tap, 11);
  EXPECT_EQ(conv1_row(30).tap, -1);
  EXPECT_EQ(conv2_row(47).tap, 2);
  EXPECT_EQ(conv2_row(47).channel, 7);
  EXPECT_EQ(conv2_row(500).tap, -1);
}

}  // namespace
}  // namespace smoothcert::gpu
