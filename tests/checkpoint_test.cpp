// Checkpoints that PyTorch wrote (tests/golden/make_checkpoints.py), in all the ways it does.
#include "smoothcert/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint_support.hpp"
#include "places_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::filesystem::path golden(const std::string& name) {
  return test::source_folder() / "tests" / "golden" / "checkpoints" / name;
}
NetworkSpec tiny() { return network_by_name(golden("tiny.json").string()); }
const Network& expected() {
  static const Network net = load_checkpoint(golden("expected.safetensors"), tiny());
  return net;
}
void expect_same_tensors(const Network& net) {
  ASSERT_EQ(net.tensors.size(), expected().tensors.size());
  for (const auto& [name, tensor] : expected().tensors) {
    EXPECT_EQ(net.tensors.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(net.tensors.at(name).data, tensor.data) << name;
  }
}

class Checkpoint : public ::testing::TestWithParam<const char*> {};

TEST_P(Checkpoint, GivesTheTensorsThatWereSaved) {
  expect_same_tensors(load_checkpoint(golden(GetParam()), tiny()));
}

INSTANTIATE_TEST_SUITE_P(Files, Checkpoint,
                         ::testing::Values("bare.pt", "wrapped.pth.tar", "model_key.pth", "half.pt",
                                           "bfloat16.pt", "double.pt", "views.pt", "parameters.pt",
                                           "protocol5.pt", "deflated.pt"),
                         [](const auto& info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

TEST(CheckpointNormalization, IsTakenFromItsBuffers) {
  std::vector<std::string> notes;
  const Network net = load_checkpoint(golden("normalized.pt"), tiny(), &notes);
  expect_same_tensors(net);
  const Layer& first = net.spec.layers.front();
  ASSERT_EQ(first.kind, LayerKind::normalize);
  EXPECT_EQ(first.mean, (std::vector<float>{0.25f, 0.5f}));
  EXPECT_EQ(first.stddev, (std::vector<float>{0.125f, 2.0f}));
  EXPECT_EQ(net.spec.layers[1].inputs, std::vector<int>{0});
  EXPECT_EQ(net.spec.layers[6].inputs, std::vector<int>{5});
  EXPECT_THAT(notes, ::testing::ElementsAre(HasSubstr("without their prefix '1.module.'"),
                                            HasSubstr("normalisation taken from '0.'")));
}

TEST(CheckpointNormalization, MustAgreeWithTheDescription) {
  const NetworkSpec same = with_normalization(tiny(), {0.25f, 0.5f}, {0.125f, 2.0f});
  EXPECT_EQ(load_checkpoint(golden("normalized.pt"), same).spec.layers.size(), 7u);
  const NetworkSpec other = with_normalization(tiny(), {0.25f, 0.5f}, {0.125f, 1.0f});
  EXPECT_THAT(error_of([&] { load_checkpoint(golden("normalized.pt"), other); }),
              HasSubstr("channel 1 is normalised with mean 0.5 and deviation 2"));
}

TEST(CheckpointNormalization, IsNeverDroppedInSilence) {
  EXPECT_THAT(error_of([] { load_checkpoint(golden("normalized_no_buffers.pt"), tiny()); }),
              AllOf(HasSubstr("start with '1.'"), HasSubstr("normalize layer")));
  const NetworkSpec described = with_normalization(tiny(), {0.25f, 0.5f}, {0.125f, 2.0f});
  expect_same_tensors(load_checkpoint(golden("normalized_no_buffers.pt"), described));
}

TEST(CheckpointErrors, OldFormatsAndWholeModules) {
  EXPECT_THAT(error_of([] { load_checkpoint(golden("legacy.pt"), tiny()); }),
              AllOf(HasSubstr("before version 1.6"), HasSubstr("weights_only=True")));
  EXPECT_THAT(error_of([] { load_network(golden("legacy.pt")); }), HasSubstr("before version 1.6"));
  EXPECT_THAT(error_of([] { load_checkpoint(golden("whole_module.pt"), tiny()); }),
              AllOf(HasSubstr("asks for __main__.Tiny"), HasSubstr("model.state_dict()")));
  EXPECT_THAT(error_of([] { load_network(golden("bare.pt")); }), HasSubstr("--network"));
}

TEST(CheckpointErrors, AnotherNetwork) {
  EXPECT_THAT(error_of([] { load_checkpoint(golden("bare.pt"), builtin_network("convnn")); }),
              AllOf(HasSubstr("missing: conv2.weight, conv2.bias")));
  NetworkSpec wider = tiny();
  wider.layers[0].kernel = 1;
  wider.layers[0].padding = 0;
  EXPECT_THAT(error_of([&] { load_checkpoint(golden("bare.pt"), wider); }),
              HasSubstr("tensor 'conv1.weight' has shape [2, 2, 3, 3], network 'tiny' expects "
                        "[2, 2, 1, 1]"));
  NetworkSpec misspelt = tiny();
  misspelt.layers[5].name = "fc_1";
  const std::string message = error_of([&] { load_checkpoint(golden("bare.pt"), misspelt); });
  EXPECT_THAT(message, AllOf(HasSubstr("fc_1.weight (did you mean fc1.weight?)"),
                             HasSubstr("without a place in it: fc1.bias, fc1.weight")));
  EXPECT_EQ(message.find('\n'), std::string::npos);
}

TEST(CheckpointErrors, IntegersAreNoWeights) {
  const auto bytes = test::checkpoint_bytes(
      test::pickled(test::pickled_dict(
          {{"fc1.weight", test::pickled_tensor({"LongStorage", "0", 2, 0, {2, 1}, {1, 1}})},
           {"fc1.bias", test::pickled_tensor({"FloatStorage", "1", 2, 0, {2}, {1}})}})),
      {std::string(16, '\0'), test::floats({1, 2})});
  const NetworkSpec spec = parse_network_spec(
      R"({"name":"n","input":[1,1,1],"classes":2,"layers":[
          {"op":"linear","name":"fc1","out_features":2}]})",
      "spec");
  EXPECT_THAT(error_of([&] { checkpoint_from_bytes(bytes, "F", spec); }),
              HasSubstr("F: tensor 'fc1.weight' has dtype int64"));
}

TEST(LoadModel, ChoosesByTheNetworkGiven) {
  const test::TemporaryFolder folder;
  const auto own = folder.path("own.safetensors");
  Network net = load_checkpoint(golden("bare.pt"), tiny());
  net.record.regime = "smoothing";
  net.record.sigma = 0.5;
  net.clamp = false;
  save_network(net, own);
  EXPECT_EQ(model_hash(load_model(own, "")), model_hash(net));
  // Our own file with a description given keeps its record.
  const Network again = load_model(own, golden("tiny.json").string());
  EXPECT_EQ(again.record.sigma, 0.5);
  EXPECT_FALSE(again.clamp);
  EXPECT_EQ(model_hash(load_model(golden("bare.pt"), golden("tiny.json").string())),
            model_hash(net));
  EXPECT_THAT(error_of([&] { load_model(own, "covnn"); }),
              AllOf(HasSubstr("did you mean 'convnn'"), HasSubstr("description file")));
  EXPECT_THAT(error_of([&] { load_model(own, "absent.json"); }), HasSubstr("absent.json"));
}

}  // namespace
}  // namespace smoothcert
