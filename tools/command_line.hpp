// From argv to a command ready to run: help, version, configuration files, suggestions.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "command.hpp"

namespace smoothcert::cli {

/// The command asked for, its options filled in; nullptr where the answer (help, version) was
/// given on the console already. Options of the command line win over those of --config FILE.
/// Throws UsageError with one line that suggests the nearest name.
std::unique_ptr<Command> parse_command_line(const std::vector<std::string>& arguments,
                                            Console& console);

}  // namespace smoothcert::cli
