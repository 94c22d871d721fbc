// smoothcert info: what this program is, runs on, and knows by name.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "mpi/ranks.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/version.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

std::string compiler() {
#if defined(__clang__)
  return fmt::format("Clang {}", __clang_version__);
#elif defined(__GNUC__)
  return fmt::format("GCC {}", __VERSION__);
#else
  return "unknown";
#endif
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

/// How the backend would count votes of a network, in either mode.
nlohmann::ordered_json vote_paths_of(Backend& backend, const NetworkSpec& spec) {
  nlohmann::ordered_json paths;
  const auto model = backend.load(initialise(spec, 0));
  for (const Mode mode : {Mode::exact, Mode::fast}) {
    CertifySettings settings;
    settings.mode = mode;
    paths[to_name(mode)] = model->describe_votes(vote_settings(settings, model->spec().input));
  }
  return paths;
}
nlohmann::ordered_json vote_paths(Backend& backend) {
  nlohmann::ordered_json paths;
  for (const auto& name : small_network_names())
    paths[name] = vote_paths_of(backend, builtin_network(name));
  return paths;
}

/// Layers through which training cannot go, each kind once.
std::vector<std::string> without_gradient(const NetworkSpec& spec) {
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < spec.layers.size(); ++i) {
    const std::string what = missing_gradient(spec, i);
    if (!what.empty() && std::find(missing.begin(), missing.end(), what) == missing.end())
      missing.push_back(what);
  }
  return missing;
}

class InfoCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("NETWORK", network_,
                   "A built-in name, a JSON description or a model file: its size, work and vote "
                   "paths");
    add_output_options(app, output_);
    add_device_options(app, device_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    if (!network_.empty()) return describe(context, *backend);
    const auto cuda = describe_cuda();
    const auto votes = vote_paths(*backend);
    if (output_.json) {
      const nlohmann::json info = {{"version", kVersion},
                                   {"arithmetic", kArithmetic},
                                   {"compiler", compiler()},
                                   {"backend", backend->name()},
                                   {"device", backend->describe()},
                                   {"note", note},
                                   {"cuda", cuda},
                                   {"votes", votes},
                                   {"mpi", Ranks::describe()},
                                   {"networks", builtin_network_names()}};
      context.console.result(info.dump(2) + "\n");
      return;
    }
    std::string text = fmt::format("smoothcert {} ({}), {}\n", kVersion, kArithmetic, compiler());
    text += fmt::format("--device {} is {}\n", device_.device, backend->describe());
    if (!note.empty()) text += note + "\n";
    for (const auto& line : cuda) text += line + "\n";
    text += fmt::format("MPI: {}\n", Ranks::describe());
    text += fmt::format("networks: {} (info NETWORK tells more of one)\n",
                        joined(builtin_network_names()));
    for (const auto& [network, modes] : votes.items()) {
      for (const auto& [mode, path] : modes.items()) {
        text += fmt::format("  {}, --mode {}: {}\n", network, mode, path.get<std::string>());
      }
    }
    context.console.result(text);
  }

 private:
  /// Of a name, a description or a model file; `hash` where it is a model.
  static NetworkSpec spec_of(const std::string& text, std::string& hash) {
    const bool file = std::filesystem::is_regular_file(text) && !text.ends_with(".json");
    if (!file) return network_by_name(text);
    const Network network = load_model(text, "");
    hash = model_hash(network);
    return network.spec;
  }

  void describe(Context& context, Backend& backend) const {
    std::string hash;
    const NetworkSpec spec = spec_of(network_, hash);
    const auto votes = vote_paths_of(backend, spec);
    const auto missing = without_gradient(spec);
    if (output_.json) {
      nlohmann::ordered_json info = {
          {"network", spec.name},
          {"input", {spec.input.channels, spec.input.height, spec.input.width}},
          {"classes", spec.classes},
          {"layers", spec.layers.size()},
          {"parameters", trainable_parameters(spec)},
          {"multiply_adds", multiply_adds(spec)},
          {"without_gradient", missing},
          {"votes", votes}};
      if (!hash.empty()) info["hash"] = hash;
      context.console.result(info.dump(2) + "\n");
      return;
    }
    std::string text =
        fmt::format("{}: {}×{}×{} to {} classes, {} layers\n", spec.name, spec.input.channels,
                    spec.input.height, spec.input.width, spec.classes, spec.layers.size());
    text +=
        fmt::format("{} parameters, {} multiply-adds a sample (taps in the padding counted)\n",
                    format_count(trainable_parameters(spec)), format_count(multiply_adds(spec)));
    if (!missing.empty())
      text +=
          fmt::format("certified, predicted with and attacked, not trained: {}\n", joined(missing));
    if (!hash.empty()) text += fmt::format("model {}\n", hash);
    for (const auto& [mode, path] : votes.items())
      text += fmt::format("--mode {}: {}\n", mode, path.get<std::string>());
    context.console.result(text);
  }

  std::string network_;
  OutputOptions output_;
  DeviceOptions device_;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace smoothcert::cli
