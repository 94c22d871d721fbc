// From raw pixels and labels, whatever file they came from, to a checked Dataset.
#include "data/labelled.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "smoothcert/error.hpp"
#include "util/sha256.hpp"

namespace smoothcert {
namespace {
// Keeps every later product of sizes far from overflow; no image classifier here is near it.
constexpr std::uint64_t kMostPixels = std::uint64_t{1} << 24;
constexpr std::uint64_t kMostImages = std::uint64_t{1} << 31;
}  // namespace

Dataset labelled(LabelledImages images, int classes) {
  if (classes == 0) {  // a set may lack its last classes, but ten are what most sets have
    const auto top = std::max_element(images.labels.begin(), images.labels.end());
    classes = std::max(10, top == images.labels.end() ? 0 : *top + 1);
  }
  if (classes < 2 || classes > kLargestLabel + 1)
    throw UsageError(fmt::format("{} classes; expected 2 to {}", classes, kLargestLabel + 1));
  if (images.channels > kMostPixels || images.height > kMostPixels || images.width > kMostPixels ||
      images.channels * images.height > kMostPixels ||
      images.channels * images.height * images.width > kMostPixels) {
    throw Error(fmt::format("{}: images of {}×{}×{}; expected at most {} values an image",
                            images.images_where, images.channels, images.height, images.width,
                            kMostPixels));
  }
  if (images.count == 0 || images.count >= kMostImages) {
    throw Error(fmt::format("{}: {} images; expected between 1 and {}", images.images_where,
                            images.count, kMostImages - 1));
  }
  if (images.labels.size() != images.count) {
    throw Error(
        fmt::format("{}: {} labels, but {} holds {} images; the two files must belong "
                    "together",
                    images.labels_where, images.labels.size(), images.images_where, images.count));
  }
  const auto bad = std::find_if(images.labels.begin(), images.labels.end(),
                                [&](Label label) { return label >= classes; });
  if (bad != images.labels.end()) {
    throw Error(
        fmt::format("{}: label {} at index {}, expected 0 to {}; check the file and the "
                    "number of classes",
                    images.labels_where, *bad, bad - images.labels.begin(), classes - 1));
  }
  Dataset data;
  data.shape = {static_cast<int>(images.channels), static_cast<int>(images.height),
                static_cast<int>(images.width)};
  if (images.pixels.size() != images.count * data.shape.size()) {
    throw Error(fmt::format("{}: {} bytes of pixels, expected {} × {}", images.images_where,
                            images.pixels.size(), images.count, data.shape.size()));
  }
  data.classes = classes;
  data.pixels = std::move(images.pixels);
  data.labels = std::move(images.labels);
  data.sha256 = dataset_hash(data);
  return data;
}

std::string dataset_hash(const Dataset& data) {
  Sha256 hash;
  hash.update(fmt::format("smoothcert data set: {}x{}x{}, {} classes, {} images\n",
                          data.shape.channels, data.shape.height, data.shape.width, data.classes,
                          data.size()));
  // A label is one byte where that is enough, as it was when more were not possible; else two,
  // little-endian.
  std::vector<std::uint8_t> labels;
  for (const Label label : data.labels) {
    labels.push_back(static_cast<std::uint8_t>(label & 0xff));
    if (data.classes > 256) labels.push_back(static_cast<std::uint8_t>(label >> 8));
  }
  hash.update(std::span<const std::uint8_t>(labels));
  hash.update(std::span<const std::uint8_t>(data.pixels));
  return hash.hex();
}

}  // namespace smoothcert
