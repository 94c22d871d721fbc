// Every row of the table of layers: the lane engine against the reference bit for bit, both against
// PyTorch, votes, descriptions, and the one layer that training refuses.
#include "layer_cases.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "cpu/forward.hpp"
#include "cpu_engine_support.hpp"
#include "places_support.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert::cpu {
namespace {

using nlohmann::json;

json golden(const char* name) {
  std::ifstream file(test::source_folder() / "tests/golden" / name);
  return json::parse(file);
}

std::vector<float> engine_logits(const InferencePlan& plan, std::span<const float> images) {
  ThreadPool pool(1);
  std::vector<float> logits(images.size() / plan.input.size() *
                            static_cast<std::size_t>(plan.classes));
  forward(plan, pool, images, logits);
  return logits;
}

class LayersOnIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa()) GTEST_SKIP() << "this machine lacks " << isa_name(GetParam());
    isa_.emplace(GetParam());
  }
  std::optional<ForcedIsa> isa_;
};

TEST_P(LayersOnIsa, EveryCaseHasTheBitsOfTheReference) {
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const InferencePlan plan = make_inference_plan(formula_network(case_network(c)));
    const std::size_t size = plan.input.size();
    constexpr std::size_t kImages = 18;
    std::vector<float> images;
    for (std::size_t i = 0; i < kImages; ++i) {
      auto image = formula_image(plan.input, static_cast<int>(i));
      // Large values of both signs, and what is no number.
      if (i == 3)
        for (float& v : image) v = 40 * (v - 0.5f);
      if (i == 4)
        for (float& v : image) v = 4000 * (v - 0.5f);
      if (i == 5) image[size / 2] = std::numeric_limits<float>::quiet_NaN();
      if (i == 6) image[size / 3] = std::numeric_limits<float>::infinity();
      if (i == 7) image[size / 3] = -std::numeric_limits<float>::infinity();
      images.insert(images.end(), image.begin(), image.end());
    }
    const auto logits = engine_logits(plan, images);
    for (std::size_t i = 0; i < kImages; ++i) {
      const auto expected = reference_forward(plan, std::span(images).subspan(i * size, size));
      for (std::size_t k = 0; k < expected.size(); ++k) {
        const float got = logits[i * expected.size() + k];
        ASSERT_TRUE(got == expected[k] || (std::isnan(got) && std::isnan(expected[k])))
            << "image " << i << ", logit " << k << ": " << got << " and " << expected[k];
      }
    }
  }
}

TEST_P(LayersOnIsa, VotesOfEveryCaseAreTheReferences) {
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const InferencePlan plan = make_inference_plan(formula_network(case_network(c)));
    const auto pixels = random_pixels(plan.input.size(), 3);
    const NoiseSpec noise = test_noise(true);
    const VoteJob job{7, pixels.data(), Purpose::estimate, 5, 45};
    EXPECT_EQ(run_votes(plan, noise, {job}, 1)[0], reference_votes(plan, noise, job));
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, LayersOnIsa, testing::Values(Isa::baseline, Isa::avx2, Isa::avx512),
                         [](const auto& test) { return isa_name(test.param); });

double largest_difference(std::span<const float> got, const std::vector<double>& want,
                          double* largest) {
  double difference = 0;
  for (std::size_t k = 0; k < want.size(); ++k) {
    difference = std::max(difference, std::fabs(double{got[k]} - want[k]));
    *largest = std::max(*largest, std::fabs(want[k]));
  }
  return difference;
}

TEST(Layers, LogitsOfEveryCaseArePyTorchs) {
  const json all = golden("layers.json");
  EXPECT_EQ(all.size(), layer_cases().size()) << "run tests/golden/make_layers.py";
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const InferencePlan plan = make_inference_plan(formula_network(case_network(c)));
    for (int i = 0; i < 2; ++i) {
      const auto want = all.at(c.name).at(static_cast<std::size_t>(i)).get<std::vector<double>>();
      ASSERT_EQ(want.size(), 5u);
      double largest = 0;
      const double difference =
          largest_difference(engine_logits(plan, formula_image(plan.input, i)), want, &largest);
      EXPECT_LE(difference, c.bound * largest);
    }
  }
}

/// ImageNet's networks at 64 × 64, which has every layer of theirs and a tenth of the work, and at
/// their own 224 × 224.
TEST(Layers, LogitsOfTheLiteraturesNetworksArePyTorchs) {
  const json all = golden("networks.json");
  for (const auto& [name, want] : all.items()) {
    SCOPED_TRACE(name);
#if defined(__SANITIZE_ADDRESS__)
    if (want.at("size").get<int>() > 64) continue;  // minutes under sanitizers, for the same layers
#endif
    NetworkSpec spec = builtin_network(want.value("network", name));
    EXPECT_EQ(trainable_parameters(spec), want.at("parameters").get<std::uint64_t>());
    spec.input.height = spec.input.width = want.at("size").get<int>();
    const InferencePlan plan = make_inference_plan(formula_network(spec));
    const auto logits = engine_logits(plan, formula_image(plan.input, 0));
    double largest = want.at("largest").get<double>(), mean = 0;
    for (const float v : logits) mean += double{v} / static_cast<double>(logits.size());
    EXPECT_LE(largest_difference(logits, want.at("logits").get<std::vector<double>>(), &largest),
              1e-4 * largest);
    EXPECT_NEAR(mean, want.at("mean").get<double>(), 1e-4 * largest);
  }
}

TEST(Layers, DescriptionsOfEveryCaseSurviveTheJsonRoundTrip) {
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const std::string text = network_spec_json(case_network(c));
    EXPECT_EQ(network_spec_json(parse_network_spec(text, c.name)), text);
    validate(initialise(case_network(c), 3), c.name);
  }
}

TEST(Layers, OnlyADropoutThatWouldBeDrawnIsNotTrained) {
  const auto network = [](const char* dropout) {
    NetworkSpec spec = parse_network_spec(
        R"({"name":"n","input":[1,2,2],"classes":4,"layers":[{"op":"flatten"},)" +
            std::string(dropout) + "]}",
        "n");
    return spec;
  };
  for (const LayerCase& c : layer_cases()) {
    if (c.name != "identity and dropout") {
      EXPECT_NO_THROW(require_gradients(case_network(c), "training")) << c.name;
    }
  }
  EXPECT_NO_THROW(require_gradients(network(R"({"op":"dropout","p":0})"), "training"));
  const NetworkSpec drawn = network(R"({"op":"dropout","name":"drop","p":0.25})");
  const auto backend = make_backend("cpu", 1, nullptr);
  const auto model = backend->load(initialise(drawn, 1));
  std::vector<float> image(4, 0.5f), gradient(4);
  const std::vector<Label> label{0};
  model->input_gradient(image, label, LossKind::cross_entropy, gradient, {});
  EXPECT_NE(gradient[0], 0.0f) << "an attack goes through it";
  try {
    require_gradients(drawn, "training");
    ADD_FAILURE() << "nothing said";
  } catch (const UsageError& e) {
    EXPECT_STREQ(e.what(),
                 "training: network 'n', layer 2 'drop': dropout with p = 0.25 is not drawn in "
                 "training here; with \"p\": 0, or without that layer, it can be trained");
  }
}

}  // namespace
}  // namespace smoothcert::cpu
