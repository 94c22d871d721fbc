// The program under test here is the one on simulated GPUs.
#include "places_support.hpp"

namespace smoothcert::test {

std::filesystem::path source_folder() { return SMOOTHCERT_SOURCE_DIR; }
std::filesystem::path program() {
#ifdef SMOOTHCERT_SIMULATED_CLI
  return SMOOTHCERT_SIMULATED_CLI;
#else
  return {};
#endif
}

}  // namespace smoothcert::test
