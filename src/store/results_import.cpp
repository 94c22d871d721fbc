#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <set>
#include <string_view>

#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert {

namespace {

constexpr std::string_view kHeader = "idx\tlabel\tpredict\tradius\tcorrect\ttime";
constexpr std::size_t kLimit = std::size_t{256} << 20;

// One line of the file, with what its errors need.
class Line {
 public:
  Line(const std::filesystem::path& file, std::size_t number, std::string_view text)
      : where_(fmt::format("'{}' line {}", file.string(), number)) {
    for (std::size_t i = 0; i < fields_.size(); ++i) {
      const std::size_t tab = text.find('\t');
      const bool last = i + 1 == fields_.size();
      if (last != (tab == std::string_view::npos)) {
        fail(fmt::format("expected {} tab-separated fields", fields_.size()));
      }
      fields_[i] = text.substr(0, tab);
      if (!last) text.remove_prefix(tab + 1);
    }
  }

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

  // str(datetime.timedelta): "0:00:12.345678", the fraction left out when it is zero.
  [[nodiscard]] double seconds(std::size_t field) const {
    std::string_view text = fields_[field];
    const std::size_t first = text.find(':'), second = text.rfind(':');
    if (first == std::string_view::npos || first == second) return 0;
    double total = 0;
    for (const std::string_view part :
         {text.substr(0, first), text.substr(first + 1, second - first - 1),
          text.substr(second + 1)}) {
      double value = 0;
      const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
      if (error != std::errc() || end != part.data() + part.size()) return 0;
      total = total * 60 + value;
    }
    return std::isfinite(total) ? total : 0;
  }

  [[noreturn]] void fail(const std::string& what) const { throw Error(where_ + ": " + what); }

 private:
  std::string where_;
  std::array<std::string_view, 6> fields_;
};

Certificate read_line(const Line& line) {
  Certificate c;
  c.image = line.number<std::uint32_t>(0, "idx");
  c.label = line.number<std::uint8_t>(1, "label");
  c.prediction = line.number<int>(2, "predict");
  c.radius = line.number<double>(3, "radius");
  const int correct = line.number<int>(4, "correct");
  c.seconds = line.seconds(5);
  c.selected = c.prediction;
  if (c.prediction < -1) line.fail(fmt::format("predict is {}", c.prediction));
  if (!(c.radius >= 0) || std::isinf(c.radius)) line.fail("the radius is not a finite number >= 0");
  if (c.prediction == -1 && c.radius != 0) line.fail("an abstention with a radius");
  if ((correct != 0 && correct != 1) || (correct == 1) != c.correct()) {
    line.fail(fmt::format("correct is {}, but label is {} and predict is {}", correct, c.label,
                          c.prediction));
  }
  return c;
}

}  // namespace

ImportedResults import_tsv(const std::filesystem::path& file) {
  const std::vector<std::uint8_t> bytes = read_file(file, kLimit);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  ImportedResults results{file.filename().string(), file.string(), {}};
  std::set<std::uint32_t> seen;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1) {
      if (line != kHeader) {
        throw Error("'" + file.string() +
                    "' is not a certification file: its first line must be "
                    "idx, label, predict, radius, correct, time, separated by tabs");
      }
      continue;
    }
    if (line.empty()) continue;
    const Line fields(file, number, line);
    results.certificates.push_back(read_line(fields));
    const std::uint32_t image = results.certificates.back().image;
    if (!seen.insert(image).second) fields.fail(fmt::format("idx {} appears twice", image));
  }
  if (results.certificates.empty()) throw Error("'" + file.string() + "' holds no results");
  std::ranges::sort(results.certificates, {}, &Certificate::image);
  return results;
}

}  // namespace smoothcert
