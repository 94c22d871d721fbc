// smoothcert convert: a PyTorch checkpoint as one of our own model files.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>

#include "certify_options.hpp"
#include "commands.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "smoothcert/error.hpp"
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
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (out_.empty()) throw UsageError("convert: --out FILE says where the model goes");
    if (!(sigma_ >= 0) || std::isinf(sigma_))
      throw UsageError(fmt::format("--sigma: {} is not a number >= 0", sigma_));
    auto network = load_model(context, model_, "convert");
    if (!regime_.empty()) network.record.regime = regime_;
    if (sigma_ > 0) network.record.sigma = sigma_;
    if (const auto clamp = clamp_.choice()) {
      network.clamp = *clamp;
      network.clamp_recorded = true;
    }
    save_network(network, out_);
    const auto hash = model_hash(network);
    if (output_.json)
      context.console.result(
          nlohmann::json{{"out", out_}, {"network", network.spec.name}, {"model_hash", hash}}.dump(
              2) +
          "\n");
    else
      context.console.say(fmt::format("{}: network '{}', model {}", out_, network.spec.name, hash));
  }

 private:
  ModelOptions model_;
  std::string out_, regime_;
  double sigma_ = 0;
  ClampOptions clamp_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_convert_command() { return std::make_unique<ConvertCommand>(); }

}  // namespace smoothcert::cli
