// smoothcert recompute: every run of a store at another α or with another p_B, from its counts.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>

#include "certify_options.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "run_list.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "util/format_number.hpp"

namespace smoothcert::cli {
namespace {

class RecomputeCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("STORE", store_, "Results store, or a folder with one")->capture_default_str();
    add_number_option(app, "--alpha", alpha_, "Share of certificates that may be false");
    add_p_b_option(app, p_b_, "");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    Rederivation with;
    with.alpha = alpha_;
    if (!p_b_.empty()) with.p_b = from_name<SecondBound>(p_b_, "--p-b");
    if (!with.alpha && !with.p_b)
      throw UsageError("recompute: at which α, or with which p_B? As in --alpha 0.001");
    if (alpha_ && !(*alpha_ > 0 && *alpha_ < 1))
      throw UsageError(fmt::format("--alpha: {} is outside 0 … 1", *alpha_));
    const auto file = store_file(store_);
    // Looked at before it is opened for writing, which would make a store of an empty file.
    if (open_store(context, file)->runs().empty())
      throw Error(fmt::format("{}: holds no run to recompute", file.string()));
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
  std::string store_ = "results.sqlite";
  std::optional<double> alpha_;
  std::string p_b_;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_recompute_command() { return std::make_unique<RecomputeCommand>(); }

}  // namespace smoothcert::cli
