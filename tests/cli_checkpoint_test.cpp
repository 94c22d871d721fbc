// A checkpoint from PyTorch through the program: the same answers as from our own file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <regex>

#include "checkpoint_support.hpp"
#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class CliCheckpoint : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
    write_checkpoint("toy.pt", "module.", "");
  }

  /// The toy's tensors as torch.save() would write them, names after `prefix`.
  void write_checkpoint(const std::string& file, const std::string& prefix,
                        const std::string& more) const {
    const Network network = load_network(path("toy.safetensors"));
    std::vector<std::string> storages;
    const std::string state_dict = test::pickled_state_dict(network, prefix, storages);
    const std::string dict = test::pickled_dict({{"state_dict", state_dict}}) + more;
    test::write_bytes(path(file), test::checkpoint_bytes(test::pickled(dict), storages));
  }
};

TEST_F(CliCheckpoint, GivesTheAnswersOfOurOwnFile) {
  for (const std::string command :
       {"predict {} --data data --sigma 0.5 --n 200 --alpha 0.01 --clamp",
        "attack {} --data data --attack l2 --json",
        "certify {} --data data --sigma 0.5 --n0 50 "
        "--n 500 --alpha 0.01 --clamp --store {}.sqlite"}) {
    const auto with = [&](const std::string& model) {
      std::string text = command;
      for (auto at = text.find("{}"); at != std::string::npos; at = text.find("{}"))
        text.replace(at, 2, model);
      return text;
    };
    std::string own = ok(with("toy.safetensors")),
                theirs = ok(with("toy.pt") + " --network toy.json");
    // Times differ: JSON's "seconds", and the last column of predictions.
    static const std::regex times(R"("seconds": [^\n]*|\t\d+:\d\d:[\d.]+)");
    own = std::regex_replace(own, times, "");
    theirs = std::regex_replace(theirs, times, "");
    EXPECT_EQ(theirs, own) << command;
  }
}

// The field trains without clamping; what a file does not say is said in one line, not guessed.
TEST_F(CliCheckpoint, IsNotClampedUnlessToldSo) {
  const std::string settings =
      " --network toy.json --data data --sigma 0.5 --n0 10 --n 100 --alpha 0.05 --no-checks "
      "--store s.sqlite";
  const auto clamped = [&] {
    return ResultsStore::open(path("s.sqlite"), ResultsStore::Access::read_only)
        ->runs()
        .back()
        .settings.certify.clamp;
  };
  const auto silent = run("certify toy.pt" + settings);
  EXPECT_THAT(silent.err, HasSubstr("clamping: none, as toy.pt does not say"));
  EXPECT_FALSE(clamped());
  EXPECT_THAT(run("certify toy.pt --clamp" + settings).err, Not(HasSubstr("clamping:")));
  EXPECT_TRUE(clamped());
  EXPECT_THAT(run("certify toy.pt --no-clamp" + settings).err,
              AllOf(Not(HasSubstr("clamping:")), HasSubstr("resumed 40 of 40")));
  EXPECT_THAT(fails(2, "certify toy.pt --clamp --no-clamp" + settings), HasSubstr("which of"));
  EXPECT_THAT(fails(2, "certify toy.pt --network toy.json --data data"),
              AllOf(HasSubstr("--sigma: which?"), HasSubstr("toy.pt")));
  ok("convert toy.pt --network toy.json --clamp --out known.safetensors");
  EXPECT_TRUE(load_network(path("known.safetensors")).clamp_recorded);
  ok("convert toy.pt --network toy.json --out unknown.safetensors");
  EXPECT_FALSE(load_network(path("unknown.safetensors")).clamp_recorded);
}

TEST_F(CliCheckpoint, ConvertsIntoTheSameModel) {
  const auto outcome =
      run("convert toy.pt --network toy.json --sigma 0.5 --regime smoothing --out "
          "again.safetensors");
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("without their prefix 'module.'"));
  const Network own = load_network(path("toy.safetensors")),
                again = load_network(path("again.safetensors"));
  EXPECT_EQ(model_hash(again), model_hash(own));
  EXPECT_EQ(again.record.sigma, 0.5);
  EXPECT_EQ(again.record.regime, "smoothing");
}

std::string npy_floats(const std::string& shape, const std::vector<float>& values) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize((10 + header.size()) / 64 * 64 + 64 - 10 - 1, ' ');
  header += '\n';
  const auto size = static_cast<std::uint16_t>(header.size());
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(size & 255) +
         static_cast<char>(size >> 8) + header + test::floats(values);
}

TEST_F(CliCheckpoint, ComparesWithTheOriginalsLogits) {
  const Network network = load_network(path("toy.safetensors"));
  const ImageShape& s = network.spec.input;
  const std::string shape =
      std::to_string(s.channels) + ", " + std::to_string(s.height) + ", " + std::to_string(s.width);
  std::vector<float> inputs(3 * s.size());
  for (std::size_t i = 0; i < inputs.size(); ++i)
    inputs[i] = static_cast<float>(i * 37 % 101) / 100.0f;
  const auto classes = static_cast<std::size_t>(network.spec.classes);
  std::vector<float> logits(3 * classes);
  make_cpu_backend()->load(network)->forward(inputs, logits);
  const std::string rows = "3, " + std::to_string(classes);
  test::write_text(path("inputs.npy"), npy_floats("3, " + shape, inputs));
  test::write_text(path("logits.npy"), npy_floats(rows, logits));
  const std::string check = "convert toy.pt --network toy.json --check inputs.npy ";
  EXPECT_THAT(run(check + "logits.npy").err,
              HasSubstr("3 of 3 inputs have the original's class; the largest difference"));
  EXPECT_EQ(json::parse(ok(check + "logits.npy --json")).at("check").at("largest_difference"), 0);
  float largest = 0;
  for (const float v : logits) largest = std::max(largest, std::fabs(v));
  auto off = logits;
  off[classes + 1] += 5e-4f * largest;
  test::write_text(path("near.npy"), npy_floats(rows, off));
  ok(check + "near.npy --out near.safetensors");
  off[classes + 1] += 2e-3f * largest;
  test::write_text(path("far.npy"), npy_floats(rows, off));
  EXPECT_THAT(fails(1, check + "far.npy --out far.safetensors"),
              AllOf(HasSubstr("input 1, class 1"), HasSubstr("allowed is 0.001")));
  EXPECT_FALSE(std::filesystem::exists(path("far.safetensors")));
  inputs[5] = 2;
  test::write_text(path("inputs.npy"), npy_floats("3, " + shape, inputs));
  EXPECT_THAT(fails(1, check + "logits.npy"), HasSubstr("before any normalisation"));
  EXPECT_THAT(fails(1, check + "inputs.npy"), HasSubstr("logits of float32 with shape"));
}

TEST_F(CliCheckpoint, OneLineForWhatDoesNotFit) {
  EXPECT_THAT(fails(1, "certify toy.pt --data data"), HasSubstr("--network"));
  EXPECT_THAT(fails(2, "certify toy.pt --network covnn --data data"),
              HasSubstr("did you mean 'convnn'"));
  EXPECT_THAT(fails(1, "convert toy.pt --network lenet --out x.safetensors"),
              AllOf(HasSubstr("does not fit network 'lenet'"), HasSubstr("conv1.weight")));
  EXPECT_THAT(fails(2, "convert toy.pt --network toy.json"), HasSubstr("--out"));
  EXPECT_THAT(fails(2, "convert toy.safetensors --normalize 0/1 --out x.safetensors"),
              HasSubstr("--network"));
  EXPECT_THAT(fails(2, "convert toy.pt --network toy.json --normalize 0 --out x.safetensors"),
              HasSubstr("MEANS/DEVIATIONS"));
  test::write_bytes(
      path("evil.pt"),
      test::checkpoint_bytes(
          test::pickled(test::pickled_call("os", "system", test::pickled_text("x"))), {}));
  EXPECT_THAT(fails(1, "convert evil.pt --network toy.json --out x.safetensors"),
              HasSubstr("asks for os.system"));
  EXPECT_FALSE(std::filesystem::exists(path("x.safetensors")));
}

}  // namespace
}  // namespace smoothcert
