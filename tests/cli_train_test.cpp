// train, attack and compare, through the program, on a handful of images.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "places_support.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::HasSubstr;

const std::string kTrain = "train smoothing --data data --network toy.json --threads 1";

class CliTrain : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
  }
  std::string hash(const std::string& file) const { return model_hash(load_network(path(file))); }
};

TEST_F(CliTrain, WritesAModelAndSaysSo) {
  const json report = json::parse(ok(kTrain + " --epochs 3 --history h.json --json"));
  EXPECT_EQ(report.at("file"), "smoothing.safetensors");
  EXPECT_EQ(report.at("hash"), hash("smoothing.safetensors"));
  EXPECT_EQ(report.at("epochs"), 3);
  const json history = json::parse(test::file_text(path("h.json")));
  EXPECT_EQ(history.at("step_loss").size(), report.at("steps").get<std::size_t>());
  EXPECT_THAT(ok(kTrain + " --out m.safetensors"), HasSubstr("model: m.safetensors"));
  EXPECT_EQ(run(kTrain + " --quiet --force").err, "");
}

TEST_F(CliTrain, TakesTheNetworkOfTheRecipeUnlessToldOtherwise) {
  test::write_text(path("mine.json"), R"({"base": "smoothing", "name": "mine",
                                          "network": "toy.json", "epochs": 1})");
  EXPECT_THAT(run("train mine.json --data data").err, HasSubstr("network: toy\n"));
  EXPECT_EQ(load_network(path("mine.safetensors")).spec.name, "toy");
  EXPECT_THAT(fails(2, "train mine.json --data data --network lenet --force"), HasSubstr("28"));
}

TEST_F(CliTrain, DependsOnTheSeed) {
  ok(kTrain + " --seed 5 --out a.safetensors");
  ok(kTrain + " --seed 5 --out b.safetensors");
  ok(kTrain + " --seed 6 --out c.safetensors");
  EXPECT_EQ(hash("a.safetensors"), hash("b.safetensors"));
  EXPECT_NE(hash("a.safetensors"), hash("c.safetensors"));
}

TEST_F(CliTrain, RefusesWhatMakesNoSense) {
  EXPECT_THAT(fails(2, "train smothing --data data"), HasSubstr("did you mean 'smoothing'?"));
  EXPECT_THAT(fails(2, "train smoothing --data data --network covnn"),
              HasSubstr("did you mean 'convnn'?"));
  EXPECT_THAT(fails(2, "train normal --data data --network toy.json --sigma 1"),
              HasSubstr("--sigma: wants a smoothing recipe"));
  EXPECT_THAT(fails(1, "train smoothing --data data --network none.json"), HasSubstr("none.json"));
  EXPECT_THAT(fails(1, kTrain + " --out no/such/m.safetensors"), HasSubstr("no/such"));
  EXPECT_THAT(fails(2, kTrain + " --epochs -1"), HasSubstr("--epochs"));
  fails(2, "train smoothing --data data");  // convnn takes other images
}

TEST_F(CliTrain, AttacksAModel) {
  const std::string command = "attack toy.safetensors --data data --epsilon 0.5";
  const json report = json::parse(ok(command + " --json"));
  EXPECT_EQ(report.at("attacks").size(), 6u);
  EXPECT_GT(report.at("clean_accuracy"), 0.9);
  EXPECT_THAT(ok(command + " --attack l2,pgd-l2 --steps 5"), HasSubstr("pgd-l2"));
  EXPECT_THAT(fails(2, command + " --attack l3"), HasSubstr("l3"));
  EXPECT_EQ(run(command + " --quiet").err, "");
}

TEST_F(CliTrain, CtrlCSaysHowToGoOn) {
  const std::string command = kTrain + " --epochs 60";
  ok(command + " --out whole.safetensors");
  const auto begun = [&] { return std::filesystem::exists(path("part.safetensors.resume")); };
  const auto outcome =
      stopped(command + " --out part.safetensors", SIGINT, begun, "part.safetensors");
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("part.safetensors"));
  EXPECT_THAT(outcome.err, HasSubstr(kTrain));
  EXPECT_FALSE(std::filesystem::exists(path("part.safetensors")));
  ok(command + " --out part.safetensors");
  EXPECT_EQ(hash("part.safetensors"), hash("whole.safetensors"));
}

const std::string kCompare =
    "compare --data digits --digits-size 400,20 --images 10 --attack-images 10 --n0 20 --n 200 "
    "--threads 1 --out ";

TEST_F(CliTrain, ComparesEndToEnd) {
  const auto outcome = run(kCompare + "study --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const json summary = json::parse(outcome.out);
  ASSERT_EQ(summary.at("models").size(), 3u);
  for (const auto& model : summary.at("models")) EXPECT_EQ(model.at("images"), 10);
  EXPECT_THAT(outcome.err, HasSubstr("drawn by this program"));
  for (const char* file : {"report.html", "results.sqlite", "summary.json", "normal.tsv",
                           "models/smoothing.safetensors"})
    EXPECT_TRUE(std::filesystem::exists(path("study") / file)) << file;
  EXPECT_THAT(ok("report study"), HasSubstr("report: study/report.html"));
  EXPECT_THAT(ok("report study --tables latex"), HasSubstr("\\bottomrule"));
  EXPECT_THAT(ok("export study"), HasSubstr("adversarial"));
  EXPECT_THAT(fails(2, kCompare + "study --seed 9"), HasSubstr("study"));
}

TEST_F(CliTrain, CompareGoesOnAfterCtrlC) {
  ok(kCompare + "whole");
  // One model is trained, the next in work.
  const auto begun = [&] {
    return std::filesystem::exists(path("part") / "models/normal.safetensors");
  };
  const auto outcome = stopped(kCompare + "part", SIGINT, begun, "part");
  EXPECT_EQ(outcome.code, 130) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("what was finished is kept in part. To go on: "));
  ok(kCompare + "part");
  const auto certificates = [&](const std::string& folder) {
    std::string lines;
    const auto store =
        ResultsStore::open(path(folder) / "results.sqlite", ResultsStore::Access::read_only);
    for (const RunInfo& run : store->runs()) lines += run.key + "\n";
    const std::string dump = store->canonical_dump();
    return dump.substr(0, dump.find("document "));  // documents name the folder
  };
  EXPECT_EQ(certificates("part"), certificates("whole"));
}

}  // namespace
}  // namespace smoothcert
