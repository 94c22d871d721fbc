// Leaves out one barrier after the other from every kernel and demands that somebody notices: the
// race checker, the result, or the scheduler. A barrier nobody would miss is either superfluous or
// untested; both are errors.
#include "mutation.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>

namespace simt {
namespace {

/// What the kernel headers hold.
struct Found {
  std::set<std::string> barriers;  ///< "file.cuh:12"
  int kernels = 0;
};

Found found_in_source() {
  Found found;
  const std::regex barrier(R"((__sync(threads|warp)\w*|^ .*sync_warpgroup)\()");
  const std::regex kernel(R"(\b__global__\b)");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(SMOOTHCERT_SOURCE_DIR "/cuda")) {
    if (entry.path().extension() != ".cuh") continue;
    std::ifstream in(entry.path());
    std::string line;
    for (int number = 1; std::getline(in, line); ++number) {
      const std::string code = line.substr(0, line.find("//"));
      if (std::regex_search(code, barrier)) {
        found.barriers.insert(entry.path().filename().string() + ":" + std::to_string(number));
      }
      found.kernels += std::regex_search(code, kernel);
    }
  }
  return found;
}

bool passes(const MutationCase& c, const std::string& without, std::uint64_t seed,
            std::vector<std::string>* barriers) {
  try {
    return c.run(without, seed, barriers);
  } catch (const Error&) {
    return false;
  }
}

TEST(Mutation, EveryBarrierOfEveryKernelIsMissed) {
  if (!race_checker_available()) GTEST_SKIP() << "built without access instrumentation";
  // The kernels as of today, so that a walk that goes astray does not pass for want of barriers.
  const Found found = found_in_source();
  ASSERT_GE(found.kernels, 50);
  ASSERT_GE(found.barriers.size(), 20);
  std::set<std::string> noticed;
  for (const MutationCase& c : mutation_cases()) {
    std::vector<std::string> barriers;
    ASSERT_TRUE(c.run("", 1, &barriers)) << c.name << ": wrong even with all its barriers";
    for (const std::string& barrier : barriers) {
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        if (!passes(c, barrier, seed, nullptr)) noticed.insert(barrier);
      }
    }
  }
  for (const std::string& barrier : found.barriers) {
    EXPECT_TRUE(noticed.contains(barrier)) << "nothing fails when " << barrier << " is left out";
  }
}

}  // namespace
}  // namespace simt
