// smoothcert export: runs of a store as the field's TSV files.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "certify_options.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/class_bounds.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/more_certificates.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "store/codec.hpp"
#include "top_k_options.hpp"
#include "util/atomic_file.hpp"
#include "util/format_number.hpp"
#include "util/model_name.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert::cli {
namespace {

class ExportCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORE", store_, "Results store, or a folder with one")->capture_default_str();
    app.add_option_function<std::string>(
           "--run", [this](const std::string& text) { run_ = parse_count(text, "--run"); },
           "Number of the run; without it the runs are listed")
        ->type_name("N");
    app.add_option("--tsv", tsv_, "Write here instead of on stdout")->type_name("FILE");
    app.add_option("-o,--out", folder_, "Write every run into this folder, one file each")
        ->type_name("DIR");
    app.add_option("--format", format_, "Of the files: tsv or csv")
        ->type_name("NAME")
        ->capture_default_str();
    app.add_flag("--compat", compat_, "Radii with three significant digits, rounded down");
    app.add_option_function<std::string>(
           "--alpha", [this](const std::string& text) { alpha_ = parse_number(text, "--alpha"); },
           "Derive the radii at this α from the stored counts")
        ->type_name("X");
    add_p_b_option(app, p_b_, "");
    app.add_option(
           "--norm", norm_,
           "Radii in this norm: l2, l1 or linf (r/√pixels) of L2 radii, l1 of L1 radii; each "
           "run's own without it")
        ->type_name("NAME");
    app.add_flag("--classes", classes_,
                 "With --json: within which radius each class is not the answer");
    app.add_flag("--dump", dump_,
                 "Print the whole store as text without times: equal stores, equal text");
    add_top_k_options(app, top_k_options_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (alpha_) {
      if (!(*alpha_ > 0 && *alpha_ < 1))
        throw UsageError(fmt::format("--alpha: {} is outside 0 … 1", *alpha_));
      with_.alpha = *alpha_;
    }
    if (!p_b_.empty()) with_.p_b = from_name<SecondBound>(p_b_, "--p-b");
    if (!norm_.empty()) as_ = from_name<Norm>(norm_, "--norm");
    if (format_ != "tsv" && format_ != "csv")
      throw UsageError("--format: " + unknown_name_message("format", format_, {"tsv", "csv"}));
    top_k_ = top_k_question(top_k_options_);
    if (top_k_ && with_.p_b)
      throw UsageError("--p-b: top-k radii bound no second class; leave one of both out");
    const auto file = store_file(store_);
    const auto store = open_store(context, file);
    const auto runs = store->runs();
    if (dump_) {
      const std::string text = store->canonical_dump();
      return context.console.result(output_.json ? nlohmann::json{{"dump", text}}.dump(2) + "\n"
                                                 : text);
    }
    if (classes_ && top_k_)
      throw UsageError("--classes: beside the radii of the run, not beside top-k radii");
    if (classes_ && (!output_.json || !tsv_.empty() || !folder_.empty()))
      throw UsageError("--classes: the distances of classes are members of what --json prints");
    if (!folder_.empty()) return write_all(context.console, *store, runs);
    if (!run_ && tsv_.empty() && (with_.alpha || with_.p_b || as_ || top_k_ || format_ != "tsv"))
      throw UsageError(
          "export: without --run or --out the runs are listed as they are stored; which one is to "
          "be "
          "derived or written otherwise?");
    if (!run_ && tsv_.empty() && runs.empty() && !output_.json)
      return context.console.warn(
          fmt::format("{}: holds no run{}", file.string(), imported_names(*store)));
    if (!run_ && tsv_.empty())
      return context.console.result(output_.json
                                        ? nlohmann::json{{"runs", run_array(*store)}}.dump(2) + "\n"
                                        : run_table(*store));
    if (runs.empty())
      throw Error(fmt::format("{}: holds no run; imported results stay in the files they came from",
                              file.string()));
    if (!run_ && runs.size() != 1)
      throw UsageError(fmt::format(
          "export: which of the {} runs? Give its number with --run, or --out DIR for all",
          runs.size()));
    const RunInfo& chosen = run_ ? find(runs, file) : runs.front();
    if (classes_ && norm_for(chosen) != Norm::l2)
      throw UsageError(
          fmt::format("--classes: distances of classes are in l2, the radii of run {} are in {}",
                      chosen.id, to_name(norm_for(chosen))));
    auto certificates = certificates_of(*store, chosen);
    if (!tsv_.empty()) {
      write_file_atomically(tsv_, text_of(certificates));
      tell(context.console, tsv_, chosen, certificates.size());
      if (output_.json)
        context.console.result(
            files_text(nlohmann::json::array({written(tsv_, chosen, certificates)})));
    } else {
      if (!output_.json)
        tell(context.console, fmt::format("run {}", chosen.id), chosen, certificates.size());
      context.console.result(output_.json ? json_text(chosen, certificates)
                                          : text_of(certificates));
    }
  }

 private:
  static std::string imported_names(const ResultsStore& store) {
    std::string names;
    for (const auto& results : imported_results(store))
      names += (names.empty() ? ", only imported results: " : ", ") + results.name;
    return names;
  }

  const RunInfo& find(const std::vector<RunInfo>& runs, const std::filesystem::path& file) const {
    for (const auto& run : runs)
      if (static_cast<std::uint64_t>(run.id) == *run_) return run;
    throw UsageError(fmt::format("{}: no run {}; 'smoothcert export {}' lists the {} there",
                                 file.string(), *run_, shell_quoted(store_), runs.size()));
  }

  std::vector<Certificate> certificates_of(const ResultsStore& store, const RunInfo& run) const {
    require_derivable(run);
    const Norm as = norm_for(run);
    auto certificates = store.certificates(run.id);
    const auto unfinished = interrupted_certificates(run, store.chunks(run.id));
    certificates.insert(certificates.end(), unfinished.begin(), unfinished.end());
    std::ranges::sort(certificates, {}, &Certificate::image);
    if (with_.alpha || with_.p_b) certificates = rederive(run, certificates, with_);
    if (top_k_) {
      const BoundSettings bounds =
          bound_settings(with_.of(run.settings.certify), run.settings.shape);
      for (Certificate& c : certificates) c = top_k_certificate(c, *top_k_, bounds);
    }
    if (as != norm_of(run.settings))
      for (Certificate& c : certificates)
        c.radius = radius_in_norm(c.radius, as, run.settings.shape.size());
    return certificates;
  }

  void require_derivable(const RunInfo& run) const {
    if (kind_of(run.settings) == CertificateKind::exact && (with_.alpha || with_.p_b))
      throw UsageError(
          fmt::format("{}: run {} is exact: it has no alpha, and no bound to derive otherwise",
                      with_.alpha ? "--alpha" : "--p-b", run.id));
    if (top_k_ && norm_of(run.settings) != Norm::l2)
      throw UsageError(
          fmt::format("--top-k: run {} has {} noise, whose votes say nothing of the k "
                      "likeliest classes",
                      run.id, to_name(run.settings.certify.noise)));
    (void)norm_for(run);
  }

  /// The norm that the radii of this run are written in.
  [[nodiscard]] Norm norm_for(const RunInfo& run) const {
    const Norm own = norm_of(run.settings);
    const Norm as = as_.value_or(own);
    if (own == Norm::l1 && as != Norm::l1)
      throw UsageError(fmt::format(
          "--norm: the radii of run {} are in l1 and stay so: the {} ball inside of an l1 ball is "
          "smaller by far; leave out --norm, or say l1",
          run.id, to_name(as)));
    return as;
  }

  /// The field's TSV has no room for it, so the line beside it says how far its radii hold.
  void tell(Console& console, const std::string& where, const RunInfo& run,
            std::size_t count) const {
    const Soundness soundness = soundness_of(run.settings);
    const std::string line =
        fmt::format("{}: {}, {} in {}{}, {}", where, counted(count, "certificate"),
                    top_k_ ? to_text(*top_k_) : std::string("radii"), to_name(norm_for(run)),
                    kind_of(run.settings) == CertificateKind::exact
                        ? std::string()
                        : " at alpha " + format_shortest(with_.of(run.settings.certify).alpha),
                    guarantee_text(run.settings));
    if (soundness == Soundness::real_arithmetic)
      console.warn(line);
    else
      console.say(line);
  }

  [[nodiscard]] std::string text_of(const std::vector<Certificate>& certificates) const {
    return format_ == "csv" ? certificates_csv(certificates, compat_)
                            : certificates_tsv(certificates, compat_);
  }

  [[nodiscard]] nlohmann::json written(const std::filesystem::path& file, const RunInfo& run,
                                       const std::vector<Certificate>& certificates) const {
    return {{"file", file.string()},
            {"run", run.id},
            {"certificates", certificates.size()},
            {"norm", to_name(norm_for(run))},
            {"kind", to_name(kind_of(run.settings))},
            {"top_k", top_k_json()},
            {"guarantee", guarantee_text(run.settings)}};
  }
  /// What the radii are of, null for the certificates themselves.
  [[nodiscard]] nlohmann::json top_k_json() const {
    if (!top_k_) return {};
    return {{"k", top_k_->k}, {"of", to_name(top_k_->of)}, {"from", to_name(top_k_->from)}};
  }
  static std::string files_text(const nlohmann::json& files) {
    return nlohmann::json{{"files", files}}.dump(2) + "\n";
  }

  void write_all(Console& console, const ResultsStore& store,
                 const std::vector<RunInfo>& runs) const {
    if (run_ || !tsv_.empty())
      throw UsageError("export: --out writes every run; leave out --run and --tsv");
    if (runs.empty()) throw Error(fmt::format("{}: holds no run to export", store_));
    for (const auto& run : runs) require_derivable(run);  // all of them, or none is written
    std::error_code failure;
    std::filesystem::create_directories(folder_, failure);
    if (failure)
      throw Error(fmt::format("cannot create the folder {}: {}", folder_, failure.message()));
    std::set<std::string> taken;
    nlohmann::json files = nlohmann::json::array();
    for (const auto& run : runs) {
      const auto c = with_.of(run.settings.certify);
      const NoiseTraits& traits = noise_traits(c.noise);
      std::string name = fmt::format("{}_{}{}", safe_file_name(run.settings.model_name),
                                     traits.scale, noise_level(c));
      if (traits.kind == CertificateKind::exact)
        name += fmt::format("_seed{}", c.seed);
      else
        name += fmt::format("_n{}_alpha{}_seed{}", c.n, format_shortest(c.alpha), c.seed);
      if (c.p_b == SecondBound::counted) name += "_pb-counted";
      if (c.noise != NoiseLaw::lattice)
        name += "_" + to_name(c.noise) + (traits.integer ? "" : "-real-arithmetic");
      if (!c.clamp) name += "_unclamped";
      if (c.mode != Mode::exact) name += "_" + to_name(c.mode);
      if (!run.settings.pixels.empty()) name += "_" + run.settings.pixels;
      if (c.sequential) name += "_" + safe_file_name(stopping_text(c));
      if (only_correct(store, run)) name += "_only-correct";
      if (top_k_)
        name += fmt::format("_top{}-{}-{}", top_k_->k, to_name(top_k_->of), to_name(top_k_->from));
      if (norm_for(run) != Norm::l2) name += "_" + to_name(norm_for(run));
      if (!taken.insert(name).second) name += fmt::format("_run{}", run.id);
      const auto file = std::filesystem::path(folder_) / (name + "." + format_);
      const auto certificates = certificates_of(store, run);
      write_file_atomically(file, text_of(certificates));
      tell(console, file.string(), run, certificates.size());
      files.push_back(written(file, run, certificates));
    }
    if (output_.json) console.result(files_text(files));
  }

  /// What else the same counts certify (docs/certificates.md), in L2. Each statement is at the
  /// run's α by itself; the distances of classes hold together.
  void add_more(nlohmann::json& row, const Certificate& c, const BoundSettings& bounds) const {
    const MoreCertificates more = more_certificates(c, bounds);
    row["ceiling"] = std::isfinite(more.ceiling) ? nlohmann::json(more.ceiling) : nlohmann::json();
    row["top_k_radius"] = more.top_k_radius;
    if (classes_)
      row["class_distance"] =
          class_distances(class_bounds(c.estimation.counts, c.estimation.invalid,
                                       static_cast<std::size_t>(c.selected), bounds),
                          bounds);
  }

  std::string json_text(const RunInfo& run, const std::vector<Certificate>& certificates) const {
    nlohmann::json rows = nlohmann::json::array();
    CertifySettings settings = with_.of(run.settings.certify);
    const BoundSettings bounds = bound_settings(settings, run.settings.shape);
    const bool exact = kind_of(run.settings) == CertificateKind::exact;
    for (const auto& c : certificates) {
      rows.push_back({{"idx", c.image},
                      {"label", c.label},
                      {"predict", c.prediction},
                      {"radius", c.radius},
                      {"correct", c.correct()},
                      {"p_lower", c.p_lower},
                      {"stop", to_name(c.stop)},
                      {"selection_counts", c.selection.counts},
                      {"estimation_counts", c.estimation.counts},
                      {"estimation_invalid", c.estimation.invalid},
                      {"seconds", c.seconds}});
      // Units are exact; the quotient by 255 is rounded down.
      if (exact) rows.back()["units"] = std::llround(c.radius * 255);
      if (norm_for(run) == Norm::l2 && !top_k_) add_more(rows.back(), c, bounds);
    }
    return nlohmann::json{{"run", run.id},
                          {"key", run.key},
                          {"norm", to_name(norm_for(run))},
                          {"kind", to_name(kind_of(run.settings))},
                          {"top_k", top_k_json()},
                          {"guarantee", guarantee_text(run.settings)},
                          {"certificates", rows}}
               .dump(2) +
           "\n";
  }

  std::string store_ = "smoothcert-report", tsv_, folder_;
  std::optional<std::uint64_t> run_;
  bool compat_ = false, dump_ = false, classes_ = false;
  std::optional<double> alpha_;
  std::string p_b_, norm_, format_ = "tsv";
  Rederivation with_;
  std::optional<Norm> as_;
  TopKOptions top_k_options_;
  std::optional<TopKQuestion> top_k_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_export_command() { return std::make_unique<ExportCommand>(); }

}  // namespace smoothcert::cli
