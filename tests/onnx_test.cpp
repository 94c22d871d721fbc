// ONNX models: ONNX Runtime's logits of what both of PyTorch's exporters write, refusals that name
// node and operator, damaged files, and how the program takes such a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "layer_cases.hpp"
#include "network/bytes.hpp"
#include "places_support.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert {
namespace {

using testing::HasSubstr;

std::filesystem::path file_of(const std::string& name) {
  return test::source_folder() / "tests/golden/onnx" / (name + ".onnx");
}

const nlohmann::json& golden() {
  static const nlohmann::json all = [] {
    std::ifstream file(test::source_folder() / "tests/golden/onnx.json");
    return nlohmann::json::parse(file);
  }();
  return all;
}

std::string refusal(const std::filesystem::path& file) {
  try {
    load_model(file, "");
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

bool built_without() {
  return refusal(file_of("residual_script")).find("was built without") != std::string::npos;
}

class Onnx : public testing::Test {
 protected:
  void SetUp() override {
    if (built_without()) GTEST_SKIP() << "built without libonnx-dev";
  }
};

void expect_logits(const Network& net, const nlohmann::json& want, double bound) {
  const auto model = make_cpu_backend()->load(net);
  for (int i = 0; i < 2; ++i) {
    std::vector<float> logits(static_cast<std::size_t>(net.spec.classes));
    model->forward(formula_image(net.spec.input, i), logits);
    const auto expected = want.at(static_cast<std::size_t>(i)).get<std::vector<double>>();
    ASSERT_EQ(expected.size(), logits.size());
    for (std::size_t k = 0; k < logits.size(); ++k) EXPECT_NEAR(logits[k], expected[k], bound) << k;
  }
}

TEST_F(Onnx, LogitsOfBothExportersModelsAreTheirs) {
  ASSERT_GE(golden().at("logits").size(), 9u);
  for (const auto& [name, want] : golden().at("logits").items()) {
    SCOPED_TRACE(name);
    std::vector<std::string> notes;
    const Network net = load_model(file_of(name), "", &notes);
    EXPECT_FALSE(net.clamp_recorded);
    EXPECT_FALSE(net.clamp);
    ASSERT_EQ(notes.size(), 1u);
    EXPECT_THAT(notes[0], HasSubstr(": ONNX (IR "));
    expect_logits(net, want, 2e-5);
    // As a file of ours, it is the same network.
    const Network again = network_from_safetensors(network_to_safetensors(net, name), name);
    EXPECT_EQ(model_hash(again), model_hash(net));
  }
}

TEST_F(Onnx, NormalisationInFrontIsOneLayer) {
  for (const char* name : {"residual_script", "residual_dynamo", "residual_opset11"}) {
    const Layer first = load_model(file_of(name), "").spec.layers.at(0);
    ASSERT_EQ(first.kind, LayerKind::normalize) << name;
    EXPECT_THAT(first.mean, testing::ElementsAre(0.4914f, 0.4822f, 0.4465f));
    EXPECT_THAT(first.stddev, testing::ElementsAre(0.2023f, 0.1994f, 0.2010f));
  }
}

TEST_F(Onnx, FunctionsThatAreWrittenOutBecomeLayers) {
  for (const char* name : {"functions_script", "functions_opset17", "functions_dynamo"}) {
    std::map<LayerKind, int> kinds;
    for (const Layer& layer : load_model(file_of(name), "").spec.layers) ++kinds[layer.kind];
    EXPECT_EQ(kinds[LayerKind::gelu], 1) << name;
    EXPECT_EQ(kinds[LayerKind::layernorm], 1) << name;
    EXPECT_EQ(kinds[LayerKind::conv2d], 1) << name << ": nothing that is unused stays";
  }
}

TEST_F(Onnx, WhatHasNoLayerIsRefusedByNodeAndOperator) {
  for (const auto& [name, words] : golden().at("refused").items()) {
    const std::string message = refusal(file_of(name));
    EXPECT_THAT(message, HasSubstr(words.get<std::string>()));
    EXPECT_THAT(message, HasSubstr(name + ".onnx: "));
    EXPECT_THAT(message, testing::Not(HasSubstr("\n")));
  }
}

TEST_F(Onnx, DamagedFilesAreErrors) {
  const auto whole = read_file(file_of("functions_script"));
  const test::TemporaryFolder folder;
  const auto damaged = folder.path("model.onnx");
  const auto save = [&](std::span<const std::uint8_t> bytes) {
    std::ofstream(damaged, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  };
  for (std::size_t size = 30; size < whole.size(); size += 101) {
    save(std::span(whole).first(size));
    EXPECT_NE(refusal(damaged), "") << size;
  }
  for (std::size_t at = 0; at < whole.size(); at += 13) {
    auto bytes = whole;
    bytes[at] ^= 0x15;
    save(bytes);
    refusal(damaged);  // an Error or a model, nothing else
  }
  // Weights outside the file: beside it, and nowhere else.
  std::filesystem::copy_file(file_of("residual_external"), folder.path("alone.onnx"));
  EXPECT_THAT(refusal(folder.path("alone.onnx")), HasSubstr("residual_external.onnx.data"));
}

class CliOnnx : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    for (const char* name : {"residual_script", "functions_dynamo"})
      std::filesystem::copy_file(file_of(name), path(std::string(name) + ".onnx"));
    if (built_without()) {
      EXPECT_THAT(fails(1, "info residual_script.onnx"),
                  HasSubstr("install libonnx-dev and libprotobuf-dev and build again"));
      GTEST_SKIP() << "built without libonnx-dev";
    }
  }
};

TEST_F(CliOnnx, TakesThemWhereItTakesACheckpoint) {
  EXPECT_THAT(ok("info residual_script.onnx"), HasSubstr("residual_script: 3×8×8 to 5 classes"));
  ok("convert residual_script.onnx --out ours.safetensors");
  expect_logits(load_network(path("ours.safetensors")), golden().at("logits").at("residual_script"),
                2e-5);
  EXPECT_THAT(fails(2, "convert residual_script.onnx --out x.safetensors --network lenet"),
              HasSubstr("an ONNX model says itself which network it is"));
  EXPECT_THAT(fails(2, "convert residual_script.onnx --out x.safetensors --normalize 0.5/0.25"),
              HasSubstr("has a normalize layer already"));
  ok("convert functions_dynamo.onnx --out normal.safetensors --normalize "
     "0.5,0.5,0.5/0.25,0.25,0.25");
  EXPECT_EQ(load_network(path("normal.safetensors")).spec.layers.at(0).kind, LayerKind::normalize);
}

TEST(OnnxWithout, AModelIsKnownByItsFirstBytesAndRefusedByOthers) {
  try {
    load_network(file_of("residual_script"));
    ADD_FAILURE() << "nothing said";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("an ONNX model; 'smoothcert convert' makes a file of it"));
  }
}

}  // namespace
}  // namespace smoothcert
