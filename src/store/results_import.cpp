// The field's tab-separated result files, read and checked.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <set>
#include <string_view>

#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert {

namespace {

constexpr std::array<std::string_view, 6> kHeader = {"idx",    "label",   "predict",
                                                     "radius", "correct", "time"};
constexpr std::size_t kLimit = std::size_t{256} << 20;

// One line of the file, with what its errors need.
class Line {
 public:
  Line(const std::filesystem::path& file, std::size_t number, std::string_view text, char separator)
      : where_(fmt::format("'{}' line {}", file.string(), number)) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const std::size_t end = text.find(separator);
      const bool last = i + 1 == fields_.size();
      // The last field may hold a comma: "1 day, 2:03:04".
      if (last ? separator == '\t' && end != std::string_view::npos : end == std::string_view::npos)
        fail(fmt::format("expected {} fields separated by {}", fields_.size(),
                         separator == '\t' ? "tabs" : "commas"));
      fields_[i] = text.substr(0, last ? text.size() : end);
      if (!last) text.remove_prefix(end + 1);
    }
  }
  [[nodiscard]] bool is_header() const { return fields_ == kHeader; }

  template <class T>
  [[nodiscard]] T number(std::size_t field, const char* name) const {
    const std::string_view text = fields_[field];
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) {
      fail(fmt::format("{} is '{}'", name, text));
    }
    return value;
  }

  // str(datetime.timedelta): "0:00:12.345678", the fraction left out when it is zero, "1 day, " or
  // "2 days, " before it; or seconds. NaN where it is none of these.
  [[nodiscard]] double seconds(std::size_t field) const {
    constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
    std::string_view text = fields_[field];
    if (text.starts_with('"') && text.ends_with('"') && text.size() >= 2)  // as CSV quotes it
      text = text.substr(1, text.size() - 2);
    const auto plain = [](std::string_view part) {
      double value = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
      const bool whole = error == std::errc() && end == part.data() + part.size() && !part.empty();
      return whole && std::isfinite(value) && value >= 0 ? value : kUnknown;
    };
    double days = 0;
    if (const std::size_t day = text.find(" day"); day != std::string_view::npos) {
      const std::size_t comma = text.find(", ", day);
      if (comma == std::string_view::npos) return kUnknown;
      days = plain(text.substr(0, day));
      text.remove_prefix(comma + 2);
    }
    const std::size_t first = text.find(':'), second = text.rfind(':');
    if (first == std::string_view::npos) return days == 0 ? plain(text) : kUnknown;
    if (first == second) return kUnknown;
    return days * 86400 + plain(text.substr(0, first)) * 3600 +
           plain(text.substr(first + 1, second - first - 1)) * 60 + plain(text.substr(second + 1));
  }

  [[noreturn]] void fail(const std::string& what) const { throw Error(where_ + ": " + what); }

 private:
  std::string where_;
  std::array<std::string_view, 6> fields_;
};

Certificate read_line(const Line& line) {
  Certificate c;
  c.image = line.number<std::uint32_t>(0, "idx");
  c.label = line.number<Label>(1, "label");
  c.prediction = line.number<int>(2, "predict");
  c.radius = line.number<double>(3, "radius");
  c.seconds = line.seconds(5);
  c.selected = c.prediction;
  if (c.prediction < -1) line.fail(fmt::format("predict is {}", c.prediction));
  if (!(c.radius >= 0) || std::isinf(c.radius)) line.fail("the radius is not a finite number >= 0");
  constexpr double kMost = 1e6;  // of pixels in [0,1]; nothing is certified there
  if (c.radius > kMost) line.fail(fmt::format("the radius is {}, in no unit of images", c.radius));
  if (c.prediction == -1 && c.radius != 0) line.fail("an abstention with a radius");
  return c;
}

/// The column `correct`: 0 or 1 as label and predict say, or how many were so far.
class CorrectColumn {
 public:
  void check(const Line& line, const Certificate& c) {
    const auto value = line.number<std::uint64_t>(4, "correct");
    const std::uint64_t is = c.correct() ? 1 : 0;
    // A total may begin anywhere, where a run was continued, but above what a flag can be.
    const bool counts_on = any_ ? value == before_ + is : value > 1;
    if (value != is && !counts_on)
      line.fail(fmt::format("correct is {}, but label is {} and predict is {}", value, c.label,
                            c.prediction));
    total_ = total_ || value != is;
    any_ = true;
    before_ = value;
  }
  [[nodiscard]] bool is_total() const { return total_; }

 private:
  bool any_ = false, total_ = false;
  std::uint64_t before_ = 0;
};

std::string name_of(const std::filesystem::path& file) {
  for (const char* ending : {".tsv", ".txt", ".csv"})
    if (file.extension() == ending) return file.stem().string();
  return file.filename().string();  // "sigma_0.50" ends in a number
}

}  // namespace

ImportedResults import_tsv(const std::filesystem::path& file) {
  const std::vector<std::uint8_t> bytes = read_file(file, kLimit);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);  // some editors mark UTF-8 so
  ImportedResults results{
      name_of(file), std::filesystem::absolute(file).lexically_normal().string(), {}, {}};
  std::set<std::uint32_t> seen;
  CorrectColumn correct;
  std::size_t unreadable_times = 0;
  char separator = '\t';
  bool header = false;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      separator = line.find('\t') == std::string_view::npos ? ',' : '\t';
      header = std::ranges::count(line, separator) == 5 &&
               Line(file, number, line, separator).is_header();
      if (!header) break;
      continue;
    }
    if (line.empty()) continue;
    const Line fields(file, number, line, separator);
    results.certificates.push_back(read_line(fields));
    correct.check(fields, results.certificates.back());
    unreadable_times += std::isnan(results.certificates.back().seconds) ? 1 : 0;
    const std::uint32_t image = results.certificates.back().image;
    if (!seen.insert(image).second) fields.fail(fmt::format("idx {} appears twice", image));
  }
  if (!header)
    throw Error("'" + file.string() +
                "' is not a certification file: its first line must be "
                "idx, label, predict, radius, correct, time, separated by tabs");
  if (correct.is_total())
    results.notes.push_back(
        fmt::format("'{}': its column 'correct' is a running total; what is correct was taken from "
                    "label and predict",
                    file.string()));
  if (unreadable_times > 0)
    results.notes.push_back(fmt::format("'{}': {} of {} times cannot be read and are left unknown",
                                        file.string(), unreadable_times,
                                        results.certificates.size()));
  std::ranges::sort(results.certificates, {}, &Certificate::image);
  return results;
}

}  // namespace smoothcert
