// The sweep: its file, its plan, what it warns of, and that it finishes whatever happens.
#include "smoothcert/sweep.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <numeric>
#include <random>
#include <thread>

#include "campaign_support.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/merge.hpp"
#include "smoothcert/sweep_plan.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::TemporaryFolder;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using Access = ResultsStore::Access;

SweepSpec parse(const std::string& json) { return parse_sweep(json, "/folder", "sweep.json"); }

TEST(SweepFile, ListsAndSingleValues) {
  const SweepSpec spec = parse(R"({
    // comments are fine
    "store": "out.sqlite", "data": "mnist", "split": "train",
    "models": ["a.safetensors", {"file": "/x/b.pt", "name": "bee", "sigma": [1]}],
    "sigma": [0.25, 0.5], "n0": 100, "n": [1000, 1e5], "alpha": 0.05, "seed": [1, 2],
    "subset": {"start": 3, "skip": 20, "max": 7}, "noise": "gaussian", "clamp": false,
    "mode": "fast"})");
  EXPECT_EQ(spec.store, "/folder/out.sqlite");
  EXPECT_EQ(spec.split, "train");
  ASSERT_EQ(spec.models.size(), 2u);
  EXPECT_EQ(spec.models[0].file, "/folder/a.safetensors");
  EXPECT_EQ(spec.models[0].name, "a");
  EXPECT_EQ(spec.models[1].file, "/x/b.pt");
  EXPECT_EQ(spec.models[1].name, "bee");
  EXPECT_THAT(spec.models[1].sigmas, ElementsAre(1.0));
  EXPECT_THAT(spec.n, ElementsAre(1000u, 100000u));
  EXPECT_THAT(spec.alphas, ElementsAre(0.05));
  EXPECT_EQ(spec.subsets[0].skip, 20u);
  EXPECT_EQ(spec.noise, NoiseLaw::gaussian);
  EXPECT_EQ(spec.mode, Mode::fast);
  EXPECT_EQ(spec.clamp, std::optional(false));
}

TEST(SweepFile, OneLineSaysWhatIsWrong) {
  const std::string ok = R"("models": "a.st", "sigma": 1)";
  EXPECT_EQ(error_of([&] { parse("{" + ok + "}"); }), "");
  const auto refuses = [&](const std::string& json, const std::string& what) {
    EXPECT_THAT(error_of([&] { parse(json); }), HasSubstr(what)) << json;
    EXPECT_THROW(parse(json), UsageError) << json;
  };
  refuses("{", "sweep.json is not valid JSON (line 1)");
  refuses("[]", "expected an object");
  refuses("{\"sigma\": 1}", "\"models\" is missing");
  refuses("{\"models\": \"a\"}", "\"sigma\" is missing, and model 'a'");
  refuses("{" + ok + ", \"alhpa\": 1}", "did you mean 'alpha'");
  refuses("{" + ok + ", \"n\": -1}", "\"n\" must hold whole numbers");
  refuses("{" + ok + ", \"n\": 1.5}", "not 1.5");
  refuses("{" + ok + ", \"n\": []}", "\"n\" is an empty list");
  refuses("{" + ok + ", \"alpha\": \"x\"}", "\"alpha\" must be a number");
  refuses("{" + ok + ", \"alpha\": [0.1, 0.1]}", "holds a value twice");
  refuses("{" + ok + ", \"subset\": {\"skip\": 0}}", "\"skip\" must be at least 1");
  refuses("{" + ok + ", \"p_b\": \"counts\"}", "\"p_b\"");
  refuses("{" + ok + ", \"p_b\": [\"counted\", \"counted\"]}", "holds a value twice");
  refuses("{" + ok + ", \"noise\": \"white\"}", "\"noise\": unknown noise law 'white'");
  refuses("{" + ok + ", \"clamp\": 1}", "\"clamp\" must be true or false");
  refuses(R"({"models": ["x/a.st", "x/a.st"], "sigma": 1})", "two models named");
  refuses(R"({"models": [{"name": "a"}], "sigma": 1})", "\"file\" is missing");
}

TEST(SweepPlan, BothSecondBoundsCostOneDraw) {
  const SweepPlan plan =
      plan_sweep(parse(R"({"models": "a.st", "sigma": 1, "n": 1000, "alpha": [0.1, 0.01],
                "p_b": ["complement", "counted"]})"),
                 10);
  ASSERT_EQ(plan.runs.size(), 4u);
  EXPECT_EQ(plan.samples, 10u * 1100);
  EXPECT_FALSE(plan.runs[0].derived);
  for (std::size_t i = 1; i < 4; ++i) EXPECT_TRUE(plan.runs[i].derived);
  EXPECT_EQ(plan.runs[3].settings.p_b, SecondBound::counted);
}

TEST(SweepPlan, CountsSamplesOnceForAllAlphas) {
  const SweepSpec spec = parse(R"({"models": ["a", {"file": "b", "sigma": [1]}],
    "sigma": [0.25, 0.5], "n0": 10, "n": [100, 1000], "alpha": [0.1, 0.05], "seed": [0, 1],
    "subset": [{"skip": 10}, {"start": 5, "skip": 5, "max": 2}]})");
  const SweepPlan plan = plan_sweep(spec, 50);
  EXPECT_THAT(plan.indices, ElementsAre(0, 5, 10, 20, 30, 40));
  EXPECT_EQ(plan.runs.size(), 3u * 2 * 2 * 2);
  EXPECT_EQ(plan.images, 24u * 6);
  EXPECT_EQ(plan.samples, 3u * 2 * 6 * (10 + 100 + 10 + 1000));
  EXPECT_FALSE(plan.runs[0].derived);
  EXPECT_TRUE(plan.runs[1].derived);
  EXPECT_THAT(error_of([&] { plan_sweep(spec, 0); }), HasSubstr("holds none of 0 images"));
  EXPECT_THAT(error_of([] { plan_sweep(parse(R"({"models": "a", "sigma": -1})"), 5); }),
              HasSubstr("sigma"));
  EXPECT_THAT(
      error_of([] { plan_sweep(parse(R"({"models":"a","sigma":1,"n":5,"alpha":0.001})"), 5); }),
      HasSubstr("it takes at least n = 10"));
}

TEST(SweepPlan, RefusesMoreRunsThanAnybodyWants) {
  SweepSpec spec = parse(R"({"models": "a", "sigma": 1})");
  spec.seeds.resize(1000);
  spec.n.resize(1000, 100000);
  EXPECT_THAT(error_of([&] { plan_sweep(spec, 5); }), HasSubstr("more than 100000 runs"));
  spec.alphas.assign(std::size_t{1} << 20, 0.001);
  spec.n0.resize(std::size_t{1} << 20);  // the product no longer fits 64 bits
  EXPECT_THAT(error_of([&] { plan_sweep(spec, 5); }), HasSubstr("more than 100000 runs"));
}

TEST(SweepPlan, AHugeStepDoesNotWrapAround) {
  const SweepSpec spec =
      parse(R"({"models": "a", "sigma": 1, "subset": {"start": 3, "skip": 18446744073709551615}})");
  EXPECT_EQ(plan_sweep(spec, 5).indices, std::vector<std::uint32_t>{3});
}

TEST(SweepPlan, TimesForPeople) {
  EXPECT_EQ(time_estimate_text(0.2), "under a second");
  EXPECT_EQ(time_estimate_text(45.4), "45 s");
  EXPECT_EQ(time_estimate_text(600), "10 min");
  EXPECT_EQ(time_estimate_text(11520), "3 h 12 min");
  EXPECT_EQ(time_estimate_text(300000), "3 d 11 h");
}

// ---- pre-flight ------------------------------------------------------------------------------

class Preflight : public testing::Test {
 protected:
  Preflight() {
    settings_.sigma = 0.25;
    settings_.n = 1000;
    settings_.alpha = 0.001;
    indices_.resize(data_.size());
    std::iota(indices_.begin(), indices_.end(), 0u);
  }
  std::string findings(Finding::Severity severity) {
    const auto model = backend_.load(network_);
    std::string lines;
    for (const Finding& f : preflight(network_, "toy", *model, data_, indices_, settings_)) {
      if (f.severity == severity) lines += f.line + "\n";
    }
    return lines;
  }
  std::string warnings() { return findings(Finding::Severity::warning); }
  std::string errors() { return findings(Finding::Severity::error); }

  Network network_ = test::toy_network();
  Dataset data_ = test::toy_dataset(network_, 200);
  test::CountingBackend backend_;
  CertifySettings settings_;
  std::vector<std::uint32_t> indices_;
};

TEST_F(Preflight, NothingToSayButTheCeiling) {
  EXPECT_EQ(errors(), "");
  // 1000 of 1000 at α = 0.001: p = 0.001^(1/1000), radius 0.25·Φ⁻¹(p) = 0.615…
  EXPECT_THAT(findings(Finding::Severity::note) + warnings(),
              HasSubstr("no radius above 0.615 can be certified"));
}

TEST_F(Preflight, SigmaAndClampAgainstTraining) {
  EXPECT_THAT(warnings(), Not(HasSubstr("was trained")));
  settings_.sigma = 0.5;
  EXPECT_THAT(warnings(), HasSubstr("trained with sigma 0.25 and is certified at 0.5"));
  settings_.sigma = 0.25;
  settings_.clamp = false;
  EXPECT_THAT(warnings(), HasSubstr("trained with clamping noisy pixels to [0,1] and is certified "
                                    "without it"));
  network_.record.sigma = 0;
  network_.record.regime = "normal";
  EXPECT_THAT(warnings(), HasSubstr("trained without noise (normal)"));
}

TEST_F(Preflight, ModelAtChanceIsAnError) {
  std::mt19937 random(3);
  for (auto& label : data_.labels) label = static_cast<Label>(random() % 3);
  EXPECT_THAT(errors(), HasSubstr("is at chance on clean images"));
}

TEST_F(Preflight, MissingNormalisationIsNamed) {
  // Labels are what the model says of standardised inputs: it was made for those.
  data_ = test::toy_dataset(network_, 200);
  const auto model = backend_.load(network_);
  for (std::size_t i = 0; i < data_.size(); ++i) {
    std::vector<float> input, logits(3);
    for (const std::uint8_t v : data_.image(i)) {
      input.push_back((static_cast<float>(v) / 255.0f - 0.5f) / 0.289f);
    }
    model->forward(input, logits);
    data_.labels[i] =
        static_cast<std::uint8_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  }
  EXPECT_THAT(warnings() + errors(), HasSubstr("a normalize layer seems to be missing"));
}

TEST_F(Preflight, SaturationIsSaid) {
  network_.tensors.at("fc1.weight").data.assign(48, 0.0f);
  network_.tensors.at("fc1.bias").data = {0, 1, 0};
  for (std::size_t i = 0; i < data_.size(); i += 2) data_.labels[i] = 1;  // not at chance
  EXPECT_THAT(warnings(), HasSubstr("the votes of 32 in 32 pilot images are unanimous and may "
                                    "reach it: a larger n would certify larger radii"));
}

// ---- running ---------------------------------------------------------------------------------

class SweepRunTest : public testing::Test {
 protected:
  SweepRunTest() {
    spec_ = parse(R"({"models": ["one", "two"], "sigma": [0.25, 0.5], "n0": 50, "n": [400, 90000],
                      "alpha": [0.001, 0.05], "subset": {"skip": 4}})");
  }
  static Network load(const SweepModel& model) {
    return test::toy_network(model.name == "one" ? 1 : 2);
  }

  void sweep(ResultsStore& store, SweepOptions options = {}, std::stop_token stop = {}) {
    SweepObserver observer;
    observer.say = [this](std::string_view line) { said_.emplace_back(line); };
    observer.on_progress = [this](const SweepProgress& p) { last_ = p; };
    run_sweep(spec_, store, backend_, data_, load, options, observer, std::move(stop));
  }
  std::unique_ptr<ResultsStore> open(const std::string& name) {
    return ResultsStore::open(folder_.path(name), Access::read_write);
  }

  TemporaryFolder folder_;
  SweepSpec spec_;
  Dataset data_ = test::toy_dataset(test::toy_network(1));
  test::CountingBackend backend_;
  std::vector<std::string> said_;
  SweepProgress last_;
  SweepOptions quiet_{{}, false, false, false, 0.01};
};

TEST_F(SweepRunTest, SaysThePlanAndFillsTheStore) {
  auto store = open("a.db");
  SweepOptions options;
  options.calibration_seconds = 0.01;
  options.force = true;  // "two" does not know these labels
  sweep(*store, options);
  EXPECT_EQ(said_.front(), "sweep: 2 models, 16 runs of 10 images, 160 certificates");
  EXPECT_THAT(said_, Contains(HasSubstr("sweep: 3620000 samples to draw, expected time")));
  EXPECT_THAT(said_, Contains(HasSubstr("error: model 'two' is at chance")));
  EXPECT_THAT(said_,
              Contains(HasSubstr("16/16 two sigma 0.5 n0 50 n 90000 alpha 0.05 seed 0: ACR")));
  EXPECT_EQ(store->runs().size(), 16u);
  EXPECT_EQ(last_.images_done, 160u);
  EXPECT_EQ(last_.images_total, 160u);
  EXPECT_EQ(last_.samples_done, 3620000u);
  for (const RunInfo& run : store->runs()) EXPECT_EQ(store->certificates(run.id).size(), 10u);
  backend_.reset();
  said_.clear();
  sweep(*store, quiet_);
  EXPECT_EQ(backend_.samples(), 0u);
  EXPECT_THAT(said_, Contains(HasSubstr("sweep: 0 samples to draw")));
}

TEST_F(SweepRunTest, PreflightErrorsStopItBeforeAnythingIsWritten) {
  auto store = open("a.db");
  EXPECT_THAT(error_of([&] { sweep(*store); }), HasSubstr("--force"));
  EXPECT_TRUE(store->runs().empty());
  spec_.models.resize(1);
  SweepOptions plan_only;
  plan_only.plan_only = true;
  sweep(*store, plan_only);
  EXPECT_TRUE(store->runs().empty());
  data_.shape = {1, 2, 8};
  EXPECT_THAT(error_of([&] { sweep(*store); }),
              HasSubstr("model 'one' takes 1x4x4 images of 3 classes, toy has 1x2x8 of 3"));
}

TEST_F(SweepRunTest, ShardsMergeIntoTheWhole) {
  auto whole = open("whole.db");
  sweep(*whole, quiet_);
  std::vector<std::filesystem::path> parts;
  for (std::uint32_t part = 1; part <= 3; ++part) {
    const std::string name = "part" + std::to_string(part);
    auto store = open(name);
    quiet_.shard = {part, 3};
    sweep(*store, quiet_);
    parts.push_back(folder_.path(name));
  }
  merge_stores(folder_.path("merged.db"), parts);
  EXPECT_EQ(open("merged.db")->canonical_dump(), whole->canonical_dump());
}

TEST_F(SweepRunTest, AHundredKillsGiveTheSameStore) {
  auto whole = open("whole.db");
  sweep(*whole, quiet_);
  const std::string expected = whole->canonical_dump();
  whole.reset();
  std::mt19937 random(6);
  int killed = 0, within_an_image = 0;
  for (int attempt = 0; killed < 100 && attempt < 1000; ++attempt) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto store = open("killed.db");
      sweep(*store, quiet_);
      _exit(0);
    }
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 100000));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (!WIFSIGNALED(status)) {  // it ended before: from the beginning
      for (const char* suffix : {"", "-wal", "-shm"})
        std::filesystem::remove(folder_.path(std::string("killed.db") + suffix));
      continue;
    }
    ++killed;
    auto store = open("killed.db");
    for (const RunInfo& run : store->runs())
      within_an_image += store->chunks(run.id).empty() ? 0 : 1;
  }
  EXPECT_EQ(killed, 100);
  EXPECT_GT(within_an_image, 0);
  auto store = open("killed.db");
  sweep(*store, quiet_);
  EXPECT_EQ(store->canonical_dump(), expected);
}

TEST_F(SweepRunTest, StopThenContinue) {
  auto store = open("a.db");
  std::stop_source source;
  source.request_stop();
  EXPECT_THROW(sweep(*store, quiet_, source.get_token()), Interrupted);
  sweep(*store, quiet_);
  EXPECT_EQ(store->runs().size(), 16u);
}

}  // namespace
}  // namespace smoothcert
