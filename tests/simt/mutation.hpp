// Proof that every barrier of a kernel is needed and that the tests would notice its loss.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine.hpp"

namespace simt {

/// One kernel under mutation: runs it with this configuration's seed and left-out barrier and says
/// whether the result is right. Throwing simt::Error counts as noticed.
struct MutationCase {
  std::string name;
  std::function<bool(const std::string& without_barrier, std::uint64_t seed,
                     std::vector<std::string>* barriers)>
      run;
};

/// Registered by the kernel tests at static initialisation; mutation_test.cpp runs them all.
inline std::vector<MutationCase>& mutation_cases() {
  static std::vector<MutationCase> cases;
  return cases;
}

struct RegisterMutation {
  RegisterMutation(std::string name, decltype(MutationCase::run) run) {
    mutation_cases().push_back({std::move(name), std::move(run)});
  }
};

}  // namespace simt
