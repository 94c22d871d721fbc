// The backward pass of small networks, as lists written out by hand: a chain, a residual block, a
// value used twice, pooling and BatchNorm, layers that nothing depends on.
#include "train/backward_plan.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace smoothcert {

// Failures show a step as node, parameters and flows.
void PrintTo(const BackwardStep& step, std::ostream* out) {
  *out << "{" << step.node << (step.parameters ? ", parameters" : "") << ", in "
       << static_cast<int>(step.in) << ", in2 " << static_cast<int>(step.in2) << "}";
}

namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

constexpr auto kSkip = Flow::skip;
constexpr auto kWrite = Flow::write;
constexpr auto kAdd = Flow::add;

/// A network on 2 × 4 × 4 images in three classes: convolutions 3×3 to two channels, pooling 2×2.
class Builder {
 public:
  Builder() {
    spec_.name = "small";
    spec_.input = {2, 4, 4};
    spec_.classes = 3;
  }
  Builder& add(LayerKind kind, const char* name, std::vector<int> inputs) {
    Layer l;
    l.kind = kind;
    l.name = name;
    l.inputs = std::move(inputs);
    l.out_channels = kind == LayerKind::linear ? 3 : 2;
    l.kernel = kind == LayerKind::conv2d ? 3 : kind == LayerKind::maxpool ? 2 : 0;
    l.padding = kind == LayerKind::conv2d ? 1 : 0;
    l.stride = kind == LayerKind::maxpool ? 2 : 1;
    if (kind == LayerKind::normalize) {
      l.mean = {0.5f, 0.25f};
      l.stddev = {0.5f, 2.0f};
    }
    spec_.layers.push_back(l);
    return *this;
  }
  BackwardPlan plan() {
    infer_shapes(spec_);
    return make_backward_plan(spec_);
  }

 private:
  NetworkSpec spec_;
};

std::vector<int> writers(const BackwardPlan& plan) {
  std::vector<int> all;
  for (const PlanValue& v : plan.values) all.push_back(v.writer);
  return all;
}
std::vector<int> only_readers(const BackwardPlan& plan) {
  std::vector<int> all;
  for (const PlanValue& v : plan.values) all.push_back(v.only_reader);
  return all;
}

TEST(BackwardPlan, OfAChainWithPoolingAndBatchNorm) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::conv2d, "conv", {-1})
                                .add(LayerKind::relu, "relu", {0})
                                .add(LayerKind::batchnorm, "bn", {1})
                                .add(LayerKind::maxpool, "pool", {2})
                                .add(LayerKind::flatten, "flat", {3})
                                .add(LayerKind::linear, "fc", {4})
                                .plan();
  ASSERT_EQ(plan.nodes.size(), 5u) << "a flatten is no node";
  EXPECT_EQ(plan.nodes[0].in, kImage);
  EXPECT_EQ(plan.before(plan.nodes[0]), nullptr);
  EXPECT_EQ(plan.before(plan.nodes[1]), &plan.nodes[0]);
  EXPECT_EQ(plan.nodes[4].in, plan.nodes[3].out) << "it reads what is pooled";
  EXPECT_EQ(plan.nodes[4].in_shape, (ActivationShape{8, 1, 1})) << "flat";
  EXPECT_EQ(plan.value(plan.nodes[4].in).shape, (ActivationShape{2, 2, 2})) << "as pooled";
  EXPECT_THAT(writers(plan), ElementsAre(kNoNode, 0, 1, 2, 3, 4));
  EXPECT_THAT(only_readers(plan), ElementsAre(0, 1, 2, 3, 4, kNoNode)) << "the loss is no node";
  EXPECT_EQ(plan.logits, 5);
  EXPECT_FALSE(plan.values[kImage].trains);
  EXPECT_TRUE(plan.values[1].trains);
  EXPECT_THAT(backward_steps(plan, GradientOf::parameters),
              ElementsAreArray<BackwardStep>({{4, true, kWrite},
                                              {3, false, kWrite},
                                              {2, true, kWrite},
                                              {1, false, kWrite},
                                              {0, true, kSkip}}))
      << "nothing below the first convolution trains";
  EXPECT_THAT(backward_steps(plan, GradientOf::image),
              ElementsAreArray<BackwardStep>({{4, false, kWrite},
                                              {3, false, kWrite},
                                              {2, false, kWrite},
                                              {1, false, kWrite},
                                              {0, false, kWrite}}));
}

TEST(BackwardPlan, PlacesOfParametersAndStatistics) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::conv2d, "conv", {-1})
                                .add(LayerKind::batchnorm, "bn", {0})
                                .add(LayerKind::flatten, "flat", {1})
                                .add(LayerKind::linear, "fc", {2})
                                .plan();
  struct Place {
    const char* name;
    std::size_t offset, count;
    bool trainable;
  };
  const Place expected[] = {{"conv.weight", 0, 36, true},     {"conv.bias", 36, 2, true},
                            {"bn.weight", 40, 2, true},       {"bn.bias", 44, 2, true},
                            {"bn.running_mean", 0, 2, false}, {"bn.running_var", 2, 2, false},
                            {"fc.weight", 48, 96, true},      {"fc.bias", 144, 3, true}};
  ASSERT_EQ(plan.tensors.size(), std::size(expected));
  for (std::size_t i = 0; i < std::size(expected); ++i) {
    EXPECT_EQ(plan.tensors[i].name, expected[i].name);
    EXPECT_EQ(plan.tensors[i].offset, expected[i].offset) << expected[i].name;
    EXPECT_EQ(plan.tensors[i].count, expected[i].count) << expected[i].name;
    EXPECT_EQ(plan.tensors[i].trainable, expected[i].trainable) << expected[i].name;
  }
  EXPECT_EQ(plan.parameters, 148u);
  EXPECT_EQ(plan.statistics, 4u);
  EXPECT_EQ(plan.nodes[0].weight, 0u);
  EXPECT_EQ(plan.nodes[0].bias, 36u);
  EXPECT_EQ(plan.nodes[1].weight, 40u);
  EXPECT_EQ(plan.nodes[1].bias, 44u);
  EXPECT_EQ(plan.nodes[1].statistics, 0u);
  EXPECT_EQ(plan.nodes[2].weight, 48u);
}

TEST(BackwardPlan, AddsUpTheGradientsOfAResidualBlock) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::conv2d, "a", {-1})     // value 1
                                .add(LayerKind::conv2d, "b", {0})      // value 2
                                .add(LayerKind::batchnorm, "bn", {1})  // value 3
                                .add(LayerKind::add, "sum", {0, 2})    // value 4
                                .add(LayerKind::flatten, "flat", {3})
                                .add(LayerKind::linear, "fc", {4})  // value 5
                                .plan();
  EXPECT_THAT(only_readers(plan), ElementsAre(0, kNoNode, 2, 3, 4, kNoNode));
  EXPECT_THAT(backward_steps(plan, GradientOf::parameters),
              ElementsAreArray<BackwardStep>({{4, true, kWrite},
                                              {3, false, kWrite, kWrite},
                                              {2, true, kWrite},
                                              {1, true, kAdd},  // after the sum, which came first
                                              {0, true, kSkip}}));
}

TEST(BackwardPlan, AValueThatIsUsedTwiceByOneNode) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::conv2d, "a", {-1})
                                .add(LayerKind::add, "twice", {0, 0})
                                .add(LayerKind::flatten, "flat", {1})
                                .add(LayerKind::linear, "fc", {2})
                                .plan();
  EXPECT_EQ(plan.values[1].only_reader, kNoNode);
  EXPECT_THAT(backward_steps(plan, GradientOf::image),
              ElementsAreArray<BackwardStep>(
                  {{2, false, kWrite}, {1, false, kWrite, kAdd}, {0, false, kWrite}}));
}

TEST(BackwardPlan, TheImageGathersItsGradientLikeAnyValue) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::normalize, "norm", {-1})
                                .add(LayerKind::conv2d, "conv", {-1})
                                .add(LayerKind::add, "sum", {0, 1})
                                .add(LayerKind::flatten, "flat", {2})
                                .add(LayerKind::linear, "fc", {3})
                                .plan();
  EXPECT_THAT(
      backward_steps(plan, GradientOf::image),
      ElementsAreArray<BackwardStep>(
          {{3, false, kWrite}, {2, false, kWrite, kWrite}, {1, false, kWrite}, {0, false, kAdd}}));
  EXPECT_THAT(backward_steps(plan, GradientOf::parameters),
              ElementsAreArray<BackwardStep>(
                  {{3, true, kWrite}, {2, false, kSkip, kWrite}, {1, true, kSkip}}))
      << "nothing trains at the normalisation or below it";
  EXPECT_THAT(plan.nodes[0].scale, ElementsAre(2.0f, 0.5f));
  EXPECT_THAT(plan.nodes[0].shift, ElementsAre(-1.0f, -0.125f));
}

TEST(BackwardPlan, LeavesOutWhatTheLogitsDoNotDependOn) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::conv2d, "a", {-1})
                                .add(LayerKind::conv2d, "unused", {0})
                                .add(LayerKind::batchnorm, "unused2", {1})
                                .add(LayerKind::flatten, "flat", {0})
                                .add(LayerKind::linear, "fc", {3})
                                .plan();
  ASSERT_EQ(plan.nodes.size(), 4u);
  EXPECT_TRUE(plan.nodes[0].reached);
  EXPECT_FALSE(plan.nodes[1].reached);
  EXPECT_FALSE(plan.nodes[2].reached);
  EXPECT_TRUE(plan.nodes[1].has_weight()) << "its parameters are kept all the same";
  EXPECT_EQ(plan.values[1].only_reader, kNoNode) << "two nodes read it";
  EXPECT_THAT(backward_steps(plan, GradientOf::parameters),
              ElementsAreArray<BackwardStep>({{3, true, kWrite}, {0, true, kSkip}}));
}

TEST(BackwardPlan, LogitsBehindAFlattenAreTheValueItReads) {
  const BackwardPlan plan = Builder()
                                .add(LayerKind::flatten, "flat", {-1})
                                .add(LayerKind::linear, "fc", {0})
                                .add(LayerKind::flatten, "flat2", {1})
                                .plan();
  ASSERT_EQ(plan.nodes.size(), 1u);
  EXPECT_EQ(plan.nodes[0].in, kImage);
  EXPECT_EQ(plan.logits, plan.nodes[0].out);
  EXPECT_THAT(backward_steps(plan, GradientOf::image),
              ElementsAreArray<BackwardStep>({{0, false, kWrite}}));
}

}  // namespace
}  // namespace smoothcert
