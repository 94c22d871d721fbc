// A damaged results store, opened for reading.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "fuzz.hpp"
#include "smoothcert/results.hpp"

namespace {

std::filesystem::path scratch_file() {
  const std::filesystem::path memory = "/dev/shm";
  std::error_code absent;
  const auto folder = std::filesystem::is_directory(memory, absent)
                          ? memory
                          : std::filesystem::temp_directory_path();
  return folder / ("smoothcert-fuzz-" + std::to_string(::getpid()) + ".sqlite");
}

/// SQLite wants a real path, with room for its companions beside it.
struct Scratch {
  std::filesystem::path file = scratch_file();
  ~Scratch() {
    for (const char* end : {"", "-wal", "-shm", "-journal"})
      std::filesystem::remove(file.string() + end);
  }
};

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace smoothcert;
  const Scratch scratch;
  std::ofstream(scratch.file, std::ios::binary)
      .write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  fuzz::expect_error_or_success([&] {
    const auto store = ResultsStore::open(scratch.file, ResultsStore::Access::read_only);
    for (const RunInfo& run : store->runs()) {
      fuzz::expect_error_or_success([&] { store->certificates(run.id); });
      fuzz::expect_error_or_success([&] { store->chunks(run.id); });
    }
    for (const auto& key : store->document_keys()) store->document(key);
    store->canonical_dump();
  });
  return 0;
}
