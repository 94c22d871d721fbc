// smoothcert predict: the smoothed classifier's answers, or abstention.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "certify_options.hpp"
#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/certify.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/predict.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/soundness.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class PredictCommand : public Command {
 public:
  void define(CLI::App& app) override {
    options_.settings.n = 1000;
    options_.settings.alpha = 0.001;
    add_model_options(app, model_);
    app.add_option("--tsv", tsv_, "Write the predictions here instead of on stdout")
        ->type_name("FILE");
    add_seed_option(app, options_.settings.seed, "Seed of the noise");
    add_certify_options(app, options_, false, true);
    add_subset_options(app, subset_);
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    // What makes no sense is refused before anything is read.
    if (noise_traits(certify_settings(options_).noise).kind == CertificateKind::exact)
      throw UsageError(
          "predict: splitting noise is not sampled; 'smoothcert certify --noise split' gives its "
          "exact answer, with radius");
    const auto network = load_model(context, model_, "predict", data_.data);
    const auto settings = certify_settings(options_, network, model_.file, console);
    if (!tsv_.empty()) require_writable(tsv_);
    const auto data = load_data(context, data_, Splits::test, false, network.spec.classes).test;
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    const auto loaded = backend->load(network);
    std::vector<Prediction> predictions;
    predict(
        *loaded, data, subset_indices(subset_, data.size()), settings,
        [&](const Prediction& prediction) { predictions.push_back(prediction); },
        [&](const CertifyProgress& p) {
          const double rate = p.seconds > 0 ? static_cast<double>(p.samples_done) / p.seconds : 0;
          console.progress("predict",
                           static_cast<double>(p.samples_done) /
                               static_cast<double>(std::max<std::uint64_t>(1, p.samples_total)),
                           fmt::format("{}/{} images, {}samples/s", p.images_done, p.images_total,
                                       rate_text(rate)));
        },
        context.stop);
    console.end_progress();
    report(console, predictions, settings);
  }

 private:
  void report(Console& console, const std::vector<Prediction>& predictions,
              const CertifySettings& settings) const {
    std::uint64_t correct = 0, abstained = 0;
    for (const auto& p : predictions) {
      abstained += p.prediction < 0 ? 1 : 0;
      correct += p.prediction == static_cast<int>(p.label) ? 1 : 0;
    }
    if (!tsv_.empty()) export_predictions_tsv(predictions, tsv_);
    const auto wrong = predictions.size() - correct - abstained;
    if (output_.json)
      console.result(nlohmann::json{{"images", predictions.size()},
                                    {"correct", correct},
                                    {"wrong", wrong},
                                    {"abstained", abstained},
                                    {"guarantee", guarantee_text(settings.noise, settings.mode)}}
                         .dump(2) +
                     "\n");
    else if (tsv_.empty())
      console.result(predictions_tsv(predictions));
    const std::string line = fmt::format("{}: {} correct, {} wrong, {} abstained; {}",
                                         counted(predictions.size(), "image"), correct, wrong,
                                         abstained, guarantee_text(settings.noise, settings.mode));
    if (settings.noise == NoiseLaw::gaussian)
      console.warn(line);
    else
      console.say(line);
  }

  ModelOptions model_;
  std::string tsv_;
  CertifyOptions options_;
  SubsetOptions subset_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_predict_command() { return std::make_unique<PredictCommand>(); }

}  // namespace smoothcert::cli
