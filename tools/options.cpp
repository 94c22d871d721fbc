// Options that several subcommands share, defined once so that they read the same everywhere.
#include "options.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>

#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/decimal.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {

void add_output_options(CLI::App& app, OutputOptions& options) {
  app.add_flag("-q,--quiet", options.quiet, "No chatter and no progress on stderr")
      ->group("Output");
  app.add_flag("--json", options.json, "One JSON object on stdout, and nothing else there")
      ->group("Output");
}

void add_device_options(CLI::App& app, DeviceOptions& options) {
  app.add_option("--device", options.device, "auto, cpu or cuda; auto takes a GPU where one works")
      ->type_name("NAME")
      ->capture_default_str()
      ->group("Machine");
  app.add_option_function<std::string>(
         "--threads",
         [&options](const std::string& text) {
           const auto count = parse_count(text, "--threads");
           if (count > 4096)
             throw UsageError(fmt::format("--threads: {} is outside 1 … 4096 (0 = all)", text));
           options.threads = static_cast<int>(count);
         },
         "CPU threads; 0 takes all that the process may use")
      ->type_name("N")
      ->default_str("0")
      ->group("Machine");
}

CLI::Option* add_seed_option(CLI::App& app, std::uint64_t& seed, const std::string& what) {
  return app
      .add_option_function<std::string>(
          "--seed",
          [&seed](const std::string& text) {
            const char* end = text.data() + text.size();
            const auto [at, status] = std::from_chars(text.data(), end, seed);
            if (status != std::errc{} || at != end)
              throw UsageError(
                  fmt::format("--seed: '{}' is not a whole number from 0 to 2^64 − 1", text));
          },
          what)
      ->type_name("N")
      ->default_str(std::to_string(seed));
}

std::uint64_t parse_count(const std::string& text, const std::string& option) {
  const auto bad = [&] {
    return UsageError(
        fmt::format("{}: '{}' is not a whole number ≥ 0 (10000, 1e4, 10k, 1M)", option, text));
  };
  std::string digits = text;
  double factor = 1;
  if (!digits.empty()) {
    const char unit = digits.back();
    factor = unit == 'k' || unit == 'K' ? 1e3 : unit == 'M' ? 1e6 : 1;
    if (factor != 1) digits.pop_back();
  }
  std::uint64_t whole = 0;
  const char* end = digits.data() + digits.size();
  if (const auto [at, status] = std::from_chars(digits.data(), end, whole);
      factor == 1 && status == std::errc{} && at == end)
    return whole;
  double value = 0;
  const auto [at, status] = std::from_chars(digits.data(), end, value);
  value *= factor;
  if (status != std::errc{} || at != end || !(value >= 0) || value > 0x1p53 ||
      value != std::floor(value))
    throw bad();
  return static_cast<std::uint64_t>(value);
}

double parse_number(const std::string& text, const std::string& option) {
  const auto value = parse_real(text);
  if (!value)
    throw UsageError(fmt::format("{}: '{}' is not a number (0.5, 1e-3, 8/255)", option, text));
  return *value;
}

CLI::Option* add_count_option(CLI::App& app, const std::string& name, std::uint64_t& value,
                              const std::string& help) {
  return app
      .add_option_function<std::string>(
          name, [&value, name](const std::string& text) { value = parse_count(text, name); }, help)
      ->type_name("N")
      ->default_str(std::to_string(value));
}

CLI::Option* add_number_option(CLI::App& app, const std::string& name, double& value,
                               const std::string& help) {
  return app
      .add_option_function<std::string>(
          name, [&value, name](const std::string& text) { value = parse_number(text, name); }, help)
      ->type_name("X")
      ->default_str(fmt::format("{}", value));
}

CLI::Option* add_number_option(CLI::App& app, const std::string& name, std::optional<double>& value,
                               const std::string& help) {
  return app
      .add_option_function<std::string>(
          name, [&value, name](const std::string& text) { value = parse_number(text, name); }, help)
      ->type_name("X");
}

CLI::Option* add_positive_option(CLI::App& app, const std::string& name,
                                 std::optional<double>& value, const std::string& help) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, name](const std::string& text) {
            value = parse_number(text, name);
            if (!(*value > 0) || std::isinf(*value))
              throw UsageError(fmt::format("{}: {} is not a number > 0", name, text));
          },
          help)
      ->type_name("X");
}

CLI::Option* add_positive_count_option(CLI::App& app, const std::string& name,
                                       std::optional<int>& value, const std::string& help,
                                       int most) {
  return app
      .add_option_function<std::string>(
          name,
          [&value, name, most](const std::string& text) {
            const auto number = parse_count(text, name);
            if (number < 1 || number > static_cast<std::uint64_t>(most))
              throw UsageError(fmt::format("{}: {} is outside 1 … {}", name, text,
                                           format_count(static_cast<std::uint64_t>(most))));
            value = static_cast<int>(number);
          },
          help)
      ->type_name("N");
}

void require_writable(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored))
    throw Error(fmt::format("{}: is a folder, not a file to write", file.string()));
  if (is_special_file(file)) {
    if (access(file.c_str(), W_OK) != 0)
      throw Error(fmt::format("{}: cannot write there ({})", file.string(), std::strerror(errno)));
    return;
  }
  const auto target = write_target(file);
  const auto folder = target.has_parent_path() ? target.parent_path() : std::filesystem::path(".");
  if (access(folder.c_str(), W_OK | X_OK) != 0)
    throw Error(fmt::format("{}: cannot write there ({}: {})", file.string(), folder.string(),
                            std::strerror(errno)));
}

}  // namespace smoothcert::cli
