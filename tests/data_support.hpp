// Small data files written by the tests, and where the developer's MNIST is.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "store_support.hpp"

namespace smoothcert::test {

using Bytes = std::vector<std::uint8_t>;

/// Sets an environment variable (or unsets it) until the end of the scope.
class ScopedEnvironment {
 public:
  ScopedEnvironment(std::string name, std::optional<std::string> value);
  ~ScopedEnvironment();
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  std::string name_;
  std::optional<std::string> before_;
};

void write_bytes(const std::filesystem::path& file, std::span<const std::uint8_t> bytes);
Bytes idx_bytes(const std::vector<std::uint32_t>& dims, const Bytes& data);
Bytes gzip(std::span<const std::uint8_t> bytes);

/// Four IDX files of `train` and `test` random-looking images of 1×4×3.
void write_tiny_mnist(const std::filesystem::path& dir, int train = 6, int test = 4,
                      bool packed = false);

/// $SMOOTHCERT_DATA, then ../shared/data/mnist beside the source; nothing where neither has MNIST.
std::optional<std::filesystem::path> mnist_folder();

/// The message of the Error that `action` throws, or "" where it throws none.
template <class Exception, class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Exception& e) {
    return e.what();
  }
  return "";
}

}  // namespace smoothcert::test
