// --data and its companions.
#include "data_options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>

#include "options.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cli {

void add_data_options(CLI::App& app, DataOptions& options) {
  app.add_option("--data", options.data,
                 "mnist, fashion-mnist, cifar10, cifar100, digits (drawn by the program), or a "
                 "folder. Without it MNIST: $SMOOTHCERT_DATA, the cache, a download")
      ->type_name("NAME|DIR")
      ->group("Data");
  app.add_flag("--no-download", options.no_download, "Never fetch anything")->group("Data");
  app.add_option("--mirror", options.mirror,
                 "Download from this base URL instead of the built-in mirrors")
      ->type_name("URL")
      ->group("Data");
  app.add_flag("--round", options.round, "Accept float images, rounded to multiples of 1/255")
      ->group("Data");
  app.add_option("--digits-size", options.digits_size,
                 "How many of the built-in digits to draw (10000,2000)")
      ->type_name("TRAIN,TEST")
      ->group("Data");
}

DataRequest data_request(Context& context, const DataOptions& options, Splits splits,
                         bool allow_digits) {
  DataRequest request;
  request.name = options.data;
  request.explicitly_requested = !options.data.empty();
  request.allow_download = !options.no_download;
  request.mirror = options.mirror;
  request.stop = context.stop;
  request.allow_digits = allow_digits;
  request.need_train = splits != Splits::test;
  request.need_test = splits != Splits::train;
  request.round_to_lattice = options.round;
  if (!options.digits_size.empty()) {
    const auto comma = options.digits_size.find(',');
    if (comma == std::string::npos)
      throw UsageError(fmt::format("--digits-size: '{}' is not TRAIN,TEST as in 10000,2000",
                                   options.digits_size));
    const auto size = [&](const std::string& text) {
      const auto count = parse_count(text, "--digits-size");
      if (count == 0 || count > 10'000'000)
        throw UsageError(fmt::format("--digits-size: {} is outside 1 … 10,000,000", text));
      return static_cast<int>(count);
    };
    request.digits_train = size(options.digits_size.substr(0, comma));
    request.digits_test = size(options.digits_size.substr(comma + 1));
  }
  request.say = [&](std::string_view line) { context.console.say(line); };
  request.progress = [&](std::string_view file, std::uint64_t done, std::uint64_t total) {
    context.console.progress(
        "download", total == 0 ? 0.0 : static_cast<double>(done) / static_cast<double>(total),
        fmt::format("{} {} kB", file, done / 1000));
  };
  return request;
}

DataPair load_data(Context& context, const DataOptions& options, Splits splits, bool allow_digits,
                   int classes) {
  auto request = data_request(context, options, splits, allow_digits);
  request.classes = classes;
  auto data = smoothcert::load_data(request);
  context.console.end_progress();
  return data;
}

}  // namespace smoothcert::cli
