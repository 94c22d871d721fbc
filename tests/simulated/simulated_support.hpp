// Tests on simulated GPUs: a fresh machine for each, and nothing left behind by any.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "gpu_support.hpp"
#include "machine.hpp"

namespace smoothcert::simulated_test {

/// One way through the backend: which network, mode and GPU take it.
struct Path {
  std::string name;  ///< of the test
  std::string network;
  Mode mode = Mode::exact;
  int major = 9, minor = 0;
  std::string kernel;  ///< within describe_votes()
  std::size_t samples = 0;
  std::size_t shared = 232448;  ///< bytes a block of the GPU may have
  [[nodiscard]] simulated::Gpu gpu() const;
};
inline void PrintTo(const Path& path, std::ostream* out) { *out << path.name; }
/// All of them.
const std::vector<Path>& paths();

/// A machine of so many of the path's GPUs.
simulated::Machine machine_of(const Path& path, std::size_t gpus, simulated::Order order,
                              std::uint64_t seed = 1);

/// What is certified on a path: a network with its initial weights and a few jobs.
struct Workload {
  explicit Workload(const Path& path);
  Network net;
  Dataset data;
  VoteSettings settings;
  std::vector<VoteJob> jobs;
  /// Votes by job on the machine as it is.
  std::vector<VoteResult> count() const;
};

using gpu_test::expect_equal;

/// Every test begins with one GPU of compute capability 9.0 and ends with nothing left alive.
class SimulatedTest : public ::testing::Test {
 protected:
  void SetUp() override { simulated::set_machine({}); }
  void TearDown() override { expect_nothing_left("at the end"); }
  static void expect_nothing_left(const std::string& when);
};

}  // namespace smoothcert::simulated_test
