#include "data/cifar.hpp"

#include <fmt/format.h>

#include <utility>

#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert {

namespace fs = std::filesystem;

void append_cifar(LabelledImages& images, std::span<const std::uint8_t> bytes, int classes,
                  const std::string& where) {
  constexpr std::size_t kPixels = 3072;
  const std::size_t labels = classes == 10 ? 1 : 2, record = labels + kPixels;
  if (bytes.empty() || bytes.size() % record != 0)
    throw Error(
        fmt::format("{}: {} bytes, which is no whole number of CIFAR-{} records of {}; "
                    "fetch the binary version again",
                    where, bytes.size(), classes, record));
  for (std::size_t at = 0; at < bytes.size(); at += record) {
    images.labels.push_back(bytes[at + labels - 1]);
    const auto pixels = bytes.subspan(at + labels, kPixels);
    images.pixels.insert(images.pixels.end(), pixels.begin(), pixels.end());
  }
  images.count = images.labels.size();
}

std::optional<Dataset> read_cifar_split(const fs::path& dir, const std::string& split,
                                        int classes) {
  std::vector<std::string> names;
  if (classes == 100) {
    names = {split + ".bin"};
  } else if (split == "test") {
    names = {"test_batch.bin"};
  } else {
    for (int i = 1; i <= 5; ++i) names.push_back(fmt::format("data_batch_{}.bin", i));
  }
  std::error_code ignored;
  if (!fs::is_regular_file(dir / names[0], ignored)) return std::nullopt;
  LabelledImages images{3, 32, 32, 0, {}, (dir / names[0]).string(), {}, (dir / names[0]).string()};
  for (const std::string& name : names)
    append_cifar(images, read_file(dir / name), classes, (dir / name).string());
  return labelled(std::move(images), classes);
}

}  // namespace smoothcert
