// smoothcert export: runs of a store as the field's TSV files.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.hpp"
#include "options.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class ExportCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORE", store_, "Results store, or a folder with results.sqlite")
        ->capture_default_str();
    app.add_option("--run", run_, "Number of the run; without it the runs are listed")
        ->type_name("N");
    app.add_option("--tsv", tsv_, "Write here instead of on stdout")->type_name("FILE");
    app.add_flag("--compat", compat_, "Radii with three significant digits, rounded down");
    add_number_option(app, "--alpha", alpha_, "Derive the radii at this α from the stored counts")
        ->default_str("");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    std::filesystem::path file = store_;
    if (std::filesystem::is_directory(file)) file /= "results.sqlite";
    const auto store = ResultsStore::open(file, ResultsStore::Access::read_only);
    const auto runs = store->runs();
    if (run_ == 0) {
      context.console.result(list(*store, runs));
      return;
    }
    const RunInfo* chosen = nullptr;
    for (const auto& run : runs)
      if (run.id == run_) chosen = &run;
    if (chosen == nullptr)
      throw UsageError(fmt::format("{}: no run {}; 'smoothcert export {}' lists the {} there",
                                   file.string(), run_, store_, runs.size()));
    auto certificates = store->certificates(chosen->id);
    if (alpha_ != 0) certificates = rederive(*chosen, certificates, alpha_);
    if (!tsv_.empty()) {
      export_tsv(certificates, tsv_, compat_);
      context.console.say(fmt::format("{}: {} certificates", tsv_, certificates.size()));
    } else {
      context.console.result(certificates_tsv(std::move(certificates), compat_));
    }
  }

 private:
  std::string list(const ResultsStore& store, const std::vector<RunInfo>& runs) const {
    nlohmann::json json = nlohmann::json::array();
    std::string text = fmt::format("{:>4}  {:<20}{:<16}{:>7}{:>9}{:>11}{:>8}{:>9}{:>9}\n", "run",
                                   "model", "data", "σ", "n0", "n", "α", "images", "acr");
    for (const auto& run : runs) {
      const auto& s = run.settings;
      const auto summary = summarise(store.certificates(run.id));
      text +=
          fmt::format("{:>4}  {:<20}{:<16}{:>7}{:>9}{:>11}{:>8}{:>9}{:>9}\n", run.id, s.model_name,
                      s.dataset_name + "/" + s.dataset_split, format_shortest(s.certify.sigma),
                      s.certify.n0, s.certify.n, format_shortest(s.certify.alpha), summary.images,
                      format_down(summary.acr, 4));
      json.push_back({{"run", run.id},
                      {"key", run.key},
                      {"model", s.model_name},
                      {"model_hash", s.model_hash},
                      {"data", s.dataset_name},
                      {"sigma", s.certify.sigma},
                      {"n0", s.certify.n0},
                      {"n", s.certify.n},
                      {"alpha", s.certify.alpha},
                      {"seed", s.certify.seed},
                      {"images", summary.images},
                      {"acr", summary.acr}});
    }
    return output_.json ? nlohmann::json{{"runs", json}}.dump(2) + "\n" : text;
  }

  std::string store_ = "smoothcert-report", tsv_;
  std::int64_t run_ = 0;
  bool compat_ = false;
  double alpha_ = 0;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace smoothcert::cli
