// smoothcert certify: certificates of one model, kept in a store as they come.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "certify_options.hpp"
#include "commands.hpp"
#include "data_options.hpp"
#include "model_options.hpp"
#include "options.hpp"
#include "progress_file.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/preflight.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/summary.hpp"
#include "util/format_number.hpp"
#include "util/model_name.hpp"

namespace smoothcert::cli {
namespace {

std::string summary_text(const Summary& s, const CertifySettings& settings,
                         const std::vector<Certificate>& certificates) {
  std::string text =
      fmt::format("guarantee            {}\n", guarantee_text(settings.noise, settings.mode));
  text += fmt::format(
      "images               {}\nabstained            {}\nwrong                {}\n"
      "correct & certified  {} ({} %)\nmean radius          {} (of all certified, wrong ones too)\n"
      "mean radius, correct {}\n"
      "ACR                  {} (95 % interval over images)\n",
      s.images, s.abstained, s.wrong, s.correct_certified,
      format_percent(static_cast<double>(s.correct_certified) /
                         static_cast<double>(std::max<std::uint64_t>(1, s.images)),
                     2),
      format_down(s.avg_radius_certified, 4), format_down(s.avg_radius_correct, 4), acr_text(s));
  if (settings.sequential) {
    std::uint64_t used = 0, futile = 0;
    for (const auto& c : certificates) {
      used += votes_in(c.estimation.counts, c.estimation.invalid);
      futile += c.stop == StopReason::futile ? 1 : 0;
    }
    const double most = static_cast<double>(settings.n) * static_cast<double>(certificates.size());
    text += fmt::format("samples an image     {} of at most {} ({} %), bounds that hold at any n\n",
                        format_count(certificates.empty() ? 0 : used / certificates.size()),
                        format_count(settings.n),
                        format_percent(most > 0 ? static_cast<double>(used) / most : 0, 1));
    if (futile > 0) text += fmt::format("given up             {}\n", futile);
  }
  const bool l1 = noise_traits(settings.noise).norm == Norm::l1;
  text += fmt::format("certified accuracy at {}r:", l1 ? "L1 radius " : "");
  constexpr int kRadii = 8;  // σ/2 apart, to 4 σ; or λ/8, up to λ, which no L1 radius reaches
  for (int i = 0; i < kRadii + (l1 ? 0 : 1); ++i) {
    const double r =
        l1 ? std::round(settings.sigma / kRadii * i * 1e4) / 1e4 : settings.sigma / 2 * i;
    text += fmt::format(" {}: {} %", format_shortest(r),
                        format_percent(certified_accuracy(certificates, r), 1));
  }
  if (noise_traits(settings.noise).kind == CertificateKind::exact)
    return text + "\nexact: all splits were evaluated, and no certificate can be false\n";
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
    // Those of the field; the study's are compare's.
    options_.settings.n0 = 100;
    options_.settings.n = 100000;
    options_.settings.alpha = 0.001;
    add_model_options(app, model_);
    app.add_option("--store", store_, "Results store, created where missing, continued otherwise")
        ->type_name("FILE")
        ->capture_default_str();
    app.add_option("--tsv", tsv_, "Write the field's TSV here as well")->type_name("FILE");
    app.add_option("--shard", shard_, "Part i of N of the images, for several machines")
        ->type_name("i/N")
        ->group("Images");
    app.add_flag("--only-correct", only_correct_,
                 "Only images that the model answers right without noise")
        ->group("Images");
    app.add_flag("--force", force_, "Go on where a check finds an error");
    app.add_flag("--no-checks", no_checks_, "Without the checks of the model");
    add_seed_option(app, options_.settings.seed, "Seed of the noise")
        ->each([this](const std::string&) { options_.seed_given = true; });
    add_certify_options(app, options_, true, true);
    add_subset_options(app, subset_);
    add_data_options(app, data_);
    add_device_options(app, device_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    auto& console = context.console;
    certify_settings(options_);  // what makes no sense is refused before anything is read
    const auto network = load_model(context, model_, "certify", data_.data);
    const auto settings = certify_settings(options_, network, model_.file, console);
    require_writable(store_);
    if (!tsv_.empty()) require_writable(tsv_);
    const Shard shard = shard_.empty() ? Shard{} : parse_shard(shard_);
    const auto data = load_data(context, data_, Splits::test, false, network.spec.classes).test;
    auto all = subset_indices(subset_, data.size());
    std::string note;
    const auto backend = make_backend(device_.device, device_.threads, &note);
    console.say(note);
    const auto loaded = backend->load(network);
    if (only_correct_) {
      const std::size_t asked = all.size();
      all = correctly_classified(*loaded, data, all);
      console.say(
          fmt::format("images: the {} of {} that the model answers right without noise; "
                      "figures are shares of these alone",
                      all.size(), asked));
      if (all.empty()) throw Error("certify: --only-correct leaves no image");
    }
    CertificationRequest request{network, model_name(model_.file), data, settings, all, {}};
    request.indices = shard_indices(all, shard);
    request.all_indices = all;
    // What goes on was checked when it began: whoever is killed early would get nowhere otherwise.
    if (!no_checks_ && !has_begun(request, *loaded)) check(console, request, *loaded);
    // Nothing is made before everything else is known to be in order.
    const auto store = ResultsStore::open(store_, ResultsStore::Access::read_write);
    if (!force_) refuse_extension(*store, request, *loaded);
    if (!store->note().empty()) console.say(store->note());
    ProgressFile progress(store_, "certify");
    CertificationResult result;
    try {
      result = certify_into_store(*store, *loaded, request, shown(console, progress), context.stop);
    } catch (const Interrupted&) {
      throw Interrupted(fmt::format("stopped; what was finished is kept in {}. To go on: {}",
                                    store_, context.command_line));
    }
    console.end_progress(result.resumed_line());
    mark_only_correct(*store, result.run, only_correct_);
    if (!tsv_.empty()) export_tsv(result.certificates, tsv_, false);
    print(console, result, settings);
    console.say(fmt::format("kept in {}, run {}", store_, result.run.id));
  }

 private:
  /// Progress for whoever looks on, here and by 'smoothcert status'.
  static CertifyCallbacks shown(Console& console, ProgressFile& progress) {
    CertifyCallbacks callbacks;
    callbacks.on_progress = [&console, &progress](const CertifyProgress& p) {
      progress.update(progress_state(p));
      const double rate = p.seconds > 0 ? static_cast<double>(p.samples_done) / p.seconds : 0;
      console.progress(
          "certify",
          static_cast<double>(p.samples_done) /
              static_cast<double>(std::max<std::uint64_t>(1, p.samples_total)),
          fmt::format("{}/{} images, {}samples/s{}", p.images_done, p.images_total, rate_text(rate),
                      p.samples_saved > 0
                          ? fmt::format(", {}samples saved",
                                        rate_text(static_cast<double>(p.samples_saved)))
                          : ""));
    };
    return callbacks;
  }

  void print(Console& console, const CertificationResult& result,
             const CertifySettings& settings) const {
    const auto summary = summarise(result.certificates);
    if (output_.json) {
      auto json = summary_json(summary);
      json["store"] = store_;
      json["run"] = result.run.id;
      json["key"] = result.run.key;
      json["guarantee"] = guarantee_text(result.run.settings);
      json["norm"] = to_name(norm_of(result.run.settings));
      json["kind"] = to_name(kind_of(result.run.settings));
      json[noise_traits(settings.noise).scale] = settings.sigma;
      console.result(json.dump(2) + "\n");
    } else {
      console.result(summary_text(summary, settings, result.certificates));
    }
  }

  [[nodiscard]] bool has_begun(const CertificationRequest& request,
                               const BackendModel& model) const {
    std::error_code ignored;
    if (!std::filesystem::is_regular_file(store_, ignored) ||
        std::filesystem::file_size(store_, ignored) == 0)
      return false;
    try {
      const auto store = ResultsStore::open(store_, ResultsStore::Access::read_only);
      const auto key = run_key(make_run_settings(request.network, request.model_name, model,
                                                 request.data, request.settings));
      for (const RunInfo& run : store->runs())
        if (run.key == key)
          return !store->chunks(run.id).empty() || !store->certificates(run.id).empty();
    } catch (const Error&) {  // opening it for writing says what is wrong, or mends it
    }
    return false;
  }

  /// More samples for a run whose n was fixed, because of what they showed, is no certificate at α.
  static void refuse_extension(const ResultsStore& store, const CertificationRequest& request,
                               const BackendModel& model) {
    const RunSettings wanted = make_run_settings(request.network, request.model_name, model,
                                                 request.data, request.settings);
    for (const RunInfo& held : store.runs()) {
      RunSettings other = wanted;
      other.certify.n = held.settings.certify.n;
      if (other.certify.n == wanted.certify.n || run_key(other) != held.key) continue;
      throw UsageError(fmt::format(
          "certify: run {} of this store is the same but for n = {}, and its samples would be "
          "drawn again and more of them; choosing n after a look at a smaller one is no "
          "certificate at "
          "alpha. Runs that may stop early hold at any n (--stop-within 5%); another --seed or "
          "--store makes an independent run; --force draws it all the same",
          held.id, other.certify.n));
    }
  }

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

  bool force_ = false, no_checks_ = false, only_correct_ = false;
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
