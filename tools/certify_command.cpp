// smoothcert certify: certificates of one model, kept in a store as they come.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "certify_options.hpp"
#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/preflight.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/summary.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

std::string summary_text(const Summary& s, const CertifySettings& settings,
                         const std::vector<Certificate>& certificates) {
  std::string text = fmt::format(
      "images               {}\nabstained            {}\nwrong                {}\n"
      "correct & certified  {} ({} %)\navg_radius_certified {}\navg_radius_correct   {}\n"
      "acr                  {} ± {}\n",
      s.images, s.abstained, s.wrong, s.correct_certified,
      format_percent(static_cast<double>(s.correct_certified) /
                         static_cast<double>(std::max<std::uint64_t>(1, s.images)),
                     2),
      format_down(s.avg_radius_certified, 4), format_down(s.avg_radius_correct, 4),
      format_down(s.acr, 4), format_fixed(s.acr_standard_error, 4));
  text += "certified accuracy at r:";
  for (double r = 0; r <= 4 * settings.sigma; r += settings.sigma / 2)
    text += fmt::format(" {}: {} %", format_shortest(r),
                        format_percent(certified_accuracy(certificates, r), 1));
  return text +
         fmt::format("\nat α = {} up to one certificate in {} may be false\n",
                     format_shortest(settings.alpha),
                     settings.alpha < 1e-15  // beyond what an integer counts
                         ? fmt::format("{:.3g}", 1 / settings.alpha)
                         : format_count(static_cast<std::uint64_t>(1 / settings.alpha + 1e-9)));
}

nlohmann::json summary_json(const Summary& s) {
  return {{"images", s.images},
          {"abstained", s.abstained},
          {"wrong", s.wrong},
          {"correct_certified", s.correct_certified},
          {"avg_radius_certified", s.avg_radius_certified},
          {"avg_radius_correct", s.avg_radius_correct},
          {"acr", s.acr},
          {"acr_standard_error", s.acr_standard_error}};
}

class CertifyCommand : public Command {
 public:
  void define(CLI::App& app) override {
    add_model_options(app, model_);
    app.add_option("--store", store_, "Results store, created where missing, continued otherwise")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option("--tsv", tsv_, "Write the field's TSV here as well")->type_name("FILE");
    app.add_option("--shard", shard_, "Part i of N of the images, for several machines")
        ->type_name("i/N")
        ->group("Images");
    app.add_flag("--force", force_, "Go on where a check finds an error");
    app.add_flag("--no-checks", no_checks_, "Without the checks of the model");
    add_seed_option(app, options_.settings.seed, "Seed of the noise");
    add_certify_options(app, options_, true);
    add_subset_options(app, subset_);
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    const auto settings = certify_settings(options_);
    const auto network = load_model(context, model_, "certify");
    require_writable(store_);
    if (!tsv_.empty()) require_writable(tsv_);
    const Shard shard = shard_.empty() ? Shard{} : parse_shard(shard_);
    const auto data = load_data(context, data_, Splits::test, false, network.spec.classes).test;
    const auto all = subset_indices(subset_, data.size());
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    const auto loaded = backend->load(network);
    CertificationRequest request{
        network, std::filesystem::path(model_.file).stem().string(), data, settings, all, {}};
    request.indices = shard_indices(all, shard);
    request.all_indices = all;
    if (!no_checks_) check(console, request, *loaded);
    // Nothing is made before everything else is known to be in order.
    const auto store = ResultsStore::open(store_, ResultsStore::Access::read_write);
    CertifyCallbacks callbacks;
    callbacks.on_progress = [&](const CertifyProgress& p) {
      const double rate = p.seconds > 0 ? static_cast<double>(p.samples_done) / p.seconds : 0;
      console.progress(
          "certify",
          static_cast<double>(p.samples_done) /
              static_cast<double>(std::max<std::uint64_t>(1, p.samples_total)),
          fmt::format("{}/{} images, {}samples/s", p.images_done, p.images_total, rate_text(rate)));
    };
    CertificationResult result;
    try {
      result = certify_into_store(*store, *loaded, request, callbacks, context.stop);
    } catch (const Interrupted&) {
      throw Interrupted(fmt::format("stopped; what was finished is kept in {}. To go on: {}",
                                    store_, context.command_line));
    }
    console.end_progress(result.resumed_line());
    if (!tsv_.empty()) export_tsv(result.certificates, tsv_, false);
    const auto summary = summarise(result.certificates);
    if (output_.json) {
      auto json = summary_json(summary);
      json["store"] = store_;
      json["run"] = result.run.id;
      json["key"] = result.run.key;
      console.result(json.dump(2) + "\n");
    } else {
      console.result(summary_text(summary, settings, result.certificates));
    }
    console.say(fmt::format("kept in {}, run {}", store_, result.run.id));
  }

 private:
  /// What a few hundred forward passes know, before hours are spent.
  void check(Console& console, const CertificationRequest& request, BackendModel& model) const {
    bool failed = false;
    for (const Finding& finding : preflight(request.network, request.model_name, model,
                                            request.data, request.indices, request.settings)) {
      const bool error = finding.severity == Finding::Severity::error;
      failed |= error;
      const char* kind = error                                            ? "error: "
                         : finding.severity == Finding::Severity::warning ? "warning: "
                                                                          : "note: ";
      if (error && !force_)
        console.warn(kind + finding.line);
      else
        console.say(kind + finding.line);
    }
    if (failed && !force_)
      throw UsageError(
          "certify: not started because of the error above; --force does it all the same");
  }

  bool force_ = false, no_checks_ = false;
  ModelOptions model_;
  std::string store_ = "results.sqlite", tsv_, shard_;
  CertifyOptions options_;
  SubsetOptions subset_;
  DataOptions data_;
  DeviceOptions device_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_certify_command() { return std::make_unique<CertifyCommand>(); }

}  // namespace smoothcert::cli
