// smoothcert completion: what a shell completes, and the manual page, from the same descriptions as
// --help.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "commands.hpp"
#include "options.hpp"
#include "smoothcert/attack_spec.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_spec.hpp"
#include "smoothcert/noise.hpp"
#include "smoothcert/recipe.hpp"
#include "smoothcert/version.hpp"
#include "smoothcert/vote_bounds.hpp"
#include "smoothcert/votes.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert::cli {
namespace {

struct Option {
  std::vector<std::string> names;  ///< "--sigma", "-o"
  std::string value, help;         ///< "" where it takes none
  bool positional = false, file = false, folder = false;
};

struct Described {
  std::string name, summary, examples;
  std::vector<Option> options;
};

/// Every command with its options, as --help shows them.
std::vector<Described> described_commands() {
  std::vector<Described> all;
  for (const auto& entry : command_entries()) {
    const auto command = entry.make();
    CLI::App app;
    command->define(app);
    std::string config;
    app.add_option("--config", config, "Take options from this TOML or INI file")
        ->type_name("FILE");
    Described one{entry.name, entry.summary, entry.examples, {}};
    for (const auto* option : app.get_options()) {
      Option described;
      for (const auto& name : option->get_lnames()) described.names.push_back("--" + name);
      for (const auto& name : option->get_snames()) described.names.push_back("-" + name);
      described.positional = described.names.empty();
      if (described.positional) described.names.push_back(option->get_single_name());
      const bool flag = option->get_items_expected_max() == 0;
      described.value = flag || described.positional ? "" : option->get_type_name();
      if (described.value == "TEXT" && described.positional) described.value.clear();
      described.file = described.value.find("FILE") != std::string::npos;
      described.folder = described.value.find("DIR") != std::string::npos;
      described.help = option->get_description();
      one.options.push_back(std::move(described));
    }
    all.push_back(std::move(one));
  }
  return all;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Values that are names: the same lists that the errors give.
const std::vector<std::pair<std::string, std::string>>& known_values() {
  static const std::vector<std::pair<std::string, std::string>> values = {
      {"--noise", joined(all_names<NoiseLaw>())},
      {"--mode", joined(all_names<Mode>())},
      {"--p-b", joined(all_names<SecondBound>())},
      {"--attack", joined(all_names<AttackKind>())},
      {"--network", joined(builtin_network_names())},
      {"--recipes", joined(builtin_recipe_names())},
      {"--device", "auto cpu cuda"},
      {"--norm", "l2 l1 linf"},
      {"--tables", "markdown latex"},
      {"--format", "tsv csv"}};
  return values;
}

std::string bash_script(const std::vector<Described>& commands) {
  std::string names, cases;
  for (const auto& command : commands) {
    names += (names.empty() ? "" : " ") + command.name;
    std::vector<std::string> words;
    for (const auto& option : command.options)
      if (!option.positional) words.insert(words.end(), option.names.begin(), option.names.end());
    cases += fmt::format("    {}) words='{}' ;;\n", command.name, joined(words));
  }
  std::string values;
  for (const auto& [option, names_of] : known_values())
    values += fmt::format("    {}) COMPREPLY=($(compgen -W '{}' -- \"$current\")); return ;;\n",
                          option, names_of);
  return fmt::format(
      "# bash completion of smoothcert {}\n"
      "# In ~/.bashrc: source <(smoothcert completion bash)\n"
      "_smoothcert() {{\n"
      "  local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words=''\n"
      "  COMPREPLY=()\n"
      "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
      "    COMPREPLY=($(compgen -W 'help {} --help --version' -- \"$current\")); return\n"
      "  fi\n"
      "  case \"$before\" in\n{}  esac\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n"
      "    help) COMPREPLY=($(compgen -W '{}' -- \"$current\")); return ;;\n{}  esac\n"
      "  case \"$current\" in\n"
      "    -*) COMPREPLY=($(compgen -W \"$words\" -- \"$current\")) ;;\n"
      "    *) COMPREPLY=($(compgen -f -- \"$current\")) ;;\n"
      "  esac\n"
      "}}\n"
      "complete -o filenames -F _smoothcert smoothcert\n",
      kVersion, names, values, names, cases);
}

/// For single quotes of zsh and fish, without what zsh's _arguments reads as syntax.
std::string quoted(const std::string& text, bool zsh) {
  std::string out;
  for (const char c : text) {
    if (c == '\'')
      out += zsh ? "'\\''" : "\\'";
    else if (zsh && (c == '[' || c == ']' || c == ':'))
      out += std::string("\\") + c;
    else if (!zsh && c == '\\')
      out += "\\\\";
    else
      out += c == '\n' ? ' ' : c;
  }
  return out;
}

std::string values_of(const Option& option) {
  for (const auto& [name, values] : known_values())
    if (std::find(option.names.begin(), option.names.end(), name) != option.names.end())
      return values;
  return "";
}

std::string zsh_script(const std::vector<Described>& commands) {
  std::string names, cases;
  for (const auto& command : commands) {
    names += fmt::format("    '{}:{}'\n", command.name, quoted(command.summary, true));
    cases += fmt::format("    {}) _arguments -s", command.name);
    for (const auto& option : command.options) {
      if (option.positional) continue;
      for (const auto& name : option.names) {
        cases += fmt::format(" \\\n      '{}[{}]", name, quoted(option.help, true));
        if (!option.value.empty()) {
          const auto values = values_of(option);
          cases += fmt::format(":{}:{}", quoted(option.value, true),
                               !values.empty() ? "(" + values + ")"
                               : option.folder ? "_files -/"
                               : option.file   ? "_files"
                                               : "");
        }
        cases += "'";
      }
    }
    cases += " \\\n      '*:file:_files' ;;\n";
  }
  return fmt::format(
      "#compdef smoothcert\n"
      "# zsh completion of smoothcert {}; as a file _smoothcert in a folder of $fpath\n"
      "_smoothcert() {{\n"
      "  local -a commands=(\n{}  )\n"
      "  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
      "  local command=$words[2]\n"
      "  shift words; (( CURRENT-- ))\n"
      "  case $command in\n{}  esac\n"
      "}}\n"
      "_smoothcert \"$@\"\n",
      kVersion, names, cases);
}

std::string fish_script(const std::vector<Described>& commands) {
  std::string text = fmt::format(
      "# fish completion of smoothcert {}; in ~/.config/fish/completions/smoothcert.fish\n",
      kVersion);
  for (const auto& command : commands)
    text += fmt::format("complete -c smoothcert -n __fish_use_subcommand -a {} -d '{}'\n",
                        command.name, quoted(command.summary, false));
  for (const auto& command : commands)
    for (const auto& option : command.options) {
      if (option.positional) continue;
      text +=
          fmt::format("complete -c smoothcert -n '__fish_seen_subcommand_from {}'", command.name);
      for (const auto& name : option.names)
        text += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      const auto values = values_of(option);
      if (!values.empty())
        text += " -x -a '" + values + "'";
      else if (!option.value.empty())
        text += option.file || option.folder ? " -r" : " -x";
      text += fmt::format(" -d '{}'\n", quoted(option.help, false));
    }
  return text;
}

/// The code point at `at` of a UTF-8 text, and how many bytes it takes.
std::pair<std::uint32_t, std::size_t> code_point(const std::string& text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  std::uint32_t point = length == 1 ? lead : lead & (0x7Fu >> length);
  for (std::size_t i = 1; i < length && at + i < text.size(); ++i)
    point = point << 6 | (static_cast<unsigned char>(text[at + i]) & 0x3Fu);
  return {point, length};
}

/// For roff, which knows ASCII: no line may begin with a dot or a quote, hyphens are minus signs,
/// and σ is \[u03C3].
std::string roff(const std::string& text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto [point, length] = code_point(text, at);
    const char c = text[at];
    at += length;
    if (point >= 0x80)
      out += fmt::format("\\[u{:04X}]", point);
    else if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string("\\&") + c;
    else
      out += c;
  }
  return out;
}

std::string man_page(const std::vector<Described>& commands) {
  std::string text = fmt::format(
      ".TH SMOOTHCERT 1 \"\" \"smoothcert {}\" \"User Commands\"\n"
      ".SH NAME\nsmoothcert \\- certified robustness of image classifiers by randomized "
      "smoothing\n"
      ".SH SYNOPSIS\n.B smoothcert\n.I COMMAND\n[\\fIOPTIONS\\fR]\n"
      ".SH DESCRIPTION\nTrains image classifiers, attacks them, and certifies them by randomized "
      "smoothing. Every command takes \\fB\\-\\-help\\fR.\n.SH COMMANDS\n",
      roff(kVersion));
  for (const auto& command : commands) {
    text += fmt::format(".SS {}\n{}.\n", roff(command.name), roff(command.summary));
    for (const auto& option : command.options) {
      std::string names;
      for (const auto& name : option.names)
        names += (names.empty() ? "" : ", ") + ("\\fB" + roff(name) + "\\fR");
      if (!option.value.empty()) names += " \\fI" + roff(option.value) + "\\fR";
      text += fmt::format(".TP\n{}\n{}\n", names, roff(option.help));
    }
    text += ".PP\n.nf\n" + roff(command.examples) + ".fi\n";
  }
  return text +
         ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nfailed\n.TP\n2\nasked for something that "
         "makes no sense\n.TP\n130\ninterrupted; the same command goes on\n"
         ".SH ENVIRONMENT\n.TP\n.B SMOOTHCERT_DATA\nfolder of the data\n.TP\n.B "
         "XDG_CACHE_HOME\nholds the folder of what is downloaded\n.TP\n.B NO_COLOR\nno colours on "
         "a terminal\n";
}

class CompletionCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("SHELL", shell_, "bash, zsh or fish; or man, for the manual page");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    const std::vector<std::string> known = {"bash", "zsh", "fish", "man"};
    if (shell_.empty())
      throw UsageError("completion: of which shell? As in 'smoothcert completion bash'");
    if (std::find(known.begin(), known.end(), shell_) == known.end())
      throw UsageError("completion: " + unknown_name_message("shell", shell_, known));
    const auto commands = described_commands();
    context.console.result(shell_ == "bash"  ? bash_script(commands)
                           : shell_ == "zsh" ? zsh_script(commands)
                           : shell_ == "man" ? man_page(commands)
                                             : fish_script(commands));
  }

 private:
  std::string shell_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_completion_command() { return std::make_unique<CompletionCommand>(); }

}  // namespace smoothcert::cli
