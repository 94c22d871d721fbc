// Network descriptions and parameters: reading, shapes, initialisation, refusals.
#include "smoothcert/network.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "smoothcert/error.hpp"
#include "smoothcert/inference_plan.hpp"

namespace smoothcert {
namespace {

using ::testing::HasSubstr;

template <class F>
std::string error_of(F&& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}

TEST(Network, ConvnnIsTheStudysNetwork) {
  const NetworkSpec spec = builtin_network("convnn");
  EXPECT_EQ(trainable_parameters(spec), 1580u);
  EXPECT_EQ(spec.layers[0].out, (ActivationShape{5, 24, 24}));
  EXPECT_EQ(spec.layers[3].out, (ActivationShape{5, 12, 12}));
  EXPECT_EQ(spec.layers[4].out, (ActivationShape{5, 8, 8}));
  EXPECT_EQ(spec.layers[6].out, (ActivationShape{5, 4, 4}));
  EXPECT_EQ(spec.layers[7].out, (ActivationShape{80, 1, 1}));
}

TEST(Network, BuiltinsSurviveTheJsonRoundTrip) {
  for (const auto& name : builtin_network_names()) {
    const std::string json = network_spec_json(builtin_network(name));
    EXPECT_EQ(network_spec_json(parse_network_spec(json, name)), json);
  }
}

TEST(Network, ResidualGraphSurvivesTheJsonRoundTrip) {
  const std::string json = R"({"name":"res","input":[2,6,6],"classes":3,"layers":[
    {"op":"conv2d","name":"a","out_channels":2,"kernel":3,"padding":1},{"op":"relu"},
    {"op":"conv2d","name":"b","out_channels":2,"kernel":3,"padding":1},
    {"op":"add","inputs":["a","b"]},{"op":"global_avg_pool"},{"op":"linear","name":"fc","out_features":3}]})";
  const NetworkSpec spec = parse_network_spec(json, "res");
  EXPECT_EQ(spec.layers[3].inputs, (std::vector<int>{0, 2}));
  const std::string canonical = network_spec_json(spec);
  EXPECT_EQ(network_spec_json(parse_network_spec(canonical, "again")), canonical);
}

TEST(Network, BadDescriptionsAreNamed) {
  const auto parse = [](const std::string& json) {
    return error_of([&] { parse_network_spec(json, "net.json"); });
  };
  const auto layer = [&](const std::string& json) {
    return parse(R"({"name":"n","input":[4,6,6],"classes":2,"layers":[)" + json + "]}");
  };
  EXPECT_THAT(layer(R"({"op":"conv2d","name":"c","out_channels":2,"kernel":-2147483648,)"
                    R"("padding":"same"})"),
              HasSubstr("kernel must be at least 1"));
  EXPECT_THAT(layer(R"({"op":"conv2d","name":"c","out_channels":6,"kernel":3,"groups":3})"),
              HasSubstr("groups must divide its 4 input and 6 output channels"));
  EXPECT_THAT(layer(R"({"op":"conv2d","name":"c","out_channels":6,"kernel":3,"stride":2,)"
                    R"("padding":"same"})"),
              HasSubstr("goes with stride 1"));
  EXPECT_THAT(layer(R"({"op":"conv2d","name":"c","out_channels":6,"kernel":[3,3,3]})"),
              HasSubstr("'kernel' is a number or [rows, columns]"));
  EXPECT_THAT(layer(R"({"op":"reshape","shape":[3,6,6]})"),
              HasSubstr("4×6×6 does not become 3×6×6"));
  EXPECT_THAT(layer(R"({"op":"gelu","approximate":"erf"})"), HasSubstr("\"none\" or \"tanh\""));
  EXPECT_THAT(layer(R"({"op":"mish"})"), HasSubstr("exists in PyTorch, but not here"));
  EXPECT_THAT(layer(R"({"op":"concat","inputs":["input"]})"), HasSubstr("two inputs or more"));
  EXPECT_THAT(layer(R"({"op":"prelu","name":"p","slopes":3})"), HasSubstr("its 4 channels"));
  EXPECT_THAT(parse("{"), HasSubstr("net.json: not valid JSON"));
  EXPECT_THAT(parse("[]"), HasSubstr("expected an object"));
  for (const char* sizes :
       {"[1,8,7e79]", "[1,8,77777777777777777777777777]", "[1,8,4294967297]", "[1,8,2.5]"})
    EXPECT_THAT(parse(std::string(R"({"name":"n","classes":2,"layers":[],"input":)") + sizes + "}"),
                HasSubstr("'input' has a value of the wrong type"));
  const std::string head = R"({"name":"n","input":[1,8,8],"classes":2,"layers":[)";
  EXPECT_THAT(parse(head + R"({"op":"conv2","name":"c","out_channels":1,"kernel":3}]})"),
              HasSubstr("did you mean 'conv2d'"));
  EXPECT_THAT(
      parse(head + R"({"op":"conv2d","name":"c","out_channels":1,"kernel":3,"paddng":1}]})"),
      HasSubstr("did you mean 'padding'"));
  EXPECT_THAT(parse(head + R"({"op":"conv2d","name":"c","out_channels":1,"kernel":9}]})"),
              HasSubstr("does not fit"));
  EXPECT_THAT(parse(head + R"({"op":"linear","name":"f","out_features":2}]})"),
              HasSubstr("put a flatten layer before it"));
  EXPECT_THAT(parse(head + R"({"op":"flatten"},{"op":"linear","name":"f","out_features":3}]})"),
              HasSubstr("2 logits are needed"));
  EXPECT_THAT(parse(head + R"({"op":"flatten"},{"op":"linear","out_features":2}]})"),
              HasSubstr("needs a name"));
  EXPECT_THAT(parse(head + R"({"op":"flatten","inputs":["nowhere"]}]})"),
              HasSubstr("unknown input 'nowhere'"));
  EXPECT_THAT(parse(head + R"({"op":"flatten"},{"op":"linear","name":"f","out_features":"2"}]})"),
              HasSubstr("wrong type"));
  EXPECT_THAT(
      parse(head + R"({"op":"flatten"},{"op":"linear","name":"f","out_features":99999999999}]})"),
      HasSubstr("wrong type"));
  EXPECT_THAT(error_of([] { builtin_network("covnn"); }), HasSubstr("did you mean 'convnn'"));
}

TEST(Network, InitialiseFollowsPyTorchsBounds) {
  const Network net = initialise(builtin_network("convnn"), 1);
  validate(net, "fresh");
  const auto largest = [&](const std::string& name) {
    float m = 0;
    for (const float v : net.tensors.at(name).data) m = std::max(m, std::fabs(v));
    return m;
  };
  EXPECT_LE(largest("conv1.weight"), 1 / std::sqrt(25.0f));
  EXPECT_GT(largest("conv1.weight"), 0.9f / std::sqrt(25.0f));
  EXPECT_LE(largest("conv2.bias"), 1 / std::sqrt(125.0f));
  EXPECT_GT(largest("conv2.bias"), 0.0f);
  EXPECT_LE(largest("fc1.weight"), 1 / std::sqrt(80.0f));
  EXPECT_GT(largest("fc1.weight"), 0.95f / std::sqrt(80.0f));
  EXPECT_GT(largest("fc1.bias"), 0.0f);
  for (const float v : net.tensors.at("bn1.weight").data) EXPECT_EQ(v, 1.0f);
  for (const float v : net.tensors.at("bn1.bias").data) EXPECT_EQ(v, 0.0f);
  for (const float v : net.tensors.at("bn1.running_mean").data) EXPECT_EQ(v, 0.0f);
  for (const float v : net.tensors.at("bn1.running_var").data) EXPECT_EQ(v, 1.0f);
}

TEST(Network, SeedsAndTensorsDiffer) {
  const Network a = initialise(builtin_network("lenet"), 1),
                b = initialise(builtin_network("lenet"), 1),
                c = initialise(builtin_network("lenet"), 2);
  EXPECT_EQ(model_hash(a), model_hash(b));
  EXPECT_NE(model_hash(a), model_hash(c));
  EXPECT_NE(a.tensors.at("conv1.weight").data[0] * std::sqrt(25.0f),
            a.tensors.at("conv2.weight").data[0] * std::sqrt(500.0f));
}

TEST(Network, HashIgnoresTheRecordAndSeesEveryTensor) {
  Network net = initialise(builtin_network("convnn"), 3);
  const std::string before = model_hash(net);
  net.record.commit = "other";
  EXPECT_EQ(model_hash(net), before);
  net.tensors["bn1.running_var"].data[4] = 2.0f;
  EXPECT_NE(model_hash(net), before);
}

TEST(Network, ValidateNamesTheTensor) {
  const Network good = initialise(builtin_network("convnn"), 3);
  Network net = good;
  net.tensors.erase("fc1.bias");
  EXPECT_THAT(error_of([&] { validate(net, "m"); }), HasSubstr("'fc1.bias' is missing"));
  net = good;
  net.tensors["fc1.bias"].shape = {11};
  EXPECT_THAT(error_of([&] { validate(net, "m"); }),
              HasSubstr("has shape [11], network 'convnn' expects [10]"));
  net = good;
  net.tensors["conv1.weight"].data[7] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(error_of([&] { validate(net, "m"); }), HasSubstr("'conv1.weight' holds NaN"));
  net = good;
  net.tensors["extra"] = {{1}, {0}};
  EXPECT_THAT(error_of([&] { validate(net, "m"); }), HasSubstr("'extra' has no place"));
}

TEST(InferencePlan, FoldsBatchNormOnce) {
  Network net = initialise(builtin_network("convnn"), 3);
  net.tensors["bn1.weight"].data = {2, 1, 1, 1, 1};
  net.tensors["bn1.running_mean"].data = {0.5f, 0, 0, 0, 0};
  net.tensors["bn1.running_var"].data = {4, 1, 1, 1, 1};
  const InferencePlan plan = make_inference_plan(net);
  ASSERT_EQ(plan.steps[2].kind, StepKind::affine);
  const double scale = 2 / std::sqrt(4 + 1e-5);
  EXPECT_EQ(plan.params[plan.steps[2].weight], static_cast<float>(scale));
  EXPECT_EQ(plan.params[plan.steps[2].bias], static_cast<float>(-0.5 * scale));
  EXPECT_EQ(plan.params[plan.steps[0].weight], net.tensors["conv1.weight"].data[0]);
  EXPECT_EQ(plan.steps.back().out_shape.channels, 10);
}

}  // namespace
}  // namespace smoothcert
