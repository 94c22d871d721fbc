// Stores, settings and certificates for the tests of the results store.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "smoothcert/results.hpp"

namespace smoothcert::test {

/// A folder of its own, removed with everything in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::filesystem::path path(const std::string& name = "") const {
    return name.empty() ? folder_ : folder_ / name;
  }

 private:
  std::filesystem::path folder_;
};

/// σ 0.5, n0 100, n 1000, α 0.001, three classes.
RunSettings sample_settings(const std::string& model = "model");

/// Counts that are a function of the image, and the certificate they give with sample_settings();
/// every fifth image abstains.
Certificate sample_certificate(std::uint32_t image, double seconds = 0.25);
ChunkCounts sample_chunk(std::uint32_t image, std::uint64_t first, std::uint64_t last);

std::string file_text(const std::filesystem::path& file);
void write_text(const std::filesystem::path& file, const std::string& text);

/// The message of the Error that `action` throws; "" when it throws none.
template <class Action>
std::string error_of(Action&& action) {
  try {
    action();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "";
}

}  // namespace smoothcert::test
