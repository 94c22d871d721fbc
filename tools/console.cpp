// What a person sees: results on stdout, chatter and progress on stderr.
#include "console.hpp"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "smoothcert/error.hpp"
#include "util/format_number.hpp"
#include "util/printable.hpp"

namespace smoothcert::cli {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kFirstLine = std::chrono::seconds(10), kNextLine = std::chrono::seconds(30);

int terminal_width() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

/// Columns of a UTF-8 text (every code point counts one).
std::size_t columns(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string cut_to(std::string_view text, std::size_t width) {
  std::size_t bytes = 0, seen = 0;
  while (bytes < text.size()) {
    if ((static_cast<unsigned char>(text[bytes]) & 0xC0) != 0x80 && seen++ == width) break;
    ++bytes;
  }
  return std::string(text.substr(0, bytes));
}

/// A message that cannot be written (stderr is closed, or a file on a full disk) is lost, the work
/// is not.
void write_message(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stderr);
  std::fflush(stderr);
}

std::string time_left(double elapsed, double fraction) {
  if (elapsed < 1 || fraction <= 0.001) return "";
  return format_duration(elapsed * (1 - fraction) / fraction) + " left";
}

}  // namespace

Console::Console() {
  const char* term = std::getenv("TERM");
  terminal_ = isatty(STDERR_FILENO) == 1 && (term == nullptr || std::strcmp(term, "dumb") != 0);
  colours_ = stderr_takes_colours();
}

Console::~Console() { erase_bar(); }

void Console::erase_bar() {
  if (!bar_shown_) return;
  write_message("\r\x1b[K");
  bar_shown_ = false;
}

void Console::say(std::string_view line) {
  if (!quiet_) warn(line);
}

void Console::warn(std::string_view text) {
  erase_bar();
  const std::string shown = without_controls(text);
  const std::string_view line = shown;
  for (const auto& [word, colour] : {std::pair("error:", "31"), std::pair("warning:", "33")})
    if (colours_ && line.starts_with(word)) {
      const std::string_view rest = line.substr(std::strlen(word));
      return write_message(fmt::format("\x1b[1;{}m{}\x1b[0m{}\n", colour, word, rest));
    }
  write_message(fmt::format("{}\n", line));
}

void Console::result(std::string_view given) {
  erase_bar();
  const std::string text = without_controls(given);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && result_error_ == 0)
    result_error_ = errno;
}

void Console::finish() {
  erase_bar();
  if (std::fflush(stdout) != 0 && result_error_ == 0) result_error_ = errno;
  if (result_error_ != 0)
    throw Error(fmt::format("cannot write the result to standard output: {}",
                            std::strerror(result_error_)));
}

void Console::progress(std::string_view activity, double fraction, std::string_view detail) {
  if (quiet_) return;
  const auto now = Clock::now();
  if (activity != activity_) {
    end_progress();
    activity_ = activity;
    started_ = now;
    last_ = {};
  }
  fraction = std::clamp(fraction, 0.0, 1.0);
  const double elapsed = std::chrono::duration<double>(now - started_).count();
  std::string text = without_controls(detail);
  if (const auto left = time_left(elapsed, fraction); !left.empty())
    text += (text.empty() ? "" : ", ") + left;
  if (!terminal_) {
    const auto due = last_ == Clock::time_point{} ? started_ + kFirstLine : last_ + kNextLine;
    if (now < due) return;
    last_ = now;
    write_message(fmt::format("{}: {:.0f} %, {}\n", activity, std::floor(fraction * 100), text));
    return;
  }
  if (bar_shown_ && now - last_ < kRedraw) return;
  last_ = now;
  const auto width = static_cast<std::size_t>(std::max(20, terminal_width() - 1));
  const std::string head = fmt::format("{:<24} ", activity);
  const std::size_t bar_width = std::clamp<std::size_t>(width / 5, 8, 24);
  const auto full = static_cast<std::size_t>(fraction * static_cast<double>(bar_width));
  std::string bar;
  for (std::size_t i = 0; i < bar_width; ++i) bar += i < full ? "━" : "─";
  std::string line = fmt::format("{}{} {:3.0f} %  {}", head, bar, std::floor(fraction * 100), text);
  if (columns(line) > width)
    line = fmt::format("{}{:3.0f} %  {}", head, std::floor(fraction * 100), text);
  write_message(fmt::format("\r{}\x1b[K", cut_to(line, width)));
  bar_shown_ = true;
}

void Console::end_progress(std::string_view line) {
  erase_bar();
  activity_.clear();
  if (!line.empty()) say(line);
}

bool stderr_takes_colours() {
  const char* const term = std::getenv("TERM");
  const char* const refused = std::getenv("NO_COLOR");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::strcmp(term, "dumb") != 0 &&
         (refused == nullptr || *refused == '\0');
}

std::string rate_text(double per_second) {
  if (!(per_second > 0)) return "0";
  if (per_second < 1e3) return fmt::format("{:.0f}", per_second);
  if (per_second < 1e6) return fmt::format("{:.0f} k", per_second / 1e3);
  if (per_second < 1e9) return fmt::format("{:.2f} M", per_second / 1e6);
  return fmt::format("{:.2f} G", per_second / 1e9);
}

std::string shell_quoted(std::string_view argument) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
           std::strchr("-_./=:,+@%", c) != nullptr;
  };
  if (!argument.empty() && std::all_of(argument.begin(), argument.end(), plain))
    return std::string(argument);
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace smoothcert::cli
