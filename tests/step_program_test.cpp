// What a training step consists of, recipe by recipe, as lists written out by hand.
#include "train/step_program.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace smoothcert {

// Failures show the programs as text.
void PrintTo(const StepProgram& program, std::ostream* out) { *out << "\n" << to_text(program); }

namespace {

using namespace step_op;

constexpr auto kTrain = ForwardMode::train;
constexpr auto kEval = ForwardMode::eval;
constexpr auto kAdam = OptimizerSpec::Kind::adam;

StepProgram join(std::initializer_list<StepProgram> parts) {
  StepProgram all;
  for (const StepProgram& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// A pass for the parameters on 128 images.
StepProgram training(float share, bool first, bool last) {
  return {Forward{kTrain}, TrainingLoss{share / 128, share, first, last},
          Backward{kTrain, GradientOf::parameters, !first}};
}
StepProgram training() { return training(1, true, true); }

/// One step of the study's attack.
StepProgram l2_attack(ForwardMode mode) {
  return {Forward{mode}, AttackLoss{LossKind::cross_entropy},
          Backward{mode, GradientOf::image, false}, AttackStep{AttackKind::fgm_l2, 5, 5}};
}

const StepProgram kStart{LoadBatch{0, true}}, kEnd{UpdateParameters{kAdam}};

TEST(StepProgram, OfEveryBuiltinRecipe) {
  const std::vector<std::pair<const char*, StepProgram>> expected{
      {"normal", join({kStart, training(), kEnd})},
      {"adversarial", join({kStart, {KeepClean{}}, l2_attack(kTrain), training(), kEnd})},
      {"smoothing", join({{LoadBatch{1, true}}, training(), kEnd})},
      {"adversarial-strong",
       join({kStart, {KeepClean{}}, l2_attack(kEval), {RestoreClean{51}}, training(), kEnd})},
      {"lenet-gaussian",
       join({{LoadBatch{0.5f, false}}, training(), {UpdateParameters{OptimizerSpec::Kind::sgd}}})},
      // Splitting noise of λ = 1 is 510 half grey levels wide.
      {"mnist-split", join({{LoadBatch{0, true, 510}}, training(), kEnd})}};
  std::set<std::string> names;
  for (const auto& [name, program] : expected) {
    EXPECT_EQ(training_program(builtin_recipe(name), 128), program) << name;
    names.insert(name);
  }
  const auto all = builtin_recipe_names();
  EXPECT_EQ(names, std::set<std::string>(all.begin(), all.end()));
}

TEST(StepProgram, TheStudysEpochsOfTheStrongRecipeAttackEveryImage) {
  const TrainRecipe recipe = builtin_recipe("adversarial-strong");
  EXPECT_EQ(training_program(epoch_recipe(recipe, 0), 128),
            join({kStart, {KeepClean{}}, l2_attack(kTrain), training(), kEnd}));
  // 0.4 · 1/16 of 128 images.
  EXPECT_EQ(training_program(epoch_recipe(recipe, 4), 128),
            join({kStart, {KeepClean{}}, l2_attack(kEval), {RestoreClean{3}}, training(), kEnd}));
}

TEST(StepProgram, OfAShortMixedBatchTheCleanShareMayBeNoImage) {
  TrainRecipe recipe = builtin_recipe("adversarial-strong");
  recipe.clean_weight = 0.25;
  EXPECT_TRUE(contains<RestoreClean>(training_program(recipe, 2)));
  EXPECT_FALSE(contains<RestoreClean>(training_program(recipe, 1)));
}

TEST(StepProgram, BothLossesAreAPassEach) {
  TrainRecipe recipe = builtin_recipe("adversarial");
  recipe.clean_weight = 0.25;
  EXPECT_EQ(training_program(recipe, 128), join({kStart,
                                                 {KeepClean{}},
                                                 l2_attack(kTrain),
                                                 {SwapClean{}},
                                                 training(0.25f, true, false),
                                                 {SwapClean{}},
                                                 training(0.75f, false, true),
                                                 kEnd}));
}

TEST(StepProgram, OfCleanImagesAloneNoneIsAttacked) {
  TrainRecipe recipe = builtin_recipe("adversarial");
  recipe.clean_weight = 1;
  for (const bool mixed : {false, true}) {
    recipe.mixed_batch = mixed;
    EXPECT_EQ(training_program(recipe, 128), join({kStart, training(), kEnd})) << mixed;
  }
}

TEST(StepProgram, PgdStartsAnywhereAndSteps) {
  TrainRecipe recipe = builtin_recipe("adversarial");
  recipe.attack = attack_from_name("pgd-linf");
  recipe.attack.steps = 2;
  recipe.attack.random_start = true;
  recipe.attack.loss = LossKind::margin;
  recipe.attack_mode = kEval;
  const auto pgd = [&](float length) {
    return StepProgram{Forward{kEval}, AttackLoss{LossKind::margin},
                       Backward{kEval, GradientOf::image, false},
                       AttackStep{AttackKind::pgd_linf, length, 0.3f}};
  };
  const StepProgram start{KeepClean{}, RandomStart{AttackKind::pgd_linf, 0.3f}};
  EXPECT_EQ(training_program(recipe, 128),
            join({kStart, start, pgd(0.375f), pgd(0.375f), training(), kEnd}))
      << "2.5·ε/steps";
  recipe.attack.step_size = 0.125;
  EXPECT_EQ(training_program(recipe, 128),
            join({kStart, start, pgd(0.125f), pgd(0.125f), training(), kEnd}));
  recipe.attack.random_start = false;
  EXPECT_FALSE(contains<RandomStart>(training_program(recipe, 128)));
}

TEST(StepProgram, AnAttackOfOneStepIgnoresWhatIsPgds) {
  TrainRecipe recipe = builtin_recipe("adversarial"), other = recipe;
  other.attack.steps = 7;
  other.attack.step_size = 0.5;
  other.attack.random_start = true;
  EXPECT_EQ(training_program(other, 128), training_program(recipe, 128));
}

TEST(StepProgram, RunningStatisticsAreThoseOfAnEvaluationPass) {
  TrainRecipe recipe = builtin_recipe("adversarial");
  EXPECT_FALSE(uses_running_statistics(training_program(recipe, 128)));
  recipe.attack_mode = kEval;
  EXPECT_TRUE(uses_running_statistics(training_program(recipe, 128)));
  EXPECT_FALSE(uses_running_statistics(training_program(builtin_recipe("smoothing"), 128)));
  EXPECT_TRUE(uses_running_statistics(gradient_program(LossKind::margin)));
}

TEST(StepProgram, AGradientOfImagesIsOnePassInEvaluationMode) {
  EXPECT_EQ(gradient_program(LossKind::margin),
            (StepProgram{Forward{kEval}, AttackLoss{LossKind::margin},
                         Backward{kEval, GradientOf::image, false}}));
}

/// A captured graph is found again by this text: no two programs may share one.
TEST(StepProgram, EveryFieldIsPartOfTheText) {
  const std::vector<StepOp> operations{LoadBatch{0, true},
                                       LoadBatch{0.1f, true},
                                       LoadBatch{std::nextafter(0.1f, 1.0f), true},
                                       LoadBatch{0.1f, false},
                                       LoadBatch{0, true, 300},
                                       LoadBatch{0, true, 301},
                                       KeepClean{},
                                       SwapClean{},
                                       RestoreClean{1},
                                       RestoreClean{2},
                                       RandomStart{AttackKind::pgd_l2, 1},
                                       RandomStart{AttackKind::pgd_linf, 1},
                                       RandomStart{AttackKind::pgd_l2, 2},
                                       Forward{kTrain},
                                       Forward{kEval},
                                       AttackLoss{LossKind::cross_entropy},
                                       AttackLoss{LossKind::margin},
                                       TrainingLoss{0.5f, 1, true, true},
                                       TrainingLoss{0.25f, 1, true, true},
                                       TrainingLoss{0.5f, 0.5f, true, true},
                                       TrainingLoss{0.5f, 1, false, true},
                                       TrainingLoss{0.5f, 1, true, false},
                                       Backward{kTrain, GradientOf::parameters, false},
                                       Backward{kEval, GradientOf::parameters, false},
                                       Backward{kTrain, GradientOf::image, false},
                                       Backward{kTrain, GradientOf::parameters, true},
                                       AttackStep{AttackKind::fgm_l2, 1, 1},
                                       AttackStep{AttackKind::fgm_l1, 1, 1},
                                       AttackStep{AttackKind::fgm_l2, 2, 1},
                                       AttackStep{AttackKind::fgm_l2, 1, 2},
                                       UpdateParameters{kAdam},
                                       UpdateParameters{OptimizerSpec::Kind::sgd}};
  std::set<std::string> texts;
  std::set<std::size_t> kinds;
  for (const StepOp& op : operations) {
    EXPECT_TRUE(texts.insert(to_text({op})).second) << to_text({op});
    kinds.insert(op.index());
  }
  EXPECT_EQ(kinds.size(), std::variant_size_v<StepOp>);
  EXPECT_EQ(to_text({operations[2], operations[6]}),
            "load sigma=0.10000001 clamp=1 split=0\nkeep clean\n");
}

}  // namespace
}  // namespace smoothcert
