// Where the tests find the checkout and the program under test.
#pragma once

#include <filesystem>

namespace smoothcert::test {

/// Root of the source tree.
std::filesystem::path source_folder();

/// The built command-line program; empty in a build without it.
std::filesystem::path program();

}  // namespace smoothcert::test
