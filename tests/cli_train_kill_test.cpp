// A training that is killed ends, by the same command, with the bits of one that is not.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <random>
#include <thread>

#include "cli_support.hpp"
#include "data_support.hpp"
#include "places_support.hpp"

namespace smoothcert {
namespace {

const std::string kTrain =
    "train smoothing --data digits --digits-size 600,20 --epochs 60 --threads 1 --seed 3";
const std::string kResume = "a.safetensors.resume";

class CliTrainKill : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
  }
  [[nodiscard]] std::string bytes(const std::string& name) const {
    return test::file_text(path(name));
  }
  [[nodiscard]] bool there(const std::string& name) const {
    return std::filesystem::exists(path(name));
  }
};

TEST_F(CliTrainKill, GoesOnAfterTenKills) {
  ok(kTrain + " -o whole.safetensors");
  std::mt19937 random(1);
  int killed = 0;
  for (int attempt = 0; killed < 10 && attempt < 50; ++attempt) {
    test::RunningProgram program(
        path(), {"train", "smoothing", "--data", "digits", "--digits-size", "600,20", "--epochs",
                 "60", "--threads", "1", "--seed", "3", "-o", "a.safetensors"});
    // Two in three after an epoch was kept, the others where it goes on from one.
    const std::string before = there(kResume) ? bytes(kResume) : "";
    if (attempt % 3 != 0)
      program.runs_until([&] { return there(kResume) && bytes(kResume) != before; });
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 40));
    program.send(SIGKILL);
    if (program.wait().signal == SIGKILL)
      ++killed;
    else
      remove("a.safetensors");  // it ended by itself: from the beginning
  }
  EXPECT_EQ(killed, 10);
  const auto rest = run(kTrain + " -o a.safetensors");
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(bytes("a.safetensors"), bytes("whole.safetensors"));
  EXPECT_FALSE(there(kResume));
}

}  // namespace
}  // namespace smoothcert
