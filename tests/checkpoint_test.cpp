// Checkpoints that PyTorch wrote (tests/golden/make_checkpoints.py), in all the ways it does.
#include "smoothcert/checkpoint.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint_support.hpp"
#include "places_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "store_support.hpp"
#include "util/atomic_file.hpp"

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
                                           "protocol5.pt", "deflated.pt", "legacy.pt"),
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
              AllOf(HasSubstr("start with '1.'"), HasSubstr("normalize layer"),
                    HasSubstr("--normalize MEANS/DEVIATIONS")));
  const NetworkSpec described = with_normalization(tiny(), {0.25f, 0.5f}, {0.125f, 2.0f});
  expect_same_tensors(load_checkpoint(golden("normalized_no_buffers.pt"), described));
}

// A mean without a deviation (CIFAR networks of MACER and Salman's): never dropped, never made up.
TEST(CheckpointNormalization, CentringAlone) {
  const NetworkSpec spec = parse_network_spec(
      R"({"name":"n","input":[1,1,1],"classes":2,"layers":[
          {"op":"linear","name":"fc1","out_features":2,"bias":false}]})",
      "spec");
  const auto bytes = test::checkpoint_bytes(
      test::pickled(test::pickled_dict(
          {{"0.means", test::pickled_tensor({"FloatStorage", "0", 1, 0, {1}, {1}})},
           {"_orig_mod.1.module.fc1.weight",
            test::pickled_tensor({"FloatStorage", "1", 2, 0, {2, 1}, {1, 1}})}})),
      {test::floats({0.5f}), test::floats({1, 2})});
  // The prefix of the mean is not that of the weights here: named, not ignored.
  EXPECT_THAT(error_of([&] { checkpoint_from_bytes(bytes, "F", spec); }), HasSubstr("--normalize"));
  const auto plain = test::checkpoint_bytes(
      test::pickled(test::pickled_dict(
          {{"0.means", test::pickled_tensor({"FloatStorage", "0", 1, 0, {1}, {1}})},
           {"1.fc1.weight", test::pickled_tensor({"FloatStorage", "1", 2, 0, {2, 1}, {1, 1}})}})),
      {test::floats({0.5f}), test::floats({1, 2})});
  std::vector<std::string> notes;
  const Network net = checkpoint_from_bytes(plain, "F", spec, &notes);
  EXPECT_EQ(net.spec.layers.front().mean, std::vector<float>{0.5f});
  EXPECT_EQ(net.spec.layers.front().stddev, std::vector<float>{1.0f});
  EXPECT_THAT(notes.back(), HasSubstr("centring"));
  EXPECT_THAT(error_of([&] {
                checkpoint_from_bytes(plain, "F", with_normalization(spec, {0.1307f}, {0.3081f}));
              }),
              AllOf(HasSubstr("mean 0.5 and deviation 1"), HasSubstr("0.1307 and 0.3081")));
  EXPECT_EQ(
      error_of([&] { checkpoint_from_bytes(plain, "F", with_normalization(spec, {0.5f}, {1})); }),
      "");
}

TEST(CheckpointErrors, OldFormatsAndWholeModules) {
  EXPECT_THAT(error_of([] { load_network(golden("legacy.pt")); }), HasSubstr("--network"));
  EXPECT_THAT(error_of([] { load_checkpoint(golden("whole_module.pt"), tiny()); }),
              AllOf(HasSubstr("asks for __main__.Tiny"), HasSubstr("model.state_dict()")));
  EXPECT_THAT(error_of([] { load_network(golden("bare.pt")); }), HasSubstr("--network"));
}

// One storage after the other, without a directory: whatever is cut off is missed.
TEST(CheckpointErrors, OldFormatsThatAreCutShort) {
  const auto whole = read_file(golden("legacy.pt"));
  const NetworkSpec spec = tiny();
  for (std::size_t size = 15; size < whole.size(); size += 7) {
    const std::span part = std::span(whole).first(size);
    EXPECT_THAT(error_of([&] { checkpoint_from_bytes(part, "F", spec); }),
                ::testing::StartsWith("F: "))
        << size;
  }
  EXPECT_EQ(error_of([&] { checkpoint_from_bytes(whole, "F", spec); }), "");
}

// Negative and conjugate views are flags beside the values: reading the values without them would
// give weights of the wrong sign.
TEST(CheckpointErrors, MetadataThatChangesValues) {
  const NetworkSpec spec = parse_network_spec(
      R"({"name":"n","input":[1,1,1],"classes":2,"layers":[
          {"op":"linear","name":"fc1","out_features":2,"bias":false}]})",
      "spec");
  const auto load = [&](const std::string& metadata) {
    test::TensorSpec tensor{"FloatStorage", "0", 2, 0, {2, 1}, {1, 1}};
    tensor.metadata = metadata;
    const auto bytes = test::checkpoint_bytes(
        test::pickled(test::pickled_dict({{"fc1.weight", test::pickled_tensor(tensor)}})),
        {test::floats({1, 2})});
    return error_of([&] { checkpoint_from_bytes(bytes, "F", spec); });
  };
  EXPECT_EQ(load(""), "");
  EXPECT_EQ(load("N"), "");
  EXPECT_EQ(load("}"), "");
  EXPECT_THAT(load(test::pickled_dict({{"neg", "\x88"}})),
              AllOf(HasSubstr("metadata neg"), HasSubstr("'fc1.weight'")));
  EXPECT_THAT(load(test::pickled_dict({{"conj", "\x88"}})), HasSubstr("metadata conj"));
  EXPECT_THAT(load(test::pickled_dict({{"new", "\x89"}})), HasSubstr("metadata new"));
  EXPECT_THAT(load("NN"), HasSubstr("properties that are not known"));
}

// As torch.load() does.
TEST(CheckpointNames, TheLastOfEqualKeysStays) {
  const NetworkSpec spec = parse_network_spec(
      R"({"name":"n","input":[1,1,1],"classes":2,"layers":[
          {"op":"linear","name":"fc1","out_features":2,"bias":false}]})",
      "spec");
  const auto tensor = [](const char* key) {
    return test::pickled_tensor({"FloatStorage", key, 2, 0, {2, 1}, {1, 1}});
  };
  const auto weights = [&](const std::string& pickle) {
    const auto bytes =
        test::checkpoint_bytes(test::pickled(pickle), {test::floats({1, 2}), test::floats({3, 4})});
    return checkpoint_from_bytes(bytes, "F", spec).tensors.at("fc1.weight").data;
  };
  const std::vector<float> last = {3, 4};
  EXPECT_EQ(weights(test::pickled_dict({{"fc1.weight", tensor("0")}, {"fc1.weight", tensor("1")}})),
            last);
  const auto dict = [&](const char* key) {
    return test::pickled_dict({{"fc1.weight", tensor(key)}});
  };
  EXPECT_EQ(weights(test::pickled_dict({{"state_dict", dict("0")}, {"state_dict", dict("1")}})),
            last);
}

// What training scripts leave beside the state dict: never built, and no reason to refuse.
TEST(CheckpointExtras, AreSkippedUnbuilt) {
  const NetworkSpec spec = parse_network_spec(
      R"({"name":"n","input":[1,1,1],"classes":2,"layers":[
          {"op":"linear","name":"fc1","out_features":2,"bias":false}]})",
      "spec");
  const std::string dict = test::pickled_dict(
      {{"fc1.weight", test::pickled_tensor({"FloatStorage", "0", 2, 0, {2, 1}, {1, 1}})}});
  const std::string scalar =  // numpy.core.multiarray.scalar(dtype('f8', …), bytes)
      test::pickled_call(
          "numpy.core.multiarray", "scalar",
          test::pickled_call("numpy", "dtype", test::pickled_text("f8") + "\x89\x88") + "(NNNtb" +
              std::string("C\x08\0\0\0\0\0\0\0\0", 10));
  const std::string arguments =  // an argparse.Namespace with attributes
      test::pickled_global("argparse", "Namespace") + ")\x81" + test::pickled_dict({{"lr", "N"}}) +
      "b";
  const std::string counter =
      test::pickled_call("collections", "Counter", "") + "(" + test::pickled_text("a") + "Nu";
  const auto load = [&](const std::vector<std::pair<std::string, std::string>>& items) {
    const auto bytes =
        test::checkpoint_bytes(test::pickled(test::pickled_dict(items)), {test::floats({5, 6})});
    return checkpoint_from_bytes(bytes, "F", spec).tensors.at("fc1.weight").data;
  };
  const std::vector<float> expected = {5, 6};
  EXPECT_EQ(load({{"best_acc", scalar},
                  {"args", arguments},
                  {"state_dict", dict},
                  {"counter", counter},
                  {"hook", test::pickled_call("os", "system", "N")}}),
            expected);
  // In the state dict's own place they are refused as ever.
  EXPECT_THAT(error_of([&] {
                load({{"state_dict", arguments}});
              }),
              HasSubstr("asks for argparse.Namespace"));
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
