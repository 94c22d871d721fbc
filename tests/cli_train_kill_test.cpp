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
  const auto whole = run(kTrain + " -o whole.safetensors");
  ASSERT_EQ(whole.code, 0) << whole.err;
  std::mt19937 random(1);
  int killed = 0;
  for (int i = 0; i < 10; ++i) {
    test::RunningProgram program(
        path(), {"train", "smoothing", "--data", "digits", "--digits-size", "600,20", "--epochs",
                 "60", "--threads", "1", "--seed", "3", "-o", "a.safetensors"});
    const double after = whole.seconds * 0.3 * static_cast<double>(random() % 1000) / 1000;
    std::this_thread::sleep_for(std::chrono::duration<double>(after));
    program.send(SIGKILL);
    killed += program.wait().signal == SIGKILL ? 1 : 0;
  }
  EXPECT_GE(killed, 3);
  const auto rest = run(kTrain + " -o a.safetensors");
  EXPECT_EQ(rest.code, 0) << rest.err;
  EXPECT_EQ(bytes("a.safetensors"), bytes("whole.safetensors"));
  EXPECT_FALSE(there("a.safetensors.resume"));
}

}  // namespace
}  // namespace smoothcert
