// Options that several subcommands share, defined once so that they read the same everywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace smoothcert::cli {

/// Of every command.
struct OutputOptions {
  bool quiet = false;
  bool json = false;
};
void add_output_options(CLI::App& app, OutputOptions& options);

/// Of every command that computes.
struct DeviceOptions {
  std::string device = "auto";
  int threads = 0;
};
void add_device_options(CLI::App& app, DeviceOptions& options);

CLI::Option* add_seed_option(CLI::App& app, std::uint64_t& seed, const std::string& what);

/// A count that may be written 10000, 1e4, 10k or 1M.
CLI::Option* add_count_option(CLI::App& app, const std::string& name, std::uint64_t& value,
                              const std::string& help);
/// Throws UsageError naming `option`.
std::uint64_t parse_count(const std::string& text, const std::string& option);

/// `text` as a number, or as a fraction such as 8/255, by the C locale whatever the user's. Throws
/// UsageError naming `option`.
double parse_number(const std::string& text, const std::string& option);
CLI::Option* add_number_option(CLI::App& app, const std::string& name, double& value,
                               const std::string& help);
/// The same where "not given" is something else than any number.
CLI::Option* add_number_option(CLI::App& app, const std::string& name, std::optional<double>& value,
                               const std::string& help);
/// Numbers > 0 alone, infinity excluded: sizes, lengths, times.
CLI::Option* add_positive_option(CLI::App& app, const std::string& name,
                                 std::optional<double>& value, const std::string& help);
/// Counts from 1 to `most`.
CLI::Option* add_positive_count_option(CLI::App& app, const std::string& name,
                                       std::optional<int>& value, const std::string& help,
                                       int most = 1'000'000'000);

/// Throws Error where a file of this name could not be written: missing or read-only folder. For
/// checks before hours of work.
void require_writable(const std::filesystem::path& file);

}  // namespace smoothcert::cli
