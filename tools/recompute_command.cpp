// smoothcert recompute: every run of a store at another α or with another p_B, from its counts.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "certify_options.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/more_certificates.hpp"
#include "smoothcert/soundness.hpp"
#include "smoothcert/summary.hpp"
#include "top_k_options.hpp"
#include "util/format_number.hpp"
#include "util/printable.hpp"

namespace smoothcert::cli {
namespace {

class RecomputeCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORE", store_, "Results store, or a folder with one")->capture_default_str();
    add_number_option(app, "--alpha", alpha_, "Share of certificates that may be false");
    add_p_b_option(app, p_b_, "");
    add_top_k_options(app, top_k_options_);
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    Rederivation with;
    with.alpha = alpha_;
    if (!p_b_.empty()) with.p_b = from_name<SecondBound>(p_b_, "--p-b");
    const auto top_k = top_k_question(top_k_options_);
    if (top_k && with.p_b)
      throw UsageError("--p-b: top-k radii bound no second class; leave one of both out");
    if (!with.alpha && !with.p_b && !top_k)
      throw UsageError(
          "recompute: at which α, with which p_B, or for which k? As in --alpha 0.001");
    if (alpha_ && !(*alpha_ > 0 && *alpha_ < 1))
      throw UsageError(fmt::format("--alpha: {} is outside 0 … 1", *alpha_));
    const auto file = store_file(store_);
    // Looked at before it is opened for writing, which would make a store of an empty file.
    if (open_store(context, file)->runs().empty())
      throw Error(fmt::format("{}: holds no run to recompute", file.string()));
    if (top_k) return top_k_of_runs(context, file, *top_k, with);
    const auto store = open_store(context, file, ResultsStore::Access::read_write);
    const auto added = recompute_into_store(*store, with);
    if (output_.json)
      context.console.result(
          nlohmann::json{{"store", file.string()}, {"added", added}, {"runs", run_array(*store)}}
              .dump(2) +
          "\n");
    else
      context.console.result(run_table(*store));
    std::size_t exact = 0;
    for (const RunInfo& run : store->runs())
      exact += kind_of(run.settings) == CertificateKind::exact ? 1 : 0;
    if (exact > 0)
      context.console.say(fmt::format(
          "{} of the runs {} exact: without alpha and p_B there is nothing to recompute", exact,
          exact == 1 ? "is" : "are"));
    const std::string what = (with.alpha ? " at α = " + format_shortest(*alpha_) : std::string()) +
                             (with.p_b ? " with p_B " + p_b_ : std::string());
    context.console.say(fmt::format("{}{} added to {}; nothing was drawn",
                                    counted(added, "certificate"), what, file.string()));
  }

 private:
  /// A table of the runs' top-k radii. They are printed, not stored: a certificate of the store is
  /// the statement that its run was made for.
  void top_k_of_runs(Context& context, const std::filesystem::path& file,
                     const TopKQuestion& question, const Rederivation& with) const {
    const auto store = open_store(context, file);
    constexpr const char* kRow = "{:>4}  {:<20}{:>8}{:>10}{:>8}{:>8}{:>14}{:>10}  {}\n";
    std::string text = fmt::format("{}\n", to_text(question)) +
                       fmt::format(kRow, "run", "model", "σ", "n", "α", "images", "certified, %",
                                   "acr", "guarantee");
    nlohmann::json rows = nlohmann::json::array();
    for (const RunInfo& run : store->runs()) {
      if (norm_of(run.settings) != Norm::l2) {
        context.console.say(
            fmt::format("run {}: left out, {} noise says nothing of the k likeliest classes",
                        run.id, to_name(run.settings.certify.noise)));
        continue;
      }
      const CertifySettings settings = with.of(run.settings.certify);
      const BoundSettings bounds = bound_settings(settings, run.settings.shape);
      std::vector<Certificate> answers = rederive(run, store->certificates(run.id), with);
      for (Certificate& c : answers) c = top_k_certificate(c, question, bounds);
      const Summary summary = summarise(answers);
      text += fmt::format(
          kRow, run.id, printable(run.settings.model_name), noise_level(settings), settings.n,
          format_shortest(settings.alpha), summary.images,
          format_percent(static_cast<double>(summary.correct_certified) /
                             static_cast<double>(std::max<std::uint64_t>(summary.images, 1)),
                         2),
          format_down(summary.acr, 4), guarantee_text(run.settings));
      rows.push_back({{"run", run.id},
                      {"model", run.settings.model_name},
                      {"sigma", settings.sigma},
                      {"n", settings.n},
                      {"alpha", settings.alpha},
                      {"images", summary.images},
                      {"correct_certified", summary.correct_certified},
                      {"acr", summary.acr},
                      {"guarantee", guarantee_text(run.settings)}});
    }
    if (output_.json)
      context.console.result(
          nlohmann::json{
              {"store", file.string()},
              {"top_k",
               {{"k", question.k}, {"of", to_name(question.of)}, {"from", to_name(question.from)}}},
              {"runs", std::move(rows)}}
              .dump(2) +
          "\n");
    else
      context.console.result(text);
    context.console.say(
        "certified: the label is that class and stays among the k likeliest within a radius above "
        "0; nothing was drawn or stored ('smoothcert export --top-k' has the images)");
  }

  std::string store_ = "results.sqlite";
  TopKOptions top_k_options_;
  std::optional<double> alpha_;
  std::string p_b_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_recompute_command() { return std::make_unique<RecomputeCommand>(); }

}  // namespace smoothcert::cli
