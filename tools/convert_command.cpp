// smoothcert convert: a PyTorch checkpoint as one of our own model files.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "certify_options.hpp"
#include "commands.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/logit_check.hpp"
#include "smoothcert/network.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert::cli {
namespace {

class ConvertCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_model_options(app, model_);
    app.add_option("--out", out_, "The file to write (safetensors)")->type_name("FILE");
    app.add_option("--regime", regime_, "How it was trained: normal, adversarial, smoothing, …")
        ->type_name("NAME")
        ->group("Record");
    add_number_option(app, "--sigma", sigma_, "Noise it was trained with; 0 for none or unknown")
        ->group("Record");
    add_clamp_options(app, clamp_, "Record", "Training clamped noisy pixels to [0,1]",
                      "Training did not; without either the record leaves it open");
    app.add_option("--check", check_,
                   "Compare logits first: INPUTS.npy, N×C×H×W in [0,1] before normalisation, and "
                   "LOGITS.npy, N×classes of the original; exit 1 where they differ by more than "
                   "1e-3 of the largest")
        ->expected(2)
        ->type_name("INPUTS LOGITS");
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (out_.empty() && check_.empty())
      throw UsageError(
          "convert: --out FILE says where the model goes (--check INPUTS LOGITS alone compares)");
    if (!(sigma_ >= 0) || std::isinf(sigma_))
      throw UsageError(fmt::format("--sigma: {} is not a number >= 0", sigma_));
    auto network = load_model(context, model_, "convert");
    nlohmann::ordered_json result{{"network", network.spec.name},
                                  {"model_hash", model_hash(network)}};
    if (!check_.empty()) result["check"] = check(context, network);
    if (out_.empty()) {
      if (output_.json) context.console.result(result.dump(2) + "\n");
      return;
    }
    if (!regime_.empty()) network.record.regime = regime_;
    if (sigma_ > 0) network.record.sigma = sigma_;
    if (const auto clamp = clamp_.choice()) {
      network.clamp = *clamp;
      network.clamp_recorded = true;
    }
    save_network(network, out_);
    result["out"] = out_;
    if (output_.json)
      context.console.result(result.dump(2) + "\n");
    else
      context.console.say(
          fmt::format("{}: network '{}', model {}", out_, network.spec.name, model_hash(network)));
  }

 private:
  /// Throws Error where the logits are not those of the original.
  nlohmann::ordered_json check(Context& context, const Network& network) const {
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    const LogitCheck found = check_logits(*backend->load(network), check_.at(0), check_.at(1));
    const std::string line = fmt::format(
        "{} of {} inputs have the original's class; the largest difference of a logit is {:.2g}, "
        "{:.2g} of the largest one (input {}, class {})",
        found.same_class, found.inputs, found.largest_difference, found.relative(), found.input,
        found.logit);
    if (!found.passed())
      throw Error(fmt::format(
          "{}: {}; allowed is {:g}: another activation, normalisation, padding or eps than the "
          "original's, or inputs that were normalised already",
          model_.file, line, kLogitTolerance));
    context.console.say(fmt::format("{}: {}", model_.file, line));
    return {{"inputs", found.inputs},
            {"same_class", found.same_class},
            {"largest_difference", found.largest_difference},
            {"largest_logit", found.largest_logit},
            {"relative", found.relative()}};
  }

  ModelOptions model_;
  DeviceOptions device_;
  std::vector<std::string> check_;
  std::string out_, regime_;
  double sigma_ = 0;
  ClampOptions clamp_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() { return std::make_unique<ConvertCommand>(); }

}  // namespace smoothcert::cli
