// Files from which a training goes on: read, written, refused.
#include "smoothcert/training_state.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "campaign_support.hpp"
#include "fake_trainer_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "smoothcert/train.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::FakeTrainer;
using ::testing::HasSubstr;

struct TrainingState : ::testing::Test {
  test::TemporaryFolder folder;
  std::filesystem::path file = folder.path("model.safetensors.resume");
  Network initial = test::toy_network();
  Dataset data = test::toy_dataset(initial, 40);
  FakeTrainer backend;
  TrainRecipe recipe = [] {
    TrainRecipe r;
    r.name = "toy";
    r.epochs = 6;
    r.batch_size = 16;
    r.optimizer.learning_rate = 0.5;
    r.cosine = true;
    return r;
  }();
  TrainOptions options;
  std::string said;

  TrainResult run() {
    said.clear();
    return train_resumably(backend, initial.spec, recipe, data, options, file,
                           [&](std::string_view line) { said = line; });
  }
  /// Stops in the middle of the given epoch: what it had done is lost, as with a kill.
  void stop_in_epoch(int epoch) {
    options.on_step = [=](int e, const StepReport& s) {
      if (e == epoch && s.step % 3 == 1) throw Interrupted("stop");
    };
    EXPECT_THROW(run(), Interrupted);
    options.on_step = nullptr;
  }
  std::string error() {
    try {
      run();
    } catch (const Error& e) {
      return e.what();
    }
    return "(no error)";
  }
};

TEST_F(TrainingState, AnInterruptedTrainingEndsAsAnUninterruptedOne) {
  const auto whole = train(backend, initial.spec, recipe, data, options);
  for (int first = 0; first < 6; ++first) {
    stop_in_epoch(first);
    EXPECT_EQ(std::filesystem::exists(file), first > 0);
    if (first < 5) stop_in_epoch(5);  // and once more
    const auto result = run();
    EXPECT_THAT(said, HasSubstr("going on after epoch 5 of 6"));
    EXPECT_EQ(model_hash(result.network), model_hash(whole.network));
    EXPECT_EQ(result.history.step_loss, whole.history.step_loss);
    EXPECT_EQ(result.history.step_accuracy, whole.history.step_accuracy);
    EXPECT_EQ(result.network.record.epochs, 6);
    ASSERT_TRUE(std::filesystem::exists(file));  // the caller's to remove
    EXPECT_EQ(model_hash(run().network), model_hash(whole.network));
    std::filesystem::remove(file);
  }
}

TEST_F(TrainingState, RefusesAnotherTrainingsFile) {
  stop_in_epoch(2);
  options.seed = 1;
  EXPECT_THAT(error(), HasSubstr("seed 0, not 1"));
  EXPECT_THAT(error(), HasSubstr("delete the file"));
  options.seed = 0;
  recipe.optimizer.learning_rate = 0.25;
  EXPECT_THAT(error(), HasSubstr("learning_rate 0.5, not 0.25"));
  recipe.optimizer.learning_rate = 0.5;
  backend.description = "fake, 2 threads";
  EXPECT_THAT(error(), HasSubstr("device \"fake, 1 thread\", not \"fake, 2 threads\""));
  backend.description = "fake, 1 thread";
  data.sha256 = "other";
  EXPECT_THAT(error(), HasSubstr("data"));
  EXPECT_EQ(error().find('\n'), std::string::npos);
  data = test::toy_dataset(initial, 40);
  options.indices = {1, 2, 3};
  EXPECT_THAT(error(), HasSubstr("images 40, not 3"));
  options.indices.clear();
  EXPECT_NO_THROW(run());
}

TEST_F(TrainingState, RefusesADamagedFile) {
  stop_in_epoch(2);
  const auto size = std::filesystem::file_size(file);
  std::filesystem::resize_file(file, size - 10);
  EXPECT_THAT(error(), HasSubstr("delete this training state"));
  std::ofstream(file) << "not one";
  EXPECT_THAT(error(), HasSubstr("not a safetensors file"));
  save_network(initial, file);
  EXPECT_THAT(error(), HasSubstr("damaged"));
}

}  // namespace
}  // namespace smoothcert
