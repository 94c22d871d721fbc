// smoothcert export: runs of a store as the field's TSV files.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "commands.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class ExportCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORE", store_, "Results store, or a folder with one")->capture_default_str();
    app.add_option("--run", run_, "Number of the run; without it the runs are listed")
        ->type_name("N");
    app.add_option("--tsv", tsv_, "Write here instead of on stdout")->type_name("FILE");
    app.add_option("-o,--out", folder_, "Write every run into this folder, one file each")
        ->type_name("DIR");
    app.add_flag("--compat", compat_, "Radii with three significant digits, rounded down");
    add_number_option(app, "--alpha", alpha_, "Derive the radii at this α from the stored counts")
        ->default_str("");
    app.add_flag("--dump", dump_,
                 "Print the whole store as text without times: equal stores, equal text");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    const auto file = store_file(store_);
    const auto store = ResultsStore::open(file, ResultsStore::Access::read_only);
    const auto runs = store->runs();
    if (dump_) return context.console.result(store->canonical_dump());
    if (!folder_.empty()) return write_all(context.console, *store, runs);
    if (run_ == 0 && tsv_.empty())
      return context.console.result(output_.json
                                        ? nlohmann::json{{"runs", run_array(*store)}}.dump(2) + "\n"
                                        : run_table(*store));
    if (run_ == 0 && runs.size() != 1)
      throw UsageError(fmt::format(
          "export: which of the {} runs? Give its number with --run, or --out DIR for all",
          runs.size()));
    const RunInfo& chosen = run_ == 0 ? runs.front() : find(runs, file);
    auto certificates = certificates_of(*store, chosen);
    if (!tsv_.empty()) {
      export_tsv(certificates, tsv_, compat_);
      context.console.say(fmt::format("{}: {} certificates", tsv_, certificates.size()));
    } else {
      context.console.result(output_.json ? json_text(chosen, certificates)
                                          : certificates_tsv(std::move(certificates), compat_));
    }
  }

 private:
  const RunInfo& find(const std::vector<RunInfo>& runs, const std::filesystem::path& file) const {
    for (const auto& run : runs)
      if (run.id == run_) return run;
    throw UsageError(fmt::format("{}: no run {}; 'smoothcert export {}' lists the {} there",
                                 file.string(), run_, store_, runs.size()));
  }

  std::vector<Certificate> certificates_of(const ResultsStore& store, const RunInfo& run) const {
    auto certificates = store.certificates(run.id);
    return alpha_ == 0 ? certificates : rederive(run, certificates, alpha_);
  }

  void write_all(Console& console, const ResultsStore& store,
                 const std::vector<RunInfo>& runs) const {
    std::error_code failure;
    std::filesystem::create_directories(folder_, failure);
    if (failure)
      throw Error(fmt::format("cannot create the folder {}: {}", folder_, failure.message()));
    std::set<std::string> taken;
    for (const auto& run : runs) {
      const auto& c = run.settings.certify;
      const double alpha = alpha_ == 0 ? c.alpha : alpha_;
      std::string name = fmt::format("{}_sigma{}_n{}_alpha{}_seed{}", run.settings.model_name,
                                     format_shortest(c.sigma), c.n, format_shortest(alpha), c.seed);
      if (!taken.insert(name).second) name += fmt::format("_run{}", run.id);
      const auto file = std::filesystem::path(folder_) / (name + ".tsv");
      const auto certificates = certificates_of(store, run);
      export_tsv(certificates, file, compat_);
      console.say(fmt::format("{}: {} certificates", file.string(), certificates.size()));
    }
  }

  static std::string json_text(const RunInfo& run, const std::vector<Certificate>& certificates) {
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& c : certificates)
      rows.push_back({{"idx", c.image},
                      {"label", c.label},
                      {"predict", c.prediction},
                      {"radius", c.radius},
                      {"correct", c.correct()},
                      {"p_lower", c.p_lower},
                      {"selection_counts", c.selection.counts},
                      {"estimation_counts", c.estimation.counts},
                      {"estimation_invalid", c.estimation.invalid},
                      {"seconds", c.seconds}});
    return nlohmann::json{{"run", run.id}, {"key", run.key}, {"certificates", rows}}.dump(2) + "\n";
  }

  std::string store_ = "smoothcert-report", tsv_, folder_;
  std::int64_t run_ = 0;
  bool compat_ = false, dump_ = false;
  double alpha_ = 0;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace smoothcert::cli
