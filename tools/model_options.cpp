// MODEL and --network: our own model files, and those that others trained.
#include "model_options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <optional>
#include <vector>

#include "options.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert::cli {
namespace {

std::vector<float> numbers(const std::string& text) {
  std::vector<float> values;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    values.push_back(static_cast<float>(parse_number(text.substr(at, end - at), "--normalize")));
    at = end + 1;
  }
  return values;
}

NetworkSpec normalized(NetworkSpec spec, const ModelOptions& options) {
  if (options.normalize.empty()) return spec;
  const auto slash = options.normalize.find('/');
  if (slash == std::string::npos)
    throw UsageError(fmt::format("--normalize: '{}' is not MEANS/DEVIATIONS as in 0.1307/0.3081",
                                 options.normalize));
  return with_normalization(std::move(spec), numbers(options.normalize.substr(0, slash)),
                            numbers(options.normalize.substr(slash + 1)));
}

}  // namespace

void add_model_options(CLI::App& app, ModelOptions& options) {
  app.add_option("MODEL", options.file,
                 "Model file: safetensors, an ONNX model, or a PyTorch checkpoint (.pt, .pth) with "
                 "--network");
  app.add_option("--network", options.network,
                 "The network in MODEL: a built-in name or a JSON description; needed where MODEL "
                 "was not written by smoothcert and has no arch entry that is known")
      ->type_name("NAME|FILE");
  app.add_option("--normalize", options.normalize,
                 "With --network or an ONNX model: per-channel means and deviations applied after "
                 "the noise")
      ->type_name("MEANS/STDS");
}

Network load_model(Context& context, const ModelOptions& options, const std::string& command,
                   const std::string& dataset) {
  if (options.file.empty())
    throw UsageError(
        fmt::format("{0}: which model? Give its file, as in 'smoothcert {0} "
                    "smoothcert-report/models/smoothing.safetensors'",
                    command));
  std::vector<std::string> notes;
  std::optional<NetworkSpec> spec;
  if (options.network.empty())
    spec = network_of_checkpoint(options.file, &notes);
  else
    spec = network_by_name(options.network);
  const auto said = [&](Network network) {
    for (const auto& note : notes) context.console.say(note);
    return network;
  };
  if (!spec) {
    if (auto network = load_onnx(options.file, &notes)) {
      network->spec = normalized(std::move(network->spec), options);
      return said(*std::move(network));
    }
    if (!options.normalize.empty())
      throw UsageError("--normalize goes with --network; this model has its own description");
    return load_network(options.file);
  }
  return said(
      load_checkpoint(options.file, normalized(*std::move(spec), options), &notes, dataset));
}

}  // namespace smoothcert::cli
