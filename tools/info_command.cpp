// smoothcert info: what this program is, runs on, and knows by name.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "mpi/ranks.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/version.hpp"

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

/// How the backend would count votes of each built-in network, in either mode.
nlohmann::ordered_json vote_paths(Backend& backend) {
  nlohmann::ordered_json paths;
  for (const auto& name : builtin_network_names()) {
    const auto model = backend.load(initialise(builtin_network(name), 0));
    for (const Mode mode : {Mode::exact, Mode::fast}) {
      CertifySettings settings;
      settings.mode = mode;
      paths[name][to_name(mode)] =
          model->describe_votes(vote_settings(settings, model->spec().input));
    }
  }
  return paths;
}

class InfoCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_output_options(app, output_);
    add_device_options(app, device_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
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
    text += fmt::format("networks: {}\n", joined(builtin_network_names()));
    for (const auto& [network, modes] : votes.items()) {
      for (const auto& [mode, path] : modes.items()) {
        text += fmt::format("  {}, --mode {}: {}\n", network, mode, path.get<std::string>());
      }
    }
    context.console.result(text);
  }

 private:
  OutputOptions output_;
  DeviceOptions device_;
};

}  // namespace

std::unique_ptr<Command> make_info_command() { return std::make_unique<InfoCommand>(); }

}  // namespace smoothcert::cli
