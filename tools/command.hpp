// One subcommand: its options and its work. Each lives in tools/<name>_command.cpp.
#pragma once

#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "console.hpp"

namespace CLI {
class App;
}

namespace smoothcert::cli {

/// What every command gets to work with.
struct Context {
  Console& console;
  std::stop_token stop;
  std::string command_line;  ///< as typed, quoted for a shell: how to go on after a Ctrl-C
  std::string program = {};  ///< its first word
  /// Things left out of a result and named on the way: the program then ends with 1.
  std::uint64_t left_out = 0;
};

class Command {
 public:
  virtual ~Command() = default;
  virtual void define(CLI::App& app) = 0;
  virtual void run(Context& context) = 0;
  [[nodiscard]] virtual bool quiet() const { return false; }
};

struct CommandEntry {
  std::string name, group, summary;
  std::string examples;  ///< shown at the end of `smoothcert NAME --help`
  std::unique_ptr<Command> (*make)();
};

/// All of them, in the order of the help.
const std::vector<CommandEntry>& command_entries();

}  // namespace smoothcert::cli
