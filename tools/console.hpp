// What a person sees: results on stdout, chatter and progress on stderr.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace smoothcert::cli {

/// Where lines go. With `quiet` chatter and progress vanish; errors and results stay. Control
/// characters but line feeds and tabs become '?', whatever name out of a file brought them.
class Console {
 public:
  Console();
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  void set_quiet(bool quiet) { quiet_ = quiet; }
  [[nodiscard]] bool quiet() const { return quiet_; }
  [[nodiscard]] bool stderr_is_terminal() const { return terminal_; }

  /// One line of chatter on stderr.
  void say(std::string_view line);
  /// A line that even --quiet shows: something the reader must know.
  void warn(std::string_view text);
  /// Text on stdout.
  void result(std::string_view given);
  /// Flushes stdout; throws Error when it could not be written (a full disk, a closed pipe).
  void finish();

  /// Progress of one activity. On a terminal a bar that is redrawn at most ten times a second;
  /// elsewhere a plain line now and then (first after 10 s, then at most one every 30 s).
  void progress(std::string_view activity, double fraction, std::string_view detail);
  /// Ends the bar and leaves `line` (when not empty) in its place.
  void end_progress(std::string_view line = {});

 private:
  using Clock = std::chrono::steady_clock;
  void erase_bar();
  bool quiet_ = false, terminal_ = false, colours_ = false, bar_shown_ = false;
  int result_error_ = 0;  ///< errno of the first result that could not be written
  std::string activity_;
  Clock::time_point started_{}, last_{};
};

/// "412 k", "1.03 M", "983"
std::string rate_text(double per_second);
/// Whether messages on stderr may be coloured: a terminal that can, and NO_COLOR is not set
/// (no-color.org).
bool stderr_takes_colours();
/// Quotes an argument for a POSIX shell where it needs it.
std::string shell_quoted(std::string_view argument);

}  // namespace smoothcert::cli
