// Fast mode on a CPU: Winograd's convolutions beside the exact ones, the same values on every
// instruction set, votes of a trained network.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cpu/lane_arena.hpp"
#include "cpu_engine_support.hpp"
#include "data/digits.hpp"
#include "layer_cases.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/recipe.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert::cpu {
namespace {

std::vector<Isa> isas() {
  std::vector<Isa> all;
  for (const Isa isa : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isa <= detected_isa()) all.push_back(isa);
  return all;
}

/// Logits of one image in fast mode.
std::vector<float> fast_logits(const InferencePlan& plan, std::span<const float> image) {
  const LaneProgram program(plan, active_lane_kernels(), 1.0, Mode::fast);
  LaneArena arena(program);
  const auto lanes = static_cast<std::size_t>(program.kernels().lanes);
  arena.run(1, [&](int, float* input) {
    for (std::size_t p = 0; p < image.size(); ++p)
      for (std::size_t l = 0; l < lanes; ++l) input[p * lanes + l] = image[p];
  });
  std::vector<float> logits;
  for (std::size_t c = 0; c < static_cast<std::size_t>(plan.classes); ++c)
    logits.push_back(arena.logits(0)[c * lanes + lanes - 1]);
  return logits;
}

/// 3×3 convolutions with all that may follow one, a residual among it.
InferencePlan wide_plan(int channels, int height, int width, int padding) {
  const auto conv = [&](const char* name, const char* input) {
    return R"({"op":"conv2d","name":")" + std::string(name) + R"(","out_channels":)" +
           std::to_string(channels) + R"(,"kernel":3,"padding":)" + std::to_string(padding) +
           R"(,"inputs":[")" + input + R"("]})";
  };
  const std::string layers =
      "[" + conv("a", "input") + R"(,{"op":"batchnorm","name":"m"},{"op":"relu"},)" +
      conv("b", "input") +
      R"(,{"op":"relu"},{"op":"batchnorm","name":"n"},{"op":"add","inputs":["n","m"]},{"op":"relu"}])";
  return make_inference_plan(
      formula_network(case_network({"wide", {channels, height, width}, layers, 0})));
}

TEST(CpuWinograd, IsCloseToTheReferenceAndTheSameOnEveryInstructionSet) {
  for (const auto [channels, height, width, padding] :
       std::vector<std::array<int, 4>>{{16, 8, 8, 1},
                                       {17, 7, 7, 1},
                                       {23, 12, 8, 1},
                                       {16, 10, 12, 1},
                                       {16, 6, 6, 0},
                                       {19, 12, 7, 1},
                                       {16, 21, 4, 1},
                                       {16, 4, 13, 1},
                                       {16, 11, 20, 0}}) {
    SCOPED_TRACE(std::to_string(channels) + "x" + std::to_string(height) + "x" +
                 std::to_string(width) + " padding " + std::to_string(padding));
    const InferencePlan plan = wide_plan(channels, height, width, padding);
    ASSERT_TRUE(fast_mode_differs(plan));
    const auto image = formula_image(plan.input, 1);
    const auto exact = reference_forward(plan, image);
    float size = 0;
    for (const float v : exact) size = std::max(size, std::fabs(v));
    std::vector<float> first;
    for (const Isa isa : isas()) {
      const ForcedIsa forced(isa);
      const auto logits = fast_logits(plan, image);
      for (std::size_t c = 0; c < exact.size(); ++c)
        EXPECT_NEAR(logits[c], exact[c], 2e-5f * size) << isa_name(isa);
      if (first.empty()) first = logits;
      EXPECT_EQ(logits, first) << isa_name(isa);
    }
  }
}

Counts fast_votes(const InferencePlan& plan, const VoteSettings& settings,
                  const std::vector<VoteJob>& jobs, int threads) {
  ThreadPool pool(threads);
  Counts sum;
  sum.counts.resize(static_cast<std::size_t>(plan.classes));
  start_votes(plan, pool, settings, jobs, [&](const VoteResult& r) {
    sum = sum + Counts{r.counts, r.invalid};
  })->wait();
  return sum;
}

TEST(CpuWinograd, VotesDoNotDependOnThreadsCutsOrInstructionSets) {
  const InferencePlan plan = wide_plan(16, 8, 8, 1);
  const auto pixels = random_pixels(plan.input.size(), 1);
  const VoteSettings settings{test_noise(true), Mode::fast};
  const VoteJob job{5, pixels.data(), Purpose::estimate, 3, 303};
  std::vector<VoteJob> cut{job, job, job};
  cut[0].last = cut[1].first = 20;
  cut[1].last = cut[2].first = 117;
  const Counts expected = fast_votes(plan, settings, {job}, 1);
  EXPECT_EQ(expected.total(), 300u);
  for (const Isa isa : isas()) {
    const ForcedIsa forced(isa);
    EXPECT_EQ(fast_votes(plan, settings, {job}, 2), expected) << isa_name(isa);
    EXPECT_EQ(fast_votes(plan, settings, cut, 2), expected) << isa_name(isa);
  }
}

TEST(CpuWinograd, IsNamedWhereItIsUsed) {
  const auto path = [](const char* network, Mode mode) {
    const Network net = initialise(builtin_network(network), 1);
    return make_cpu_backend(1)->load(net)->describe_votes({test_noise(true), mode});
  };
  EXPECT_EQ(path("resnet20", Mode::fast), "cpu winograd");
  EXPECT_THAT(path("resnet20", Mode::exact), testing::StartsWith("cpu exact "));
  // Without a 3×3 convolution that it pays for, fast mode is the exact one, and says so.
  EXPECT_THAT(path("lenet", Mode::fast), testing::StartsWith("cpu exact "));
}

/// A residual network of 1×28×28 images, trained with noise on the built-in digits.
Network trained_network() {
  NetworkSpec spec = case_network(
      {"small",
       {1, 28, 28},
       R"([{"op":"conv2d","name":"c1","out_channels":16,"kernel":3,"stride":2,"padding":1},
           {"op":"batchnorm","name":"n1"},{"op":"relu","name":"r1"},
           {"op":"conv2d","name":"c2","out_channels":16,"kernel":3,"padding":1},
           {"op":"batchnorm","name":"n2"},{"op":"relu"},
           {"op":"conv2d","name":"c3","out_channels":16,"kernel":3,"padding":1},
           {"op":"batchnorm","name":"n3"},{"op":"add","inputs":["n3","r1"]},{"op":"relu"},
           {"op":"maxpool","kernel":2}])",
       0});
  spec.classes = 10;
  spec.layers.back().out_channels = 10;
  infer_shapes(spec);
  TrainRecipe recipe = builtin_recipe("smoothing");
  recipe.epochs = 3;
  recipe.sigma = 0.5;
  const DataPair digits = draw_digits(3, 3000, 1);
  return train(*make_cpu_backend(2), spec, recipe, digits.train, {}).network;
}

TEST(CpuWinograd, TrainedVotesAgreeWithExactOnes) {
  const Network net = trained_network();
  const InferencePlan plan = make_inference_plan(net);
  ASSERT_TRUE(fast_mode_differs(plan));
  constexpr std::uint32_t kImages = 40, kSamples = 64;
  const DataPair digits = draw_digits(3, 1, kImages);
  NoiseSpec noise = test_noise(true);
  noise.table = make_lattice_table(0.5, plan.input.size());
  unsigned agree = 0, right = 0;
  for (std::uint32_t i = 0; i < kImages; ++i)
    for (std::uint32_t n = 0; n < kSamples; ++n) {
      // One sample a job, so that its vote is known.
      const VoteJob job{i, &digits.test.pixels[784 * i], Purpose::estimate, n, n + 1};
      const Counts exact = fast_votes(plan, {noise, Mode::exact}, {job}, 1);
      agree += fast_votes(plan, {noise, Mode::fast}, {job}, 1) == exact ? 1 : 0;
      right += static_cast<unsigned>(exact.counts[digits.test.labels[i]]);
    }
  // A network that knows nothing, or always gives the same answer, would make this test vacuous.
  EXPECT_GE(right, 0.7 * kImages * kSamples);
  EXPECT_GE(agree, 0.998 * kImages * kSamples);
  RecordProperty("agreement", std::to_string(agree));
}

}  // namespace
}  // namespace smoothcert::cpu
