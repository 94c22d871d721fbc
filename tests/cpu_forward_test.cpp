// Logits of the lane kernels against the plain reference, bit for bit.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "cpu/forward.hpp"
#include "cpu_engine_support.hpp"

namespace smoothcert::cpu {
namespace {

std::vector<float> random_images(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(0, 1);
  std::vector<float> images(count);
  for (float& v : images) v = uniform(random);
  return images;
}

std::vector<float> engine_logits(const InferencePlan& plan, std::span<const float> images,
                                 int threads) {
  ThreadPool pool(threads);
  std::vector<float> logits(images.size() / plan.input.size() *
                            static_cast<std::size_t>(plan.classes));
  forward(plan, pool, images, logits);
  return logits;
}

void expect_same(float a, float b, std::size_t at) {
  EXPECT_TRUE(a == b || (std::isnan(a) && std::isnan(b))) << a << " and " << b << " at " << at;
}

class ForwardOnIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa()) GTEST_SKIP() << "this machine lacks " << isa_name(GetParam());
    isa_.emplace(GetParam());
  }
  void expect_reference(const InferencePlan& plan, std::span<const float> images) {
    const std::size_t size = plan.input.size(), classes = static_cast<std::size_t>(plan.classes);
    const auto logits = engine_logits(plan, images, 2);
    for (std::size_t i = 0; i < images.size() / size; ++i) {
      const auto expected = reference_forward(plan, images.subspan(i * size, size));
      for (std::size_t c = 0; c < classes; ++c)
        expect_same(logits[i * classes + c], expected[c], i);
    }
  }
  std::optional<ForcedIsa> isa_;
};

TEST_P(ForwardOnIsa, EqualsTheReferenceBitForBit) {
  for (const NetworkSpec& spec : engine_networks()) {
    SCOPED_TRACE(spec.name);
    const InferencePlan plan = make_inference_plan(lively_network(spec, 5));
    const bool slow = spec.name == "lenet" || spec.name == "cifar-cnn";
    for (const std::size_t count : {1, slow ? 2 : 17})
      expect_reference(plan, random_images(count * plan.input.size(), 3));
  }
}

TEST_P(ForwardOnIsa, DoesNotDependOnBatchMates) {
  const InferencePlan plan = make_inference_plan(lively_network(builtin_network("convnn"), 5));
  const std::size_t size = plan.input.size(), count = 150;
  const auto images = random_images(count * size, 3);
  const auto together = engine_logits(plan, images, 2);
  for (const std::size_t i : {0, 1, 15, 16, 63, 64, 149}) {
    const auto alone = engine_logits(plan, std::span(images).subspan(i * size, size), 1);
    for (std::size_t c = 0; c < 10; ++c) EXPECT_EQ(alone[c], together[i * 10 + c]);
  }
}

TEST_P(ForwardOnIsa, KeepsNanAndInfinityAsTheReferenceDoes) {
  for (const char* name : {"convnn", "lenet"}) {
    SCOPED_TRACE(name);
    const InferencePlan plan = make_inference_plan(lively_network(builtin_network(name), 5));
    auto images = random_images(4 * plan.input.size(), 3);
    images[400] = std::numeric_limits<float>::quiet_NaN();
    images[plan.input.size() + 30] = std::numeric_limits<float>::infinity();
    images[2 * plan.input.size() + 30] = -std::numeric_limits<float>::max();
    expect_reference(plan, images);
  }
}

TEST_P(ForwardOnIsa, NanWeightInTheSkippedPaddingTapsStaysSkipped) {
  // A 3×3 window over a 1×1 input with padding 1: only the middle tap ever meets a pixel.
  NetworkSpec spec;
  spec.name = "one-pixel";
  spec.input = {1, 1, 1};
  spec.classes = 2;
  Layer conv;
  conv.kind = LayerKind::conv2d;
  conv.name = "conv1";
  conv.inputs = {-1};
  conv.out_channels = 2;
  conv.kernel = 3;
  conv.padding = 1;
  Layer flat;
  flat.kind = LayerKind::flatten;
  flat.name = "flat";
  flat.inputs = {0};
  spec.layers = {conv, flat};
  infer_shapes(spec);
  Network net = initialise(spec, 1);
  auto& weights = net.tensors.at("conv1.weight").data;
  weights[0] = weights[8] = std::numeric_limits<float>::quiet_NaN();
  const InferencePlan plan = make_inference_plan(net);
  const auto logits = engine_logits(plan, random_images(3, 1), 1);
  for (const float v : logits) EXPECT_TRUE(std::isfinite(v));
  expect_reference(plan, random_images(3, 1));
}

INSTANTIATE_TEST_SUITE_P(Isa, ForwardOnIsa, testing::Values(Isa::baseline, Isa::avx2, Isa::avx512),
                         [](const auto& test) { return isa_name(test.param); });

TEST(Forward, RefusesSizesThatDoNotFit) {
  const InferencePlan plan = make_inference_plan(lively_network(builtin_network("convnn"), 5));
  ThreadPool pool(1);
  std::vector<float> images(784 * 2), logits(20);
  forward(plan, pool, {}, {});
  EXPECT_THROW(forward(plan, pool, std::span(images).first(783), logits), UsageError);
  EXPECT_THROW(forward(plan, pool, images, std::span(logits).first(10)), UsageError);
}

}  // namespace
}  // namespace smoothcert::cpu
