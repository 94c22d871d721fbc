// Training from the outside: order of images, learning rates, subsets, records.
#include "smoothcert/train.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>

#include "campaign_support.hpp"
#include "fake_trainer_support.hpp"
#include "places_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/version.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {

using test::FakeTrainer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::uint32_t> counting(std::size_t count) {
  std::vector<std::uint32_t> indices(count);
  std::iota(indices.begin(), indices.end(), 0u);
  return indices;
}

TEST(EpochOrder, IsAPermutationOfTheIndices) {
  const std::vector<std::uint32_t> indices{5, 9, 2, 77, 1000, 3};
  for (int epoch = 0; epoch < 20; ++epoch)
    EXPECT_THAT(epoch_order(indices, 1, epoch), ::testing::UnorderedElementsAreArray(indices));
  EXPECT_TRUE(epoch_order({}, 1, 0).empty());
}

TEST(EpochOrder, DependsOnSeedAndEpoch) {
  const auto indices = counting(100);
  EXPECT_EQ(epoch_order(indices, 1, 2), epoch_order(indices, 1, 2));
  EXPECT_NE(epoch_order(indices, 1, 2), epoch_order(indices, 1, 3));
  EXPECT_NE(epoch_order(indices, 1, 2), epoch_order(indices, 2, 2));
  EXPECT_NE(epoch_order(indices, 1, 2), epoch_order(indices, (std::uint64_t{1} << 32) + 1, 2));
}

// Each of the 24 orders of four images is as likely: χ² of 24,000 epochs, 23 degrees of freedom.
TEST(EpochOrder, IsUnbiased) {
  const auto indices = counting(4);
  std::map<std::vector<std::uint32_t>, int> seen;
  for (int epoch = 0; epoch < 24000; ++epoch) ++seen[epoch_order(indices, 3, epoch)];
  ASSERT_EQ(seen.size(), 24u);
  double chi_squared = 0;
  for (const auto& [order, count] : seen) chi_squared += (count - 1000.0) * (count - 1000.0) / 1000;
  EXPECT_LT(chi_squared, 23 + 4.9 * std::sqrt(2.0 * 23));
}

TEST(EpochOrder, AgreesWithTheGoldenTable) {
  std::ifstream in(test::source_folder() / "tests/golden/epoch_order.txt");
  std::string line;
  int lines = 0;
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::uint64_t seed = 0;
    int epoch = 0;
    std::size_t count = 0;
    std::string word;
    fields >> seed >> epoch >> count >> word;
    const auto order = epoch_order(counting(count), seed, epoch);
    ++lines;
    if (word == "sha256") {
      std::string digest;
      fields >> digest;
      Sha256 hash;
      hash.update(std::span<const std::uint32_t>(order));
      EXPECT_EQ(hash.hex(), digest);
      continue;
    }
    for (const auto index : order) {
      EXPECT_EQ(std::to_string(index), word);
      fields >> word;
    }
  }
  EXPECT_EQ(lines, 4);
}

TEST(LearningRate, DecaysByCosineOverTheWholeTraining) {
  const Dataset data;
  TrainRecipe recipe;
  EpochRequest request{.data = data, .recipe = recipe, .order = {}, .on_step = {}, .stop = {}};
  request.learning_rate = 0.2;
  request.total_steps = 100;
  EXPECT_EQ(learning_rate_at(request, 50), 0.2);
  recipe.cosine = true;
  EXPECT_DOUBLE_EQ(learning_rate_at(request, 0), 0.2);
  EXPECT_NEAR(learning_rate_at(request, 50), 0.1, 1e-15);
  EXPECT_NEAR(learning_rate_at(request, 25), 0.2 * (1 + std::sqrt(0.5)) / 2, 1e-15);
  EXPECT_NEAR(learning_rate_at(request, 100), 0.0, 1e-15);
}

struct Training : ::testing::Test {
  Network initial = test::toy_network();
  Dataset data = test::toy_dataset(initial, 40);
  FakeTrainer backend;
  TrainRecipe recipe = [] {
    TrainRecipe r;
    r.name = "toy";
    r.epochs = 5;
    r.batch_size = 16;
    r.optimizer.learning_rate = 0.5;
    return r;
  }();
  TrainOptions options;

  TrainResult run(const TrainResume* resume = nullptr) {
    return train(backend, initial.spec, recipe, data, options, resume);
  }
};

TEST_F(Training, VisitsEveryImageEachEpochInTheEpochsOrder) {
  options.seed = 11;
  run();
  ASSERT_EQ(backend.orders.size(), 5u);
  for (int epoch = 0; epoch < 5; ++epoch)
    EXPECT_EQ(backend.orders[static_cast<std::size_t>(epoch)],
              epoch_order(counting(40), 11, epoch));
  EXPECT_THAT(backend.total_steps, ElementsAre(15, 15, 15, 15, 15));  // 16 + 16 + 8 images
}

TEST_F(Training, TakesASubset) {
  options.indices = {3, 5, 39};
  run();
  EXPECT_THAT(backend.orders[0], ::testing::UnorderedElementsAre(3, 5, 39));
  EXPECT_EQ(backend.total_steps[0], 5u);
}

TEST_F(Training, MilestonesMultiplyTheRate) {
  recipe.milestones = {2, 4};
  recipe.gamma = 0.1;
  run();
  EXPECT_THAT(backend.rates, ElementsAre(0.5, 0.5, 0.05, 0.05, 0.5 * 0.1 * 0.1));
}

TEST_F(Training, StartsFromTheSeedsInitialisation) {
  recipe.optimizer.learning_rate = 1e-30;  // the fake moves nothing that a float could show
  options.seed = 5;
  EXPECT_EQ(model_hash(run().network), model_hash(initialise(initial.spec, 5)));
  options.seed = 6;
  EXPECT_EQ(model_hash(run().network), model_hash(initialise(initial.spec, 6)));
}

TEST_F(Training, RecordsWhatWasDone) {
  recipe.regime = Regime::smoothing;
  recipe.sigma = 0.25;
  recipe.clamp = false;
  options.seed = 12;
  data.sha256 = "abc";
  const auto whole = run().network;
  EXPECT_EQ(whole.record.regime, "smoothing");
  EXPECT_EQ(whole.record.recipe, "toy");
  EXPECT_EQ(whole.record.sigma, 0.25);
  EXPECT_EQ(whole.record.epsilon, 0);
  EXPECT_EQ(whole.record.epochs, 5);
  EXPECT_EQ(whole.record.seed, 12u);
  EXPECT_EQ(whole.record.dataset, data.name + " abc");
  EXPECT_EQ(whole.record.commit, kVersion);
  EXPECT_EQ(whole.record.backend, backend.describe());
  EXPECT_FALSE(whole.clamp);

  recipe.regime = Regime::adversarial;
  recipe.attack.epsilon = 2;
  recipe.clamp = true;
  options.indices = {1, 2};
  const auto part = run().network;
  EXPECT_EQ(part.record.regime, "adversarial");
  EXPECT_EQ(part.record.sigma, 0);
  EXPECT_EQ(part.record.epsilon, 2);
  EXPECT_EQ(part.record.dataset, data.name + " abc (2 of 40 images)");
  EXPECT_TRUE(part.clamp);
}

TEST_F(Training, KeepsTheHistoryOfEveryStep) {
  std::vector<std::pair<int, std::uint64_t>> steps;
  options.on_step = [&](int epoch, const StepReport& s) { steps.emplace_back(epoch, s.step); };
  const auto history = run().history;
  EXPECT_EQ(history.step_loss.size(), 15u);
  EXPECT_EQ(history.step_accuracy.size(), 15u);
  EXPECT_EQ(history.epoch_seconds.size(), 5u);
  ASSERT_EQ(steps.size(), 15u);
  EXPECT_EQ(steps.front(), (std::pair<int, std::uint64_t>{0, 0}));
  EXPECT_EQ(steps.back(), (std::pair<int, std::uint64_t>{4, 14}));
}

TEST_F(Training, ResumedFromAnyEpochEqualsUninterrupted) {
  recipe.milestones = {2};
  std::vector<TrainResume> states;
  options.on_epoch = [&](int epoch, const Network& network, const OptimizerState& optimizer,
                         const TrainHistory& history) {
    EXPECT_EQ(network.record.epochs, epoch + 1);
    states.push_back({epoch + 1, network, optimizer, history});
  };
  const auto whole = run();
  options.on_epoch = nullptr;
  ASSERT_EQ(states.size(), 5u);
  for (const auto& state : states) {
    const auto rest = run(&state);
    EXPECT_EQ(model_hash(rest.network), model_hash(whole.network)) << state.next_epoch;
    EXPECT_EQ(rest.history.step_loss, whole.history.step_loss);
    EXPECT_EQ(rest.history.epoch_seconds.size(), 5u);
    EXPECT_EQ(rest.network.record.epochs, 5);
  }
  const auto calls = backend.orders.size();
  run(&states.back());
  EXPECT_EQ(backend.orders.size(), calls);  // nothing was left to do
}

TEST_F(Training, StopsBetweenEpochs) {
  std::stop_source stop;
  options.stop = stop.get_token();
  options.on_epoch = [&](int epoch, auto&&...) {
    if (epoch == 1) stop.request_stop();
  };
  EXPECT_THROW(run(), Interrupted);
  EXPECT_EQ(backend.orders.size(), 2u);
}

TEST_F(Training, RefusesWhatDoesNotFit) {
  const auto message = [&] {
    try {
      run();
    } catch (const UsageError& e) {
      return std::string(e.what());
    }
    return std::string("(no error)");
  };
  options.indices = {40};
  EXPECT_THAT(message(), HasSubstr("image 40 is not in"));
  options.indices = {};
  recipe.epochs = 0;
  EXPECT_THAT(message(), HasSubstr("epochs must be at least 1"));
  recipe.epochs = 1;
  data.classes = 10;
  EXPECT_THAT(message(), HasSubstr("expects images of 1×4×4 and 3 classes"));
  data.classes = 3;
  data.labels.clear();
  EXPECT_THAT(message(), HasSubstr("has no images"));
}

TEST_F(Training, SaysWhenItDiverges) {
  backend.diverge_in_epoch = 2;
  try {
    run();
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("diverged in epoch 3"));
    EXPECT_THAT(e.what(), HasSubstr("lower learning rate"));
  }
}

}  // namespace
}  // namespace smoothcert
