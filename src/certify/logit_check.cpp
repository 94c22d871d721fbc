// Whether a model that others trained was read right: its logits here against those of the
// original.
#include "smoothcert/logit_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "data/npy.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/half.hpp"

namespace smoothcert {
namespace {

double element(const NpyArray& array, std::size_t i) {
  const auto as = [&](auto value) {
    std::memcpy(&value, array.data.data() + i * sizeof value, sizeof value);
    return value;
  };
  if (array.width == 8) return as(double{});
  return array.width == 4 ? double{as(float{})} : double{half_to_float(as(std::uint16_t{}))};
}

/// The floating-point values of a .npy of this shape; the first extent is free.
std::vector<double> values_of(const std::filesystem::path& file,
                              const std::vector<std::uint64_t>& rest, const char* what) {
  const NpyArray array = parse_npy(read_file(file), file.string());
  const bool fits = array.kind == 'f' && array.shape.size() == rest.size() + 1 &&
                    std::equal(rest.begin(), rest.end(), array.shape.begin() + 1);
  if (!fits)
    throw Error(fmt::format("{}: {} of {} with shape [{}], expected floating-point N × {}",
                            file.string(), what, dtype_name(array), fmt::join(array.shape, ", "),
                            fmt::join(rest, " × ")));
  std::vector<double> values(array.elements());
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = element(array, i);
  return values;
}

std::size_t argmax(std::span<const double> row) {
  return static_cast<std::size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

}  // namespace

LogitCheck check_logits(BackendModel& model, const std::filesystem::path& inputs,
                        const std::filesystem::path& logits) {
  const NetworkSpec& spec = model.spec();
  const auto extent = [](int v) { return static_cast<std::uint64_t>(v); };
  const auto pixels = values_of(
      inputs, {extent(spec.input.channels), extent(spec.input.height), extent(spec.input.width)},
      "inputs");
  const auto theirs = values_of(logits, {extent(spec.classes)}, "logits");
  const std::size_t size = spec.input.size(), classes = static_cast<std::size_t>(spec.classes);
  LogitCheck check;
  check.inputs = pixels.size() / size;
  if (check.inputs == 0) throw Error(inputs.string() + ": no inputs");
  if (theirs.size() / classes != check.inputs)
    throw Error(fmt::format("{}: {} rows of logits for {} inputs", logits.string(),
                            theirs.size() / classes, check.inputs));
  for (std::size_t i = 0; i < pixels.size(); ++i)
    if (!(pixels[i] >= 0 && pixels[i] <= 1))
      throw Error(
          fmt::format("{}: input {} has the value {}; expected [0, 1], before any normalisation",
                      inputs.string(), i / size, pixels[i]));
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    if (!std::isfinite(theirs[i]))
      throw Error(
          fmt::format("{}: row {} has the logit {}", logits.string(), i / classes, theirs[i]));
    check.largest_logit = std::max(check.largest_logit, std::fabs(theirs[i]));
  }
  if (check.largest_logit == 0) throw Error(logits.string() + ": every logit is 0");

  std::vector<float> images(pixels.begin(), pixels.end()), ours(theirs.size());
  model.forward(images, ours);
  for (std::size_t n = 0; n < check.inputs; ++n) {
    std::vector<double> row(ours.begin() + static_cast<std::ptrdiff_t>(n * classes),
                            ours.begin() + static_cast<std::ptrdiff_t>((n + 1) * classes));
    const std::span<const double> want(theirs.data() + n * classes, classes);
    if (argmax(row) == argmax(want)) ++check.same_class;
    for (std::size_t c = 0; c < classes; ++c) {
      const double difference = std::fabs(row[c] - want[c]);
      if (difference <= check.largest_difference) continue;  // a NaN of ours is the largest
      check.largest_difference = std::isnan(difference) ? INFINITY : difference;
      check.input = n;
      check.logit = c;
    }
  }
  return check;
}

}  // namespace smoothcert
