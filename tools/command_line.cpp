// From argv to a command ready to run: help, version, configuration files, suggestions.
#include "command_line.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>

#include "smoothcert/error.hpp"
#include "smoothcert/version.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert::cli {
namespace {

const CommandEntry* find_command(std::string_view name) {
  for (const auto& entry : command_entries())
    if (entry.name == name) return &entry;
  return nullptr;
}

std::vector<std::string> command_names() {
  std::vector<std::string> names;
  for (const auto& entry : command_entries()) names.push_back(entry.name);
  return names;
}

std::string program_help() {
  std::string text =
      "smoothcert: train image classifiers, attack them, and certify them by randomized "
      "smoothing.\n"
      "\n"
      "Usage: smoothcert COMMAND [OPTIONS]\n";
  std::string group;
  for (const auto& entry : command_entries()) {
    if (entry.group != group) text += fmt::format("\n{}\n", group = entry.group);
    text += fmt::format("   {:<11}{}\n", entry.name, entry.summary);
  }
  text +=
      "\nExamples\n"
      "   smoothcert compare                 the whole comparison, ending in a report\n"
      "   smoothcert info                    this machine, and what --device auto would choose\n"
      "   smoothcert certify --help          options and examples of one command\n"
      "\nEvery command takes --help, --config FILE, --quiet and --json; --version names this "
      "one.\n";
  return text;
}

/// "--sigma" of option names, "" for a positional one.
std::vector<std::string> long_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options())
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
  return names;
}

bool given(const CLI::Option& option, const std::vector<std::string>& arguments) {
  const auto is = [&](const std::string& flag) {
    return std::any_of(arguments.begin(), arguments.end(), [&](const std::string& argument) {
      return argument == flag || argument.rfind(flag + "=", 0) == 0;
    });
  };
  for (const auto& name : option.get_lnames())
    if (is("--" + name)) return true;
  for (const auto& name : option.get_snames())
    if (is("-" + name)) return true;
  return false;
}

/// The value of --config in `arguments`, "" without one.
std::string config_file(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].rfind("--config=", 0) == 0) return arguments[i].substr(9);
    if (arguments[i] == "--config" && i + 1 < arguments.size()) return arguments[i + 1];
  }
  return "";
}

/// The settings of a TOML or INI file as arguments, without those that the command line gives
/// itself. Keys stand alone or in a section named after the command; sections of other commands
/// are skipped, so that one file serves all.
std::vector<std::string> config_arguments(const std::string& file, const CommandEntry& entry,
                                          const CLI::App& app,
                                          const std::vector<std::string>& arguments) {
  std::vector<CLI::ConfigItem> items;
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))  // which reads as if it held nothing
    throw UsageError(fmt::format("--config: cannot read {}: it is a folder", file));
  try {
    items = CLI::ConfigTOML().from_file(file);
  } catch (const CLI::Error&) {
    throw UsageError(fmt::format("--config: cannot read {}", file));
  }
  std::vector<std::string> result;
  for (const auto& item : items) {
    if (item.name == "++" || item.name == "--") continue;  // a section opens, closes
    const std::string section = item.parents.empty() ? entry.name : item.parents.front();
    if (section != entry.name) {
      if (find_command(section) == nullptr)
        throw UsageError(
            fmt::format("{}: {}", file, unknown_name_message("section", section, command_names())));
      continue;
    }
    const auto* option = app.get_option_no_throw("--" + item.name);
    if (option == nullptr || item.name == "config" || item.name == "help") {
      auto known = long_names(app);
      std::erase_if(known, [](const auto& name) { return name == "--config" || name == "--help"; });
      for (auto& name : known) name.erase(0, 2);
      throw UsageError(fmt::format("{}: {}", file, unknown_name_message("key", item.name, known)));
    }
    if (given(*option, arguments)) continue;
    std::string value;
    for (const auto& part : item.inputs) value += (value.empty() ? "" : ",") + part;
    result.push_back(fmt::format("--{}={}", item.name, value));
  }
  return result;
}

[[noreturn]] void report_extras(const CLI::App& app, const CommandEntry& entry) {
  const auto extras = app.remaining();
  for (const auto& extra : extras) {
    if (extra.size() < 2 || extra[0] != '-') continue;
    const std::string flag = extra.substr(0, extra.find('='));
    const auto near = nearest_name(flag, long_names(app));
    throw UsageError(
        fmt::format("unknown option {} of 'smoothcert {}'{}", flag, entry.name,
                    near.empty() ? fmt::format("; 'smoothcert {} --help' lists them", entry.name)
                                 : fmt::format("; did you mean {}?", near)));
  }
  throw UsageError(
      fmt::format("unexpected argument '{}' of 'smoothcert {}'", extras.front(), entry.name));
}

/// An unset variable of a script must not read as an option that was not given.
void refuse_empty_values(const std::vector<std::string>& arguments) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const bool flag = argument.rfind("--", 0) == 0;
    if (flag && argument.find('=') == argument.size() - 1)
      throw UsageError(argument.substr(0, argument.size() - 1) + ": the value is empty");
    if (!argument.empty()) continue;
    if (i > 0 && arguments[i - 1].rfind('-', 0) == 0)
      throw UsageError(arguments[i - 1] + ": the value is empty");
    throw UsageError("an argument is empty; is a variable of a script not set?");
  }
}

/// CLI11 says "At Most 1 required but received 2".
void refuse_repetition(const CLI::App& app) {
  for (const auto* option : app.get_options()) {
    const auto most = static_cast<std::size_t>(std::max(0, option->get_items_expected_max()));
    if (option->get_lnames().empty() || most > 1 || option->count() < 2) continue;
    throw UsageError(fmt::format("--{} is given {} times; once is enough",
                                 option->get_lnames().front(), option->count()));
  }
}

std::string one_line(std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

/// nullptr when help was asked for and printed.
std::unique_ptr<Command> parse_command(const CommandEntry& entry,
                                       const std::vector<std::string>& arguments,
                                       Console& console) {
  auto command = entry.make();
  CLI::App app(entry.summary, "smoothcert " + entry.name);
  app.allow_extras();
  app.get_formatter()->column_width(34);
  app.get_formatter()->label("OPTIONS", "OPTIONS");
  command->define(app);
  std::string config;
  app.add_option("--config", config, "Take options from this TOML or INI file")->type_name("FILE");
  app.footer(entry.examples);
  try {
    auto all = arguments;
    const bool help = std::find(all.begin(), all.end(), "--help") != all.end();
    if (const auto file = config_file(arguments); !file.empty() && !help) {
      const auto more = config_arguments(file, entry, app, arguments);
      all.insert(all.begin(), more.begin(), more.end());
    }
    refuse_empty_values(all);
    std::reverse(all.begin(), all.end());  // CLI11 takes them from the back
    app.parse(all);
  } catch (const CLI::CallForHelp&) {
    console.result(app.help());
    return nullptr;
  } catch (const CLI::ArgumentMismatch& error) {
    refuse_repetition(app);
    throw UsageError(one_line(error.what()));
  } catch (const CLI::ParseError& error) {
    if (!app.remaining().empty()) report_extras(app, entry);
    throw UsageError(one_line(error.what()));
  }
  if (!app.remaining().empty()) report_extras(app, entry);
  return command;
}

}  // namespace

std::unique_ptr<Command> parse_command_line(const std::vector<std::string>& arguments,
                                            Console& console) {
  auto rest = arguments;
  if (rest.empty() || rest[0] == "--help" || rest[0] == "-h" || rest[0] == "help") {
    if (rest.size() < 2 || rest[0] != "help") {
      console.result(program_help());
      return nullptr;
    }
    rest = {rest[1], "--help"};
  }
  if (rest[0] == "--version" || rest[0] == "-V") {
    console.result(fmt::format("smoothcert {} ({})\n", kVersion, kArithmetic));
    return nullptr;
  }
  if (rest[0].size() > 1 && rest[0][0] == '-')
    throw UsageError(
        fmt::format("unknown option {}; a command comes first, as in 'smoothcert compare {}'",
                    rest[0], rest[0]));
  const auto* entry = find_command(rest[0]);
  if (entry == nullptr) throw UsageError(unknown_name_message("command", rest[0], command_names()));
  rest.erase(rest.begin());
  return parse_command(*entry, rest, console);
}

}  // namespace smoothcert::cli
