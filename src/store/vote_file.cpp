// Reads votes that some other program counted.
#include "smoothcert/vote_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string_view>

#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"
#include "store/codec.hpp"
#include "util/atomic_file.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

constexpr std::uint64_t kMostSamples = (std::uint64_t{1} << 32) - 1;
constexpr std::size_t kLargestFile = std::size_t{1} << 30;

std::vector<std::string> split(std::string_view line, char separator) {
  std::vector<std::string> cells;
  for (std::size_t from = 0; from <= line.size();) {
    const std::size_t to = std::min(line.find(separator, from), line.size());
    std::string_view cell = line.substr(from, to - from);
    while (!cell.empty() && cell.front() == ' ') cell.remove_prefix(1);
    while (!cell.empty() && (cell.back() == ' ' || cell.back() == '\r')) cell.remove_suffix(1);
    cells.emplace_back(cell);
    from = to + 1;
  }
  return cells;
}

/// Finds cells by the name of their column and reads them.
class Reader {
 public:
  Reader(std::string file, const std::vector<std::string>& columns)
      : file_(std::move(file)), columns_(columns) {}

  [[nodiscard]] std::optional<std::size_t> column(std::string_view name) const {
    const auto found = std::ranges::find(columns_, name);
    if (found == columns_.end()) return std::nullopt;
    if (std::find(found + 1, columns_.end(), name) != columns_.end())
      bad(1, fmt::format("two columns are named '{}'", name));
    return static_cast<std::size_t>(found - columns_.begin());
  }
  [[noreturn]] void bad(std::size_t line, const std::string& what) const {
    throw Error(fmt::format("{}, line {}: {}", file_, line, what));
  }
  [[nodiscard]] std::uint64_t count(std::size_t line, const VoteRow& row,
                                    std::size_t column) const {
    const std::string& cell = row.cells[column];
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
    if (error != std::errc() || end != cell.data() + cell.size() || value > kMostSamples)
      bad(line, fmt::format("{} is '{}', no whole number of 0 … {}", columns_[column],
                            printable(cell), kMostSamples));
    return value;
  }

 private:
  std::string file_;
  const std::vector<std::string>& columns_;
};

VoteSplit of_counts(const Reader& reader, std::size_t line, const VoteRow& row, std::size_t counts,
                    std::size_t selected, std::optional<std::size_t> invalid) {
  const std::string& text = row.cells[counts];
  const auto classes = std::ranges::count(text, ',') + 1;
  StageCounts stage;
  try {
    stage.counts = store::parse_counts(text, static_cast<int>(classes), "counts");
  } catch (const Error& error) {
    reader.bad(line, printable(error.what(), 200));
  }
  for (const std::uint64_t count : stage.counts)
    if (count > kMostSamples)
      reader.bad(line, fmt::format("counts: {} is no number of votes", count));
  if (invalid) stage.invalid = reader.count(line, row, *invalid);
  const std::uint64_t a = reader.count(line, row, selected);
  if (a >= stage.counts.size())
    reader.bad(line,
               fmt::format("selected is {}, counts are of {} classes", a, stage.counts.size()));
  StageCounts selection;
  selection.counts.assign(stage.counts.size(), 0);
  selection.counts[a] = 1;
  return vote_split(selection, stage);
}

}  // namespace

VoteFile read_vote_file(const std::filesystem::path& file) {
  const auto bytes = read_file(file, kLargestFile);
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // as some editors mark UTF-8
  VoteFile votes;
  const std::string_view first = text.substr(0, text.find('\n'));
  const char separator = first.find('\t') != std::string_view::npos ? '\t' : ',';
  votes.columns = split(first, separator);
  const Reader reader(file.string(), votes.columns);
  const auto k = reader.column("k"), n = reader.column("n"), second = reader.column("second");
  const auto counts = reader.column("counts"), selected = reader.column("selected");
  const auto invalid = reader.column("invalid");
  const bool split_votes = k && n;
  if (!split_votes && !(counts && selected && separator == '\t'))
    reader.bad(1, "no columns 'k' and 'n', and (separated by tabs) none 'counts' and 'selected'");
  votes.has_second = !split_votes || second.has_value();
  std::size_t line = 1;
  for (std::size_t from = first.size() + 1; from < text.size();) {
    const std::size_t to = std::min(text.find('\n', from), text.size());
    const std::string_view row_text = text.substr(from, to - from);
    from = to + 1;
    ++line;
    if (row_text.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    VoteRow row{split(row_text, separator), {}};
    if (row.cells.size() != votes.columns.size())
      reader.bad(line,
                 fmt::format("{} values under {} columns", row.cells.size(), votes.columns.size()));
    if (split_votes) {
      row.votes = {reader.count(line, row, *k), second ? reader.count(line, row, *second) : 0,
                   reader.count(line, row, *n)};
    } else {
      row.votes = of_counts(reader, line, row, *counts, *selected, invalid);
    }
    const VoteSplit& v = row.votes;
    if (v.n == 0 || v.n > kMostSamples) reader.bad(line, fmt::format("{} samples", v.n));
    if (v.a > v.n || v.second > v.n - v.a)
      reader.bad(line, fmt::format("more votes ({} and {}) than samples ({})", v.a, v.second, v.n));
    votes.rows.push_back(std::move(row));
  }
  if (votes.rows.empty()) throw Error(file.string() + ": holds no votes");
  return votes;
}

}  // namespace smoothcert
