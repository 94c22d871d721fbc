// Data files of the tests: IDX, CIFAR, NumPy, and an environment of their own.
#include "data_support.hpp"

#include <stdlib.h>
#include <zlib.h>

#include <fstream>
#include <stdexcept>
#include <utility>

#include "places_support.hpp"

namespace smoothcert::test {

namespace fs = std::filesystem;

ScopedEnvironment::ScopedEnvironment(std::string name, std::optional<std::string> value)
    : name_(std::move(name)) {
  if (const char* before = std::getenv(name_.c_str())) before_ = before;
  if (value) {
    ::setenv(name_.c_str(), value->c_str(), 1);
  } else {
    ::unsetenv(name_.c_str());
  }
}

ScopedEnvironment::~ScopedEnvironment() {
  if (before_) {
    ::setenv(name_.c_str(), before_->c_str(), 1);
  } else {
    ::unsetenv(name_.c_str());
  }
}

void write_bytes(const fs::path& file, std::span<const std::uint8_t> bytes) {
  std::ofstream out(file, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()),
            static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) throw std::runtime_error("cannot write " + file.string());
}

Bytes idx_bytes(const std::vector<std::uint32_t>& dims, const Bytes& data) {
  Bytes bytes{0, 0, 8, static_cast<std::uint8_t>(dims.size())};
  for (const std::uint32_t d : dims)
    for (int shift = 24; shift >= 0; shift -= 8)
      bytes.push_back(static_cast<std::uint8_t>(d >> shift));
  bytes.insert(bytes.end(), data.begin(), data.end());
  return bytes;
}

Bytes gzip(std::span<const std::uint8_t> bytes) {
  z_stream z{};
  if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  Bytes out(deflateBound(&z, bytes.size()) + 64);
  z.next_in = const_cast<Bytef*>(bytes.data());
  z.avail_in = static_cast<uInt>(bytes.size());
  z.next_out = out.data();
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

void write_tiny_mnist(const fs::path& dir, int train, int test, bool packed) {
  fs::create_directories(dir);
  const auto write = [&](const std::string& name, const Bytes& bytes) {
    packed ? write_bytes(dir / (name + ".gz"), gzip(bytes)) : write_bytes(dir / name, bytes);
  };
  for (const auto& [stem, count] : {std::pair<std::string, int>{"train", train}, {"t10k", test}}) {
    Bytes pixels, labels;
    for (int i = 0; i < count * 12; ++i)
      pixels.push_back(static_cast<std::uint8_t>(i * 37 + count));
    for (int i = 0; i < count; ++i) labels.push_back(static_cast<Label>((i * 7) % 10));
    const auto n = static_cast<std::uint32_t>(count);
    write(stem + "-images-idx3-ubyte", idx_bytes({n, 4, 3}, pixels));
    write(stem + "-labels-idx1-ubyte", idx_bytes({n}, labels));
  }
}

std::optional<fs::path> mnist_folder() {
  std::vector<fs::path> places;
  if (const char* folder = std::getenv("SMOOTHCERT_DATA")) places.emplace_back(folder);
  places.push_back(test::source_folder() / ".." / "shared" / "data" / "mnist");
  for (const fs::path& place : places)
    for (const char* packed : {"", ".gz"})
      if (fs::exists(place / (std::string("t10k-images-idx3-ubyte") + packed))) return place;
  return std::nullopt;
}

}  // namespace smoothcert::test
