// The recipes are the protocol's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "smoothcert/error.hpp"
#include "smoothcert/recipe.hpp"

namespace smoothcert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Recipes, AreKnownByName) {
  EXPECT_THAT(builtin_recipe_names(),
              ElementsAre("normal", "adversarial", "smoothing", "adversarial-strong",
                          "lenet-gaussian", "mnist-split"));
  for (const auto& name : builtin_recipe_names()) {
    EXPECT_EQ(builtin_recipe(name).name, name);
    EXPECT_NO_THROW(validate(builtin_recipe(name))) << name;
  }
  try {
    builtin_recipe("smooting");
    FAIL();
  } catch (const UsageError& e) {
    EXPECT_THAT(e.what(), HasSubstr("unknown recipe 'smooting'; did you mean 'smoothing'?"));
  }
}

TEST(Recipes, TheStudysThree) {
  for (const auto* name : {"normal", "adversarial", "smoothing"}) {
    const auto r = builtin_recipe(name);
    EXPECT_EQ(to_name(r.regime), name);
    EXPECT_EQ(r.epochs, r.regime == Regime::adversarial ? 2 : 1);
    EXPECT_EQ(r.batch_size, 128);
    EXPECT_EQ(r.optimizer.kind, OptimizerSpec::Kind::adam);
    EXPECT_EQ(r.optimizer.learning_rate, 1e-3);
    EXPECT_EQ(r.optimizer.beta1, 0.9);
    EXPECT_EQ(r.optimizer.beta2, 0.999);
    EXPECT_EQ(r.optimizer.eps, 1e-8);
    EXPECT_EQ(r.optimizer.weight_decay, 0);
    EXPECT_TRUE(r.milestones.empty());
    EXPECT_FALSE(r.cosine);
    EXPECT_TRUE(r.clamp);
  }
  const auto adversarial = builtin_recipe("adversarial");
  EXPECT_EQ(adversarial.attack.kind, AttackKind::fgm_l2);
  EXPECT_EQ(adversarial.attack.loss, LossKind::cross_entropy);
  EXPECT_EQ(adversarial.attack.epsilon, 5);
  EXPECT_EQ(adversarial.attack_mode, ForwardMode::train);
  EXPECT_EQ(adversarial.clean_weight, 0);
  EXPECT_EQ(builtin_recipe("smoothing").sigma, 1);
}

TEST(Recipes, TheLiteraturesGaussian) {
  const auto r = builtin_recipe("lenet-gaussian");
  EXPECT_EQ(r.regime, Regime::smoothing);
  EXPECT_EQ(r.optimizer.kind, OptimizerSpec::Kind::sgd);
  EXPECT_EQ(r.optimizer.learning_rate, 0.01);
  EXPECT_EQ(r.optimizer.momentum, 0.9);
  EXPECT_EQ(r.optimizer.weight_decay, 1e-4);
  EXPECT_EQ(r.batch_size, 256);
  EXPECT_EQ(r.epochs, 90);
  EXPECT_EQ(r.network, "lenet");
  EXPECT_THAT(r.milestones, ElementsAre(30, 60));
  EXPECT_EQ(r.gamma, 0.1);
  EXPECT_FALSE(r.clamp);
}

TEST(Recipes, CleanImagesComeInAfterTheAttackedEpochs) {
  TrainRecipe r = builtin_recipe("adversarial");
  r.attack_mode = ForwardMode::eval;
  r.clean_weight = 0.4;
  r.attacked_epochs = 2;
  r.ramp_epochs = 4;
  const double expected[] = {0, 0, 0.1, 0.2, 0.3, 0.4, 0.4};
  for (int epoch = 0; epoch < 7; ++epoch) {
    const auto now = epoch_recipe(r, epoch);
    EXPECT_DOUBLE_EQ(now.clean_weight, expected[epoch]) << epoch;
    EXPECT_EQ(now.attack_mode, epoch < 2 ? ForwardMode::train : ForwardMode::eval) << epoch;
  }
  r.attacked_epochs = r.ramp_epochs = 0;
  EXPECT_EQ(recipe_json(epoch_recipe(r, 0)), recipe_json(r));
  r.clean_weight = 0.5;
  EXPECT_EQ(clean_images(r, 128), 64u);
  EXPECT_EQ(clean_images(r, 7), 4u);
}

TEST(Recipes, NonsenseIsRefused) {
  const auto refused = [](auto change) {
    auto r = builtin_recipe("smoothing");
    change(r);
    EXPECT_THROW(validate(r), UsageError);
  };
  refused([](auto& r) { r.epochs = 0; });
  refused([](auto& r) { r.batch_size = 0; });
  refused([](auto& r) { r.optimizer.learning_rate = 0; });
  refused([](auto& r) { r.optimizer.momentum = 1; });
  refused([](auto& r) { r.optimizer.weight_decay = -1; });
  refused([](auto& r) { r.sigma = 0; });
  refused([](auto& r) { r.lambda = 0.4; });
  refused([](auto& r) { r.lambda = -1; });
  refused([](auto& r) {
    r.regime = Regime::normal;
    r.lambda = 1;
  });
  refused([](auto& r) {
    r.regime = Regime::adversarial;
    r.clean_weight = 1.5;
  });
  refused([](auto& r) {
    r.regime = Regime::adversarial;
    r.attack.epsilon = -1;
  });
}

TEST(Recipes, EveryFieldIsPartOfTheirJson) {
  const auto changed = [](const std::string& name, auto change) {
    auto r = builtin_recipe(name);
    const auto before = recipe_json(r);
    change(r);
    EXPECT_NE(recipe_json(r), before);
  };
  changed("smoothing", [](auto& r) { r.sigma = 0.5; });
  changed("smoothing", [](auto& r) { r.clamp = false; });
  changed("smoothing", [](auto& r) { r.lambda = 0.5; });
  changed("smoothing", [](auto& r) { r.optimizer.learning_rate = 0.5; });
  changed("lenet-gaussian", [](auto& r) { r.milestones = {1}; });
  changed("adversarial", [](auto& r) { r.clean_weight = 0.5; });
  changed("adversarial", [](auto& r) { r.mixed_batch = true; });
  changed("adversarial", [](auto& r) { r.attacked_epochs = 1; });
  changed("adversarial", [](auto& r) { r.ramp_epochs = 1; });
  changed("adversarial", [](auto& r) { r.attack_mode = ForwardMode::eval; });
  changed("adversarial", [](auto& r) { r.attack.loss = LossKind::margin; });
}

TEST(Recipes, SurviveTheJsonRoundTrip) {
  for (const auto& name : builtin_recipe_names()) {
    const auto json = recipe_json(builtin_recipe(name));
    EXPECT_EQ(recipe_json(parse_recipe(json, "test")), json);
  }
}

TEST(Recipes, LeftOutFieldsAreTheBases) {
  const auto r = parse_recipe(
      R"({"base": "lenet-gaussian", "name": "mine", "sigma": 0.12, "milestones": [5]})", "test");
  EXPECT_EQ(r.name, "mine");
  EXPECT_EQ(r.sigma, 0.12);
  EXPECT_THAT(r.milestones, ElementsAre(5));
  EXPECT_EQ(r.optimizer.kind, OptimizerSpec::Kind::sgd);
  EXPECT_EQ(r.epochs, 90);
  EXPECT_EQ(recipe_json(parse_recipe("{}", "test")), recipe_json(builtin_recipe("normal")));
}

TEST(Recipes, BadJsonIsOneClearLine) {
  const auto message = [](const std::string& json) {
    try {
      parse_recipe(json, "my.json");
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string("(no error)");
  };
  EXPECT_THAT(message("[1]"), HasSubstr("my.json: a recipe is a JSON object"));
  EXPECT_THAT(message("{"), HasSubstr("my.json: a recipe is a JSON object"));
  EXPECT_THAT(message(R"({"epoch": 3})"),
              HasSubstr("my.json: unknown field 'epoch'; did you mean 'epochs'?"));
  EXPECT_THAT(message(R"({"epochs": 1.5})"), HasSubstr("my.json: 'epochs' must be a whole number"));
  EXPECT_THAT(message(R"({"sigma": "1"})"), HasSubstr("my.json: 'sigma' must be a number"));
  EXPECT_THAT(message(R"({"sigma": "8/x"})"), HasSubstr("my.json: 'sigma' must be a number"));
  EXPECT_THAT(message(R"({"clamp": 1})"), HasSubstr("my.json: 'clamp' has the wrong type"));
  EXPECT_THAT(message(R"({"attack": "l3"})"), HasSubstr("my.json: unknown attack 'l3'"));
  EXPECT_THAT(message(R"({"base": "smooting"})"), HasSubstr("did you mean 'smoothing'?"));
  EXPECT_THAT(message(R"({"epochs": 0})"), HasSubstr("epochs must be at least 1"));
}

}  // namespace
}  // namespace smoothcert
