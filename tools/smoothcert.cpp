// The program: parses, runs one command, and turns exceptions into one line and an exit code
// (0 done, 1 failed, 2 asked for something that makes no sense, 130 interrupted).
#include <fcntl.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>

#include "command.hpp"
#include "command_line.hpp"
#include "console.hpp"
#include "signals.hpp"
#include "smoothcert/error.hpp"

namespace {

int fail(int code, std::string message) {
  std::replace(message.begin(), message.end(), '\n', ' ');
  const bool colours = smoothcert::cli::stderr_takes_colours();
  std::fputs(fmt::format("{}smoothcert:{} {}\n", colours ? "\x1b[1;31m" : "",
                         colours ? "\x1b[0m" : "", message)
                 .c_str(),
             stderr);
  return code;
}

/// Where a standard descriptor is closed, the next file that is opened would take its number, and
/// get what is meant for the terminal. Standard output is opened for reading, so that a result that
/// goes nowhere is still an error.
void hold_standard_descriptors() {
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (fcntl(fd, F_GETFD) < 0) (void)open("/dev/null", fd == STDERR_FILENO ? O_WRONLY : O_RDONLY);
}

std::string typed(int argc, char** argv) {
  std::string line;
  for (int i = 0; i < argc; ++i) {
    if (i > 0) line += ' ';
    line += smoothcert::cli::shell_quoted(argv[i]);
  }
  return line;
}

int run(int argc, char** argv) {
  using namespace smoothcert;
  const cli::StopSignals signals;
  cli::Console console;
  try {
    const auto command = cli::parse_command_line({argv + 1, argv + argc}, console);
    if (command != nullptr) {
      console.set_quiet(command->quiet());
      cli::Context context{console, signals.token(), typed(argc, argv),
                           argc > 0 ? argv[0] : "smoothcert"};
      command->run(context);
      console.finish();
      return context.left_out > 0 ? 1 : 0;
    }
    console.finish();
    return 0;
  } catch (const UsageError& error) {
    console.end_progress();
    return fail(2, error.what());
  } catch (const Interrupted& error) {
    console.end_progress();
    return fail(130, error.what());
  } catch (const std::bad_alloc&) {
    console.end_progress();
    return fail(1, "out of memory; fewer --threads or a smaller data set need less");
  } catch (const std::exception& error) {
    console.end_progress();
    return fail(1, error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  hold_standard_descriptors();
  return run(argc, argv);
}
