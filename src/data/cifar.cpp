// CIFAR-10 and CIFAR-100 in their authors' binary version (cs.toronto.edu/~kriz/cifar.html).
#include "data/cifar.hpp"

#include <fmt/format.h>

#include <utility>

#include "checkpoint/pickle.hpp"
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

void append_cifar_python(LabelledImages& images, std::span<const std::uint8_t> bytes, int classes,
                         const std::string& where) {
  using Kind = PickleValue::Kind;
  constexpr std::int64_t kPixels = 3072;
  const Pickle pickle = parse_pickle(bytes, where);
  const PickleValue& root = pickle.at(pickle.root);
  const PickleValue* data = pickle.find(root, "data");
  const PickleValue* labels = pickle.find(root, classes == 10 ? "labels" : "fine_labels");
  if (data == nullptr || labels == nullptr || data->kind != Kind::array ||
      labels->kind != Kind::list)
    throw Error(
        fmt::format("{}: a pickle, but not of CIFAR-{}: expected a dict of 'data', an array, "
                    "and '{}', a list",
                    where, classes, classes == 10 ? "labels" : "fine_labels"));
  const std::string& pixels = pickle.at(data->items.empty() ? pickle.root : data->items[0]).text;
  if (data->shape.size() != 2 || data->shape[1] != kPixels || !data->dtype.ends_with("u1") ||
      data->integer != 0 || data->shape[0] != static_cast<std::int64_t>(labels->items.size()) ||
      pixels.size() != labels->items.size() * static_cast<std::size_t>(kPixels))
    throw Error(fmt::format("{}: its 'data' is not a row of {} bytes for each of its {} labels",
                            where, kPixels, labels->items.size()));
  for (const ValueId id : labels->items) {
    const PickleValue& label = pickle.at(id);
    if (label.kind != Kind::integer || label.integer < 0 || label.integer >= classes)
      throw Error(fmt::format("{}: a label that is not 0 to {}", where, classes - 1));
    images.labels.push_back(static_cast<Label>(label.integer));
  }
  images.pixels.insert(images.pixels.end(), pixels.begin(), pixels.end());
  images.count = images.labels.size();
}

std::optional<Dataset> read_cifar_python_split(const fs::path& dir, const std::string& split,
                                               int classes) {
  std::vector<std::string> names;
  if (classes == 100) {
    names = {split};
  } else if (split == "test") {
    names = {"test_batch"};
  } else {
    for (int i = 1; i <= 5; ++i) names.push_back(fmt::format("data_batch_{}", i));
  }
  std::error_code ignored;
  if (!fs::is_regular_file(dir / names[0], ignored)) return std::nullopt;
  const std::string where = (dir / names[0]).string();
  LabelledImages images{3, 32, 32, 0, {}, where, {}, where};
  for (const std::string& name : names)
    append_cifar_python(images, read_file(dir / name), classes, (dir / name).string());
  return labelled(std::move(images), classes);
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
