// measure_votes and measure_attack, and the program's `bench`.
#include "smoothcert/throughput.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "fake_model_support.hpp"
#include "linear_model_support.hpp"
#include "places_support.hpp"

namespace smoothcert::test {
namespace {

const ImageShape kShape{1, 2, 2};

VoteSettings gaussian_votes() {
  VoteSettings votes;
  votes.noise.law = NoiseLaw::gaussian;
  return votes;
}

TEST(Throughput, MiddleAndEnds) {
  const Throughput odd{"", {5, 1, 3}}, even{"", {4, 1, 3, 2}};
  EXPECT_EQ(odd.median(), 3);
  EXPECT_EQ(even.median(), 2.5);
  EXPECT_EQ(odd.lowest(), 1);
  EXPECT_EQ(odd.highest(), 5);
}

TEST(Throughput, SpreadAndDriftAreOfTheMeasurementsInTheirOrder) {
  const Throughput steady{"", {100, 101, 99, 100, 100}};
  EXPECT_DOUBLE_EQ(steady.spread(), 0.0);  // of the quartiles: one outlier at either end is none
  EXPECT_DOUBLE_EQ((Throughput{"", {90, 100, 110}}.spread()), 0.2);
  EXPECT_DOUBLE_EQ((Throughput{"", {100, 100, 80, 80}}.drift()), -0.2);
  EXPECT_DOUBLE_EQ((Throughput{"", {80, 80, 100, 100}}.drift()), 0.25);
  EXPECT_EQ((Throughput{"", {100, 50, 10}}.drift()), 0);
}

// Until the spread is below the limit, or there are as many as are allowed.
TEST(Throughput, GoesOnWhileMeasurementsSpread) {
  FakeModel model(kShape, 2, [](std::span<const float>) { return 0; });
  ThroughputSettings settings{2, 0.002};
  settings.most = 7;
  settings.spread = 1e-300;  // never reached but by equal times
  EXPECT_EQ(measure_votes(model, gaussian_votes(), settings).rates.size(), 7u);
  settings.spread = 1e300;
  EXPECT_EQ(measure_votes(model, gaussian_votes(), settings).rates.size(), 2u);
  settings.spread = 0;
  EXPECT_THROW(measure_votes(model, gaussian_votes(), settings), UsageError);
}

TEST(Throughput, VotesAreTimedAfterAWarmUp) {
  FakeModel model(kShape, 2, [](std::span<const float>) { return 0; });
  // At most so many jobs a second, whatever the machine.
  const auto pause = std::chrono::milliseconds(1);
  model.before_job = [&](std::size_t) { std::this_thread::sleep_for(pause); };
  std::vector<int> seen;
  const auto speed =
      measure_votes(model, gaussian_votes(), {3, 0.05}, [&](int done) { seen.push_back(done); });
  EXPECT_EQ(speed.path, "fake");
  ASSERT_EQ(speed.rates.size(), 3u);
  EXPECT_THAT(seen, testing::ElementsAre(0, 0, 1, 2));
  ASSERT_GT(model.jobs_seen.size(), 3u);  // the warm-up is not among the measurements
  // Jobs of a measurement are of one size, and each took a pause.
  const VoteJob& last = model.jobs_seen.back();
  EXPECT_LE(speed.rates.back(), static_cast<double>(last.last - last.first) / 0.001);
  EXPECT_GE(last.last - last.first, 64u);  // fewer would leave vectors of samples empty
  EXPECT_GT(speed.lowest(), 0);
}

TEST(Throughput, LostVotesAreNoThroughput) {
  FakeModel model(kShape, 2, [](std::span<const float>) { return 0; });
  model.tamper = [](VoteResult& result) { result.counts[0] -= 1; };
  EXPECT_THROW(measure_votes(model, gaussian_votes(), {1, 0.01}, {}), Error);
}

TEST(Throughput, AttacksCountEveryImage) {
  LinearModel model(kShape, 2, {1, 0, 0, 0, 0, 1, 0, 0}, {0, 0});
  model.pause = std::chrono::milliseconds(2);
  const auto speed = measure_attack(model, attack_from_name("l2"), {2, 0.01}, {});
  EXPECT_EQ(speed.path, "l2");
  EXPECT_EQ(speed.rates.size(), 2u);
  EXPECT_EQ(model.largest_batch, 1000u);
  // A call takes two milliseconds or more and attacks a thousand images: no rate is above that,
  // however busy the machine is.
  for (const double rate : speed.rates) {
    EXPECT_GT(rate, 0);
    EXPECT_LE(rate, 1000 / 0.002);
  }
}

TEST(Throughput, StopsAndRefuses) {
  FakeModel model(kShape, 2, [](std::span<const float>) { return 0; });
  std::stop_source source;
  source.request_stop();
  EXPECT_THROW(measure_votes(model, gaussian_votes(), {1, 0.01}, {}, source.get_token()),
               Interrupted);
  EXPECT_THROW(measure_votes(model, gaussian_votes(), {0, 0.01}, {}), UsageError);
  EXPECT_THROW(measure_votes(model, gaussian_votes(), {1, 0}, {}), UsageError);
  EXPECT_THROW(measure_votes(model, gaussian_votes(), {1, NAN}, {}), UsageError);
}

class BenchCommand : public testing::Test {
 protected:
  void SetUp() override {
    if (program().empty()) GTEST_SKIP() << "the program is not built";
  }
  /// stdout and stderr of `smoothcert bench ARGUMENTS`, and the exit code.
  static std::pair<int, std::string> bench(const std::string& arguments) {
    FILE* pipe = popen((program().string() + " bench " + arguments + " 2>&1").c_str(), "r");
    std::string text;
    for (int c; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
    return {WEXITSTATUS(pclose(pipe)), text};
  }
};

TEST_F(BenchCommand, JsonHasEveryPathOnce) {
  const auto [code, text] =
      bench("convnn --device cpu --seconds 0.01 --repeats 2 --spread 1000 --json --quiet");
  ASSERT_EQ(code, 0) << text;
  const auto json = nlohmann::json::parse(text);
  EXPECT_EQ(json["network"], "convnn");
  std::vector<std::string> rows;
  for (const auto& row : json["results"]) {
    rows.push_back(row["what"].get<std::string>() + " " + row.value("noise", "") + " " +
                   row.value("mode", ""));
    EXPECT_EQ(row["rates"].size(), 2u);
    EXPECT_GT(row["median"].get<double>(), 0);
    EXPECT_LE(row["lowest"].get<double>(), row["highest"].get<double>());
  }
  // The CPU has one way for both modes.
  EXPECT_THAT(rows, testing::ElementsAre("certify lattice exact,fast",
                                         "certify gaussian exact,fast", "attack  ", "attack  "));
}

// What makes a median doubtful is said beside it, not in it.
TEST_F(BenchCommand, UnsteadyRatesAreNamed) {
  const auto [code, text] = bench(
      "mlp --device cpu --seconds 0.001 --repeats 4 --most 4 --spread 1e-9 --noise lattice "
      "--attack none");
  ASSERT_EQ(code, 0) << text;
  EXPECT_THAT(text, testing::HasSubstr("4 measurements of this are "));
  EXPECT_THAT(text, testing::HasSubstr("% apart between the quartiles"));
}

TEST_F(BenchCommand, TableNamesNetworkDeviceAndPath) {
  const auto [code, text] =
      bench("mlp --device cpu --seconds 0.01 --repeats 1 --noise lattice --attack none");
  ASSERT_EQ(code, 0) << text;
  EXPECT_THAT(text, testing::HasSubstr("mlp on cpu"));
  EXPECT_THAT(text, testing::HasSubstr("cpu exact"));
  EXPECT_THAT(text, testing::Not(testing::HasSubstr("gaussian")));
}

TEST_F(BenchCommand, RefusesInOneLine) {
  for (const std::string bad :
       {"convn", "--noise latice", "--mode quick", "--attack l3", "--sigma 0", "--seconds 0",
        "--repeats 0", "--spread 0", "--most 1"}) {
    const auto [code, text] = bench(bad + " --device cpu --quiet");
    EXPECT_EQ(code, 2) << bad << ": " << text;
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
  EXPECT_THAT(bench("convn --quiet").second, testing::HasSubstr("convnn"));
}

}  // namespace
}  // namespace smoothcert::test
