// Where the sources and the program are.
#include "places_support.hpp"

namespace smoothcert::test {

std::filesystem::path source_folder() { return SMOOTHCERT_SOURCE_DIR; }

std::filesystem::path program() {
#ifdef SMOOTHCERT_CLI
  return SMOOTHCERT_CLI;
#else
  return {};
#endif
}

}  // namespace smoothcert::test
