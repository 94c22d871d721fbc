// Host logic of training on a GPU, which needs no driver: the plan, the schedule, the choice of a
// library's algorithms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "gpu/algorithm_choice.hpp"
#include "gpu/step_schedule.hpp"
#include "gpu/train_plan.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::gpu {
namespace {

TEST(TrainPlan, EveryTensorHasItsPlaceAndComesBack) {
  for (const std::string& name : small_network_names()) {
    const Network net = initialise(builtin_network(name), 3);
    const TrainPlan plan = make_train_plan(net.spec);
    Network copy = net;
    for (auto& [tensor, t] : copy.tensors) std::fill(t.data.begin(), t.data.end(), -1.0f);
    for (const bool trainable : {true, false}) {
      scatter_tensors(plan.graph, gather_tensors(plan.graph, net, trainable), trainable, copy);
    }
    std::set<std::string> planned;
    for (const PlanTensor& t : plan.graph.tensors) planned.insert(t.name);
    for (const TensorSlot& slot : tensor_slots(net.spec)) {
      EXPECT_TRUE(planned.contains(slot.name) || slot.name.ends_with("num_batches_tracked"))
          << slot.name;
      EXPECT_EQ(copy.tensors.at(slot.name).data, net.tensors.at(slot.name).data) << slot.name;
    }
    Network broken = net;
    broken.tensors.erase(broken.tensors.begin());
    EXPECT_THROW(gather_tensors(plan.graph, broken, true), Error);
  }
}

TEST(TrainPlan, ValuesDoNotOverlapAndLinesAreWhole) {
  for (const std::string& name : small_network_names()) {
    const TrainPlan plan = make_train_plan(builtin_network(name));
    std::vector<int> owner(plan.values, -1);
    ASSERT_EQ(plan.value_at.size(), plan.graph.values.size());
    for (std::size_t v = 0; v < plan.value_at.size(); ++v) {
      EXPECT_EQ(plan.value_at[v] % 32, 0u);
      for (std::size_t i = 0; i < plan.graph.values[v].shape.size(); ++i) {
        int& o = owner.at(plan.value_at[v] + i);
        ASSERT_EQ(o, -1) << name << " value " << v;
        o = static_cast<int>(v);
      }
    }
  }
}

TEST(TrainPlan, LayersOfOneReaderAreJoined) {
  const TrainPlan plan = make_train_plan(builtin_network("convnn"));
  // conv1 relu bn1 pool conv2 relu pool fc
  const auto& l = plan.layers;
  ASSERT_EQ(l[2].kind, LayerKind::batchnorm);
  EXPECT_TRUE(l[0].bias_in_relu);
  EXPECT_TRUE(l[1].gradient_by_next);
  EXPECT_EQ(l[1].pooled_by, kNoNode);
  EXPECT_TRUE(l[2].through_relu);
  EXPECT_FALSE(l[3].through_relu) << "it pools the normalised values";
  EXPECT_TRUE(l[4].bias_in_relu);
  EXPECT_EQ(l[5].pooled_by, 6);
  EXPECT_TRUE(l[5].gradient_by_next);
  EXPECT_TRUE(l[6].through_relu);
}

/// Adds a layer: convolutions 3×3 with padding, pooling 2×2.
struct LayerAdder {
  NetworkSpec& spec;
  void operator()(LayerKind kind, const char* name, std::vector<int> inputs, int out) const {
    Layer l;
    l.kind = kind, l.name = name, l.inputs = std::move(inputs), l.out_channels = out;
    l.kernel = kind == LayerKind::conv2d ? 3 : kind == LayerKind::maxpool ? 2 : 0;
    l.padding = kind == LayerKind::conv2d ? 1 : 0;
    l.stride = kind == LayerKind::maxpool ? 2 : 1;
    spec.layers.push_back(l);
  }
};

TEST(TrainPlan, SharedValuesAreNotJoined) {
  NetworkSpec spec;
  spec.name = "shared";
  spec.input = {2, 4, 4};
  spec.classes = 3;
  const LayerAdder layer{spec};
  layer(LayerKind::conv2d, "conv", {-1}, 2);
  layer(LayerKind::relu, "relu", {0}, 0);  // the convolution is read by the addition, too
  layer(LayerKind::add, "sum", {0, 1}, 0);
  layer(LayerKind::relu, "relu2", {2}, 0);  // read twice
  layer(LayerKind::maxpool, "pool", {3}, 0);
  layer(LayerKind::maxpool, "pool2", {3}, 0);
  layer(LayerKind::add, "sum2", {4, 5}, 0);
  layer(LayerKind::flatten, "flatten", {6}, 0);
  layer(LayerKind::relu, "relu3", {7}, 0);  // of a value that flatten shares
  layer(LayerKind::linear, "fc", {8}, 3);
  infer_shapes(spec);
  for (const TrainLayer& l : make_train_plan(spec).layers) {
    EXPECT_FALSE(l.bias_in_relu) << l.name;
    EXPECT_EQ(l.pooled_by, kNoNode) << l.name;
    EXPECT_FALSE(l.gradient_by_next) << l.name;
    EXPECT_FALSE(l.through_relu) << l.name;
  }
}

TEST(StepSchedule, MomentsKeepTheirNamesAndShapes) {
  const Network net = initialise(builtin_network("convnn"), 3);
  const BackwardPlan plan = make_backward_plan(net.spec);
  OptimizerState state;
  EXPECT_THAT(gather_moments(plan, state, "/m"), testing::Each(0.0f));
  std::vector<float> flat(plan.parameters);
  for (const auto& tensor : plan.tensors) {
    if (!tensor.trainable) continue;
    EXPECT_EQ(tensor.offset % 4, 0u) << "on 16 bytes";
    for (std::size_t i = 0; i < tensor.count; ++i)
      flat[tensor.offset + i] = static_cast<float>(tensor.offset + i + 1);
  }
  scatter_moments(plan, net.spec, flat, "/m", state);
  EXPECT_EQ(state.slots.at("conv1.weight/m").shape, net.tensors.at("conv1.weight").shape);
  EXPECT_EQ(gather_moments(plan, state, "/m"), flat);
  state.slots.at("conv1.weight/m").data.pop_back();
  EXPECT_THROW(gather_moments(plan, state, "/m"), Error);
}

TEST(AlgorithmChoice, TheFirstThatIsDeterministicFitsAndKeepsThePrecision) {
  using P = MathPrecision;
  const AlgorithmCandidate list[] = {
      {0, false, true, false, false, 0},   // not supported
      {1, true, false, false, false, 0},   // adds in any order
      {2, true, true, true, false, 10},    // tensor cores
      {3, true, true, false, false, 999},  // more workspace than allowed
      {4, true, true, false, true, 10},    // Winograd
      {5, true, true, false, false, 20}};
  EXPECT_EQ(choose_algorithm(list, P::fp32, 100), 5u);
  EXPECT_EQ(choose_algorithm(list, P::fp32, 1000), 3u);
  EXPECT_EQ(choose_algorithm(list, P::tf32, 100), 2u);
  EXPECT_EQ(choose_algorithm(list, P::tf32, 5), std::nullopt);
  EXPECT_EQ(choose_algorithm(std::span(list).subspan(3), P::tf32, 100), 1u);
  EXPECT_EQ(choose_algorithm({}, P::fp32, 100), std::nullopt);
}

}  // namespace
}  // namespace smoothcert::gpu
