// Images and labels from NumPy arrays.
#include "data/numpy_set.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <utility>

#include "data/labelled.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/half.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;

template <class T>
T element(const NpyArray& array, std::uint64_t i) {
  T value;
  std::memcpy(&value, array.data.data() + i * sizeof(T), sizeof(T));
  return value;
}

double real(const NpyArray& array, std::uint64_t i) {
  if (array.width == 8) return element<double>(array, i);
  return array.width == 4 ? static_cast<double>(element<float>(array, i))
                          : static_cast<double>(half_to_float(element<std::uint16_t>(array, i)));
}

/// Element i of an array of integers or booleans; nothing where it does not fit 64 signed bits.
std::optional<std::int64_t> whole(const NpyArray& array, std::uint64_t i) {
  const std::uint8_t* at = array.data.data() + i * static_cast<std::uint64_t>(array.width);
  std::uint64_t bits = 0;
  for (int b = array.width; b-- > 0;) bits = bits << 8 | at[b];
  const int size = 8 * array.width;
  const bool top = (bits >> (size - 1) & 1) != 0;
  if (array.kind == 'i' && top && size < 64) bits |= ~std::uint64_t{0} << size;
  if (array.kind == 'u' && size == 64 && top) return std::nullopt;
  return static_cast<std::int64_t>(bits);
}

/// 8-bit pixels in the array's own order; `rounded` tells whether any was off the lattice.
std::vector<std::uint8_t> pixels_of(const NpyArray& array, const std::string& where,
                                    bool round_to_lattice, bool& rounded) {
  if (array.kind == 'u' && array.width == 1) return array.data;
  std::vector<std::uint8_t> pixels(array.elements());
  if (array.kind == 'b')
    throw Error(fmt::format("{}: images of bool; say what true is: 255 or 1 as uint8", where));
  if (array.kind != 'f') {
    for (std::uint64_t i = 0; i < pixels.size(); ++i) {
      const auto value = whole(array, i);
      if (!value || *value < 0 || *value > 255)
        throw Error(fmt::format("{}: images of {} with the value {} at index {}, expected 0 to 255",
                                where, dtype_name(array),
                                value ? std::to_string(*value) : "above 2^63", i));
      pixels[i] = static_cast<std::uint8_t>(*value);
    }
    return pixels;
  }
  // float16 holds n/255 to 2^-12 only; what is off by less is its own rounding, not the data's.
  const double own = array.width == 2 ? 255.0 / 2048 : 1e-3;
  double farthest = 0;
  std::uint64_t where_farthest = 0;
  for (std::uint64_t i = 0; i < pixels.size(); ++i) {
    const double value = real(array, i);
    const double nearest = std::nearbyint(value * 255);
    if (!(nearest >= 0 && nearest <= 255))
      throw Error(
          fmt::format("{}: value {} at index {}, expected [0,1]; divide by 255, and leave "
                      "normalisation to the network",
                      where, value, i));
    if (const double off = std::abs(value * 255 - nearest); off > farthest) {
      farthest = off;
      where_farthest = i;
    }
    pixels[i] = static_cast<std::uint8_t>(nearest);
  }
  rounded = farthest > own;
  if (rounded && !round_to_lattice)
    throw Error(fmt::format(
        "{}: images of {} that are not multiples of 1/255 (off by up to {:.3g} of a step, at index "
        "{}), which lattice noise cannot certify as they are; --round rounds them (the result says "
        "so)",
        where, dtype_name(array), farthest, where_farthest));
  return pixels;
}

std::vector<Label> labels_of(const NpyArray& array, const std::string& where) {
  const bool column = array.shape.size() == 2 && array.shape[1] == 1;
  if (array.shape.size() != 1 && !column)
    throw Error(
        fmt::format("{}: labels of shape [{}], expected [N]", where, fmt::join(array.shape, ", ")));
  if (array.kind != 'u' && array.kind != 'i')
    throw Error(fmt::format("{}: labels of {}, expected integers", where, dtype_name(array)));
  std::vector<Label> labels(array.elements());
  for (std::uint64_t i = 0; i < labels.size(); ++i) {
    const auto value = whole(array, i);
    if (!value || *value < 0 || *value > kLargestLabel)
      throw Error(fmt::format("{}: the label at index {} is negative or above {}", where, i,
                              kLargestLabel));
    labels[i] = static_cast<Label>(*value);
  }
  return labels;
}

/// N×H×W×C → N×C×H×W.
std::vector<std::uint8_t> channels_first(const std::vector<std::uint8_t>& pixels,
                                         std::uint64_t plane, std::uint64_t channels) {
  std::vector<std::uint8_t> out(pixels.size());
  const std::uint64_t image = plane * channels;
  for (std::uint64_t first = 0; first < pixels.size(); first += image)
    for (std::uint64_t p = 0; p < plane; ++p)
      for (std::uint64_t c = 0; c < channels; ++c)
        out[first + c * plane + p] = pixels[first + p * channels + c];
  return out;
}

const NpyArray* first_of(const std::map<std::string, NpyArray>& arrays,
                         std::initializer_list<std::string> names) {
  for (const std::string& name : names)
    if (const auto found = arrays.find(name); found != arrays.end()) return &found->second;
  return nullptr;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

}  // namespace

Dataset dataset_from_arrays(const NpyArray& images, const std::string& images_where,
                            const NpyArray& labels, const std::string& labels_where, int classes,
                            bool round_to_lattice) {
  const auto& shape = images.shape;
  if (shape.size() != 3 && shape.size() != 4)
    throw Error(fmt::format("{}: images of shape [{}], expected N×H×W, N×C×H×W or N×H×W×C",
                            images_where, fmt::join(shape, ", ")));
  for (const std::uint64_t extent : shape)
    if (extent == 0)
      throw Error(fmt::format("{}: images of shape [{}], which holds none", images_where,
                              fmt::join(shape, ", ")));
  const bool grey = shape.size() == 3;
  const bool last = !grey && shape[3] < shape[1];
  if (!grey && shape[1] == shape[3] && shape[1] > 1)
    throw Error(
        fmt::format("{}: images of shape [{}]: which dimension is the channels? Save them "
                    "as N×C×H×W with fewer channels than columns, or as IDX",
                    images_where, fmt::join(shape, ", ")));
  const std::uint64_t channels = grey ? 1 : last ? shape[3] : shape[1];
  const std::uint64_t height = grey || last ? shape[1] : shape[2];
  const std::uint64_t width = grey || last ? shape[2] : shape[3];
  bool rounded = false;
  auto pixels = pixels_of(images, images_where, round_to_lattice, rounded);
  if (last && channels > 1) pixels = channels_first(pixels, height * width, channels);
  Dataset data = labelled({channels, height, width, shape[0], std::move(pixels), images_where,
                           labels_of(labels, labels_where), labels_where},
                          classes);
  data.rounded_to_lattice = rounded;
  return data;
}

std::optional<Dataset> read_numpy_split(const fs::path& place, const std::string& split,
                                        int classes, bool round_to_lattice) {
  if (is_file(place) || is_file(place / (split + ".npz"))) {
    const bool both = is_file(place);  // one file for both splits
    const fs::path file = both ? place : place / (split + ".npz");
    const auto arrays = parse_npz(read_file(file),
                                  {"x_" + split, "y_" + split, split + "_images", split + "_labels",
                                   "images", "labels", "x", "y", "arr_0", "arr_1"},
                                  file.string());
    const NpyArray* images = both ? first_of(arrays, {"x_" + split, split + "_images"})
                                  : first_of(arrays, {"images", "x", "x_" + split, "arr_0"});
    const NpyArray* labels = both ? first_of(arrays, {"y_" + split, split + "_labels"})
                                  : first_of(arrays, {"labels", "y", "y_" + split, "arr_1"});
    if (images == nullptr || labels == nullptr)
      throw Error(
          fmt::format("{}: expected arrays {}", file.string(),
                      both ? fmt::format("x_{0} and y_{0}, or {0}_images and {0}_labels", split)
                           : "images and labels (or x and y)"));
    return dataset_from_arrays(*images, file.string(), *labels, file.string() + ", labels", classes,
                               round_to_lattice);
  }
  const fs::path images = place / (split + "-images.npy"), labels = place / (split + "-labels.npy");
  if (!is_file(images) || !is_file(labels)) return std::nullopt;
  return dataset_from_arrays(parse_npy(read_file(images), images.string()), images.string(),
                             parse_npy(read_file(labels), labels.string()), labels.string(),
                             classes, round_to_lattice);
}

}  // namespace smoothcert
