// What a backend reads off an epoch's request: whether it fits, its steps, the optimiser's numbers.
#include "train/epoch_request.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "smoothcert/error.hpp"
#include "train/optimizer_step.hpp"

namespace smoothcert {
namespace {

class EpochRequests : public testing::Test {
 protected:
  EpochRequests() {
    spec.name = "tiny";
    spec.input = {1, 2, 3};
    spec.classes = 3;
    Layer flatten, norm, fc;
    flatten.kind = LayerKind::flatten, flatten.name = "flatten", flatten.inputs = {-1};
    norm.kind = LayerKind::batchnorm, norm.name = "bn", norm.inputs = {0};
    fc.kind = LayerKind::linear, fc.name = "fc", fc.inputs = {1}, fc.out_channels = 3;
    spec.layers = {flatten, norm, fc};
    infer_shapes(spec);
    data.name = "four";
    data.shape = spec.input;
    data.classes = 3;
    data.pixels.resize(4 * 6);
    data.labels = {0, 1, 2, 0};
    recipe.batch_size = 4;
  }

  EpochRequest request() const {
    return {.data = data,
            .recipe = recipe,
            .order = order,
            .epoch = 1,
            .learning_rate = 0.5,
            .total_steps = 6,
            .seed = 0,
            .on_step = {},
            .stop = {}};
  }
  void expect_refused(const std::string& line) const {
    try {
      check_epoch(spec, request());
      FAIL() << "accepted: " << line;
    } catch (const UsageError& error) {
      EXPECT_EQ(error.what(), line);
    }
  }

  NetworkSpec spec;
  Dataset data;
  TrainRecipe recipe;
  std::vector<std::uint32_t> order = std::vector<std::uint32_t>(10, 3);
};

TEST_F(EpochRequests, AreCutIntoBatchesTheLastOfWhichIsShort) {
  const EpochSteps steps(request());
  ASSERT_EQ(steps.count(), 3u);
  EXPECT_EQ(steps.first(2), 8u);
  EXPECT_EQ(steps.size(0), 4u);
  EXPECT_EQ(steps.size(2), 2u);
  EXPECT_EQ(steps.largest(), 4u);
  recipe.batch_size = 16;
  const EpochSteps one(request());
  EXPECT_EQ(one.count(), 1u);
  EXPECT_EQ(one.size(0), 10u);
  EXPECT_EQ(one.largest(), 10u);
  order.clear();
  EXPECT_EQ(EpochSteps(request()).count(), 0u);
  EXPECT_EQ(EpochSteps(request()).largest(), 0u);
}

TEST_F(EpochRequests, ThatFitAreAccepted) {
  EXPECT_NO_THROW(check_epoch(spec, request()));
  order.clear();
  EXPECT_NO_THROW(check_epoch(spec, request()));
  recipe.attack.kind = AttackKind::pgd_l2;
  recipe.attack.steps = 0;
  EXPECT_NO_THROW(check_epoch(spec, request())) << "no attack in this regime";
}

TEST_F(EpochRequests, ThatDoNotFitAreRefusedInOneLine) {
  order[7] = 4;
  expect_refused("training: image 4 is not in data set 'four', which has 4");
  order[7] = 1;
  data.labels[1] = 3;
  expect_refused(
      "training: label 3 of image 1 is not below the number of classes of data set 'four', 3");
  data.labels[1] = 1;
  recipe.batch_size = 3;
  expect_refused(
      "training: a batch of one image leaves BatchNorm 'bn' a single value per channel; choose "
      "another batch size");
  recipe.batch_size = 0;
  expect_refused("training: the batch size must be at least 1");
  recipe.batch_size = 4;
  recipe.regime = Regime::adversarial;
  recipe.attack.kind = AttackKind::pgd_l2;
  recipe.attack.steps = 0;
  expect_refused("training: PGD needs at least 1 step");
  recipe.attack.steps = 1;
  data.classes = 4;
  expect_refused("training: data set 'four' does not fit network 'tiny'");
  data.classes = 3;
  data.shape = {1, 3, 2};
  expect_refused("training: data set 'four' does not fit network 'tiny'");
}

TEST_F(EpochRequests, InputGradientsOfOtherSizesAreRefused) {
  const std::vector<float> pixels(12), logits(6);
  const std::vector<Label> labels{0, 2};
  const auto check = [&](std::size_t images, std::size_t gradient, std::size_t scores,
                         std::span<const Label> of) {
    check_input_gradient(spec, std::span(pixels).first(images), of,
                         std::span(pixels).first(gradient), std::span(logits).first(scores));
  };
  EXPECT_NO_THROW(check(12, 12, 6, labels));
  EXPECT_NO_THROW(check(12, 12, 0, labels));
  EXPECT_NO_THROW(check(0, 0, 0, {}));
  EXPECT_THROW(check(11, 12, 6, labels), UsageError);
  EXPECT_THROW(check(12, 6, 6, labels), UsageError);
  EXPECT_THROW(check(12, 12, 3, labels), UsageError);
  const std::vector<Label> beyond{0, 3};
  try {
    check(12, 12, 6, beyond);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(error.what(), "input gradient: label 3 is not below the number of classes, 3");
  }
}

TEST_F(EpochRequests, AdamsCorrectionsAndTheLearningRateOfEachStep) {
  recipe.cosine = true;
  recipe.optimizer.momentum = 0.75;
  recipe.optimizer.weight_decay = 0.125;
  for (std::uint64_t step = 3; step < 6; ++step) {
    const OptimizerStep numbers = optimizer_step(request(), step);
    const double t = static_cast<double>(step) + 1;
    const double rate = learning_rate_at(request(), step);
    EXPECT_EQ(numbers.adam.step_size, static_cast<float>(rate / (1 - std::pow(0.9, t))));
    EXPECT_EQ(numbers.adam.root_scale, static_cast<float>(1 / std::sqrt(1 - std::pow(0.999, t))));
    EXPECT_EQ(numbers.adam.beta1, 0.9f);
    EXPECT_EQ(numbers.adam.beta2, 0.999f);
    EXPECT_EQ(numbers.adam.eps, 1e-8f);
    EXPECT_EQ(numbers.adam.weight_decay, 0.125f);
    EXPECT_EQ(numbers.sgd.learning_rate, static_cast<float>(rate));
    EXPECT_EQ(numbers.sgd.momentum, 0.75f);
    EXPECT_EQ(numbers.sgd.weight_decay, 0.125f);
  }
  EXPECT_GT(optimizer_step(request(), 3).sgd.learning_rate,
            optimizer_step(request(), 5).sgd.learning_rate);
  EXPECT_FLOAT_EQ(optimizer_step(request(), 0).adam.step_size, 5.0f) << "0.5 / (1 − 0.9)";
}

TEST(MomentSuffixes, OfBothOptimizers) {
  EXPECT_THAT(moment_suffixes(OptimizerSpec::Kind::adam), testing::ElementsAre("/m", "/v"));
  EXPECT_THAT(moment_suffixes(OptimizerSpec::Kind::sgd), testing::ElementsAre("/momentum"));
}

}  // namespace
}  // namespace smoothcert
