// L1 certificates through the program: splitting noise and uniform noise.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli_support.hpp"
#include "places_support.hpp"

namespace smoothcert {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kSplit =
    "certify toy.safetensors --data data --noise split --lambda 0.5 --no-checks ";

class CliL1 : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
    write_toy_study();
  }
};

TEST_F(CliL1, SplittingNoiseFromTheFirstImageToTheReport) {
  const auto first = run(kSplit + "--store a.sqlite");
  EXPECT_EQ(first.code, 0);
  EXPECT_THAT(first.err,
              HasSubstr("lambda: 0.5, 255 grey levels wide, so many splits an image, all of them"));
  EXPECT_THAT(first.out, AllOf(HasSubstr("guarantee            exact in L1, sound as executed"),
                               HasSubstr("abstained            0"),
                               HasSubstr("certified accuracy at L1 radius r: 0:"),
                               HasSubstr("no certificate can be false"), Not(HasSubstr("α"))));
  const json report = json::parse(ok(kSplit + "--store a.sqlite --json"));
  EXPECT_EQ(report.at("norm"), "l1");
  EXPECT_EQ(report.at("kind"), "exact");
  EXPECT_EQ(report.at("lambda"), 0.5);
  EXPECT_FALSE(report.contains("sigma"));
  EXPECT_GT(report.at("correct_certified"), 20);
  // Cuts, threads and shards change nothing.
  ok(kSplit + "--store b.sqlite --threads 1 --max 7");
  ok(kSplit + "--store b.sqlite --threads 3");
  EXPECT_EQ(dump("a.sqlite"), dump("b.sqlite"));
  ok(kSplit + "--store 1.sqlite --shard 1/2");
  ok(kSplit + "--store 2.sqlite --shard 2/2");
  EXPECT_THAT(ok("status 1.sqlite 2.sqlite"), HasSubstr("together"));
  ok("merge 1.sqlite 2.sqlite --out merged.sqlite");
  EXPECT_EQ(dump("a.sqlite"), dump("merged.sqlite"));
  // What is stored is what comes out again.
  EXPECT_THAT(ok("verify a.sqlite --redraw 5 --model toy.safetensors --data data"),
              HasSubstr("5 images drawn again, 0 of them otherwise"));
  const auto recomputed = run("recompute a.sqlite --alpha 0.01");
  EXPECT_EQ(recomputed.code, 0);
  EXPECT_THAT(recomputed.err,
              AllOf(HasSubstr("1 of the runs is exact"), HasSubstr("0 certificates")));
  EXPECT_EQ(dump("a.sqlite"), dump("merged.sqlite"));
  const json runs = json::parse(ok("export a.sqlite --json"));
  EXPECT_EQ(runs.at("runs").at(0).at("norm"), "l1");
  EXPECT_EQ(runs.at("runs").at(0).at("kind"), "exact");
  EXPECT_EQ(runs.at("runs").at(0).at("lambda"), 0.5);
  const auto tsv = run("export a.sqlite --run 1");
  EXPECT_THAT(tsv.err, AllOf(HasSubstr("radii in l1, exact in L1"), Not(HasSubstr("alpha"))));
  EXPECT_EQ(tsv.out, ok("export a.sqlite --run 1 --norm l1"));
  const json one = json::parse(ok("export a.sqlite --run 1 --json"));
  EXPECT_EQ(one.at("norm"), "l1");
  EXPECT_EQ(one.at("kind"), "exact");
  for (const json& row : one.at("certificates")) {
    EXPECT_FALSE(row.contains("top_k_radius")) << "a statement about Gaussian noise";
    EXPECT_NEAR(row.at("radius").get<double>() * 255, row.at("units").get<double>(), 1e-9);
  }
  ok("export a.sqlite --out tsv");
  EXPECT_TRUE(exists(path("tsv/toy_lambda0.5_seed0_split_l1.tsv")));
  // Beside a run in L2, nothing mixes.
  ok("certify toy.safetensors --data data --sigma 0.5 --n0 50 --n 500 --alpha 0.01 --no-checks "
     "--store a.sqlite");
  EXPECT_THAT(fails(2, "export a.sqlite --out linf --norm linf"), HasSubstr("in l1 and stay so"));
  ok("export a.sqlite --out l1 --norm l1");
  ok("report a.sqlite --out report");
  const std::string html = test::file_text(path("report/report.html"));
  EXPECT_THAT(html, AllOf(HasSubstr("Two norms."), HasSubstr("L1 radius r, in units"),
                          HasSubstr("L2 radius r, in units"), HasSubstr("Radii are in L1."),
                          HasSubstr("Radii are in L2.")));
  EXPECT_TRUE(exists(path("report/figures/certified-accuracy-l1.svg")));
  const std::string summary = test::file_text(path("report/tables/summary.csv"));
  EXPECT_THAT(summary, AllOf(HasSubstr("norm,kind\n"), HasSubstr(",l1,exact\n"),
                             HasSubstr(",l2,probabilistic\n")));
}

TEST_F(CliL1, UniformNoiseHasAnAlphaAndAWidth) {
  const std::string uniform =
      "certify toy.safetensors --data data --noise uniform --n0 50 --n 500 --alpha 0.01 "
      "--no-checks ";
  const auto first = run(uniform + "--lambda 0.5 --store a.sqlite");
  EXPECT_EQ(first.code, 0);
  EXPECT_THAT(first.err, HasSubstr("lambda: 0.5019607843137255, 256 grey levels wide"));
  EXPECT_THAT(first.out, AllOf(HasSubstr("guarantee            in L1, sound as executed"),
                               HasSubstr("at α = 0.01 up to one certificate in 100")));
  ok(uniform + "--lambda 256/510 --store a.sqlite");
  EXPECT_EQ(json::parse(ok("export a.sqlite --json")).at("runs").size(), 1u);
  ok("recompute a.sqlite --alpha 0.001");
  ok("recompute a.sqlite --p-b counted");
  EXPECT_EQ(json::parse(ok("export a.sqlite --json")).at("runs").size(), 4u);
  EXPECT_THAT(ok("verify a.sqlite"), HasSubstr("0 rows fail"));
  EXPECT_THAT(fails(2, uniform + "--lambda 0.7"), HasSubstr("uniform noise is drawn on 2^b"));
  ok(uniform + "--lambda 0.5 --stop-at 0.01 --store b.sqlite");
  EXPECT_THAT(ok("verify b.sqlite"), HasSubstr("0 rows fail"));
}

TEST_F(CliL1, BadInputIsOneLine) {
  const std::string plain = "certify toy.safetensors --data data --no-checks ";
  EXPECT_THAT(fails(2, plain + "--noise split --lambda 0.49"),
              HasSubstr("splitting noise needs 0.5 (half the range of a pixel) or more"));
  EXPECT_THAT(fails(2, plain + "--noise split --sigma 1"), HasSubstr("is set by --lambda"));
  EXPECT_THAT(fails(2, plain + "--sigma 1 --lambda 1"), HasSubstr("--noise split and uniform"));
  EXPECT_THAT(fails(2, plain + "--noise split"), HasSubstr("--lambda: which?"));
  for (const std::string option : {"--n0 10", "--n 1000", "--alpha 0.01", "--p-b counted",
                                   "--stop-within 5%", "--stop-at 0.5"})
    EXPECT_THAT(fails(2, plain + "--noise split --lambda 1 " + option),
                HasSubstr("there are no samples"))
        << option;
  EXPECT_THAT(fails(2, plain + "--noise split --lambda 1 --no-clamp"),
              HasSubstr("nothing to clamp"));
  EXPECT_THAT(fails(2, plain + "--noise splits --lambda 1"), HasSubstr("did you mean 'split'"));
  EXPECT_THAT(fails(2, "predict toy.safetensors --data data --noise split --lambda 1"),
              HasSubstr("certify --noise split"));
  EXPECT_THAT(fails(2, "compare --data data --noise split"), HasSubstr("L2 radii"));
  ok(kSplit + "--store a.sqlite --max 2");
  EXPECT_THAT(fails(2, "export a.sqlite --run 1 --alpha 0.01"), HasSubstr("is exact"));
  EXPECT_THAT(fails(2, "export a.sqlite --run 1 --p-b counted"), HasSubstr("is exact"));
  EXPECT_THAT(fails(2, "export a.sqlite --run 1 --norm l2"), HasSubstr("in l1 and stay so"));
  EXPECT_THAT(fails(2, "export a.sqlite --run 1 --json --classes"), HasSubstr("in l2"));
}

TEST_F(CliL1, Sweeps) {
  test::write_text(path("s.json"), R"({"data": "data", "models": "toy.safetensors",
      "noise": "split", "lambda": [0.5, 1], "seed": [0, 1], "store": "s.sqlite"})");
  EXPECT_THAT(
      run("sweep s.json --no-checks").err,
      AllOf(HasSubstr("4/4 toy lambda 1, all 510 splits, seed 1: ACR"), HasSubstr("in L1")));
  ok(kSplit + "--store one.sqlite");
  EXPECT_THAT(dump("s.sqlite"), HasSubstr(dump("one.sqlite").substr(0, 400)));
  ok("sweep s.json --no-checks");
  const std::pair<const char*, const char*> cases[] = {
      {R"("sigma": 0.5)", "\"sigma\" is not what sets splitting noise"},
      {R"("lambda": 0.3)", "half the range"},
      {R"("lambda": 1, "n": 1000)", "\"n\" means nothing for splitting noise"},
      {R"("lambda": 1, "alpha": 0.1)", "\"alpha\" means nothing"},
      {R"("seed": 1)", "\"lambda\" is missing"},
  };
  for (const auto& [members, message] : cases) {
    test::write_text(
        path("bad.json"),
        std::string(R"({"data": "data", "models": "toy.safetensors", "noise": "split", )") +
            members + "}");
    EXPECT_THAT(fails(2, "sweep bad.json"), HasSubstr(message)) << members;
  }
  test::write_text(path("bad.json"),
                   R"({"data": "data", "models": "toy.safetensors", "lambda": 1})");
  EXPECT_THAT(fails(2, "sweep bad.json"), HasSubstr("\"lambda\" is not what sets lattice noise"));
}

TEST_F(CliL1, AModelKnowsTheNoiseItWasTrainedWith) {
  EXPECT_THAT(fails(2, "train mnist-split --data data --lambda 0.2"), HasSubstr("half the range"));
  EXPECT_THAT(fails(2, "train smoothing --data data --lambda 1"), HasSubstr("train mnist-split"));
  EXPECT_THAT(fails(2, "train mnist-split --data data --sigma 1"),
              HasSubstr("which --lambda sets"));
  const std::string train =
      "train mnist-split --network toy.json --data data --epochs 2 --lambda 0.6 --seed 5 --json ";
  const json one = json::parse(ok(train + "--out split.safetensors --threads 1"));
  const json again = json::parse(ok(train + "--out again.safetensors --threads 3"));
  EXPECT_EQ(one.at("hash"), again.at("hash"));
  const auto first = run("certify split.safetensors --data data --noise split --no-checks");
  EXPECT_EQ(first.code, 0);
  EXPECT_THAT(first.err, AllOf(HasSubstr("lambda: 0.6, that of the model's training, 306"),
                               HasSubstr("seed: 5, that of the splits in the model's training")));
  EXPECT_THAT(fails(2, "certify split.safetensors --data data"), HasSubstr("--noise split"));
}

}  // namespace
}  // namespace smoothcert
