// smoothcert recompute: every run of a store at another α, from the counts it holds.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

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
    add_number_option(app, "--alpha", alpha_, "Share of certificates that may be false")
        ->default_str("");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (alpha_ == kNone) throw UsageError("recompute: at which α? As in --alpha 0.001");
    if (!(alpha_ > 0 && alpha_ < 1))
      throw UsageError(fmt::format("--alpha: {} is outside 0 … 1", format_shortest(alpha_)));
    const auto file = store_file(store_);
    if (!std::filesystem::exists(file))
      throw Error(fmt::format("there is no results store '{}'", file.string()));
    const auto store = ResultsStore::open(file, ResultsStore::Access::read_write);
    const auto added = recompute_into_store(*store, alpha_);
    if (output_.json)
      context.console.result(nlohmann::json{{"store", file.string()},
                                            {"alpha", alpha_},
                                            {"added", added},
                                            {"runs", run_array(*store)}}
                                 .dump(2) +
                             "\n");
    else
      context.console.result(run_table(*store));
    context.console.say(fmt::format("{} certificates at α = {} added to {}; nothing was drawn",
                                    format_count(added), format_shortest(alpha_), file.string()));
  }

 private:
  static constexpr double kNone = -1;
  std::string store_ = "results.sqlite";
  double alpha_ = kNone;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_recompute_command() { return std::make_unique<RecomputeCommand>(); }

}  // namespace smoothcert::cli
