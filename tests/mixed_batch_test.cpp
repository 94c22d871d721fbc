// Mixed batches on the CPU: the first part of each batch stays clean, the rest is attacked.
#include <gtest/gtest.h>

#include <numeric>

#include "campaign_support.hpp"
#include "smoothcert/backend.hpp"

namespace smoothcert {
namespace {

struct MixedBatch : ::testing::Test {
  Network initial = test::toy_network();
  Dataset data = test::toy_dataset(initial, 40);
  TrainRecipe recipe = [] {
    TrainRecipe r = builtin_recipe("adversarial");
    r.attack.epsilon = 0.5;
    r.batch_size = 20;
    r.optimizer.kind = OptimizerSpec::Kind::sgd;
    r.optimizer.learning_rate = 1;
    r.mixed_batch = true;
    return r;
  }();

  /// Parameters after one epoch over images [first, last), in order.
  Network after(const TrainRecipe& r, std::uint32_t first, std::uint32_t last) {
    const auto backend = make_cpu_backend(2);
    const auto model = backend->load(initial);
    std::vector<std::uint32_t> order(last - first);
    std::iota(order.begin(), order.end(), first);
    model->train_epoch({.data = data,
                        .recipe = r,
                        .order = order,
                        .learning_rate = r.optimizer.learning_rate,
                        .on_step = {},
                        .stop = {}});
    Network net = initial;
    model->download(net);
    return net;
  }
};

TEST_F(MixedBatch, AllCleanIsNormalTraining) {
  recipe.clean_weight = 1;
  TrainRecipe normal = recipe;
  normal.regime = Regime::normal;
  EXPECT_EQ(model_hash(after(recipe, 0, 40)), model_hash(after(normal, 0, 40)));
}

TEST_F(MixedBatch, AllAttackedIsAdversarialTraining) {
  recipe.clean_weight = 0;
  TrainRecipe separate = recipe;
  separate.mixed_batch = false;
  EXPECT_EQ(model_hash(after(recipe, 0, 40)), model_hash(after(separate, 0, 40)));
}

// One batch of 20, 7 of them clean: its gradient is the mean of what the two parts give alone.
TEST_F(MixedBatch, TheFirstImagesStayClean) {
  recipe.clean_weight = 0.35;
  ASSERT_EQ(clean_images(recipe, 20), 7u);
  const auto mixed = after(recipe, 0, 20);
  recipe.clean_weight = 1;
  const auto clean = after(recipe, 0, 7);
  recipe.clean_weight = 0;
  const auto attacked = after(recipe, 7, 20), all_attacked = after(recipe, 0, 20);
  for (const auto& [name, tensor] : initial.tensors) {
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      const auto step = [&](const Network& net) {
        return static_cast<double>(net.tensors.at(name).data[i]) - tensor.data[i];
      };
      EXPECT_NEAR(step(mixed), (7 * step(clean) + 13 * step(attacked)) / 20, 1e-6) << name << i;
    }
  }
  EXPECT_NE(model_hash(mixed), model_hash(all_attacked));
}

}  // namespace
}  // namespace smoothcert
