// smoothcert radius: votes in, certificates out; no model, no data, nothing drawn.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "certify_options.hpp"
#include "commands.hpp"
#include "options.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/statistics.hpp"
#include "smoothcert/vote_file.hpp"

namespace smoothcert::cli {
namespace {

class RadiusCommand : public Command {
 public:
  void define(CLI::App& app) override {
    app.add_option("FILE", file_, "Votes: columns k and n (and second), or counts and selected")
        ->type_name("FILE");
    add_number_option(app, "--sigma", sigma_,
                      "Standard deviation of the Gaussian noise, of [0,1] pixels");
    add_number_option(app, "--alpha", bounds_.alpha, "Share of certificates that may be false");
    add_p_b_option(app, p_b_, "");
    add_number_option(app, "--slack", bounds_.slack,
                      "Total variation between the noise of an image as drawn and the ideal law");
    app.add_flag(
        "--stopped-early", sequential_,
        "The samples were stopped by looking at them: bounds that hold at any n up to --n");
    add_count_option(app, "--n", n_max_,
                     "The most samples an image could get, with --stopped-early");
    add_output_options(app, output_);
  }
  bool quiet() const override { return output_.quiet; }

  void run(Context& context) override {
    if (file_.empty())
      throw UsageError("radius: votes from which file? As in 'smoothcert radius votes.tsv'");
    if (!sigma_)
      throw UsageError("--sigma: under noise of which standard deviation? As in --sigma 0.5");
    if (!(*sigma_ > 0) || !std::isfinite(*sigma_))
      throw UsageError(fmt::format("--sigma: {} is no standard deviation", *sigma_));
    if (!(bounds_.alpha > 0 && bounds_.alpha < 1))
      throw UsageError(fmt::format("--alpha: {} is outside 0 … 1", bounds_.alpha));
    if (!(bounds_.slack >= 0 && bounds_.slack < 0.5))
      throw UsageError(fmt::format("--slack: {} is outside 0 … 0.5", bounds_.slack));
    if (sequential_ != (n_max_ > 0))
      throw UsageError(
          "--stopped-early and --n go together: the most samples are part of the bound");
    bounds_.sigma = *sigma_;
    bounds_.p_b = from_name<SecondBound>(p_b_, "--p-b");
    const VoteFile votes = read_vote_file(file_);
    if (bounds_.p_b == SecondBound::counted && !votes.has_second)
      throw UsageError(fmt::format("--p-b counted: {} has no column 'second', or 'counts'", file_));
    for (const VoteRow& row : votes.rows)
      if (sequential_ && row.votes.n > n_max_)
        throw UsageError(fmt::format("--n: {} has a row of {} samples", file_, row.votes.n));
    if (sequential_) bounds_.sampling = Sampling::up_to(n_max_);
    context.console.result(output_.json ? json_text(votes) : tsv(votes));
    context.console.say(
        "each row is a certificate at alpha if its class was chosen without these votes" +
        std::string(sequential_ ? "" : " and n was fixed before they were drawn"));
  }

 private:
  /// The file's columns, p_lower and radius.
  [[nodiscard]] std::string tsv(const VoteFile& votes) const {
    std::string text;
    for (const std::string& column : votes.columns) text += column + "\t";
    text += "p_lower\tradius\n";
    for (const VoteRow& row : votes.rows) {
      const VoteBounds bound = bound_votes(row.votes, bounds_);
      for (const std::string& cell : row.cells) text += cell + "\t";
      text += format_radius(bound.p_lower) + "\t" + format_radius(bound.radius) + "\n";
    }
    return text;
  }

  [[nodiscard]] std::string json_text(const VoteFile& votes) const {
    nlohmann::json rows = nlohmann::json::array();
    for (const VoteRow& row : votes.rows) {
      const VoteBounds bound = bound_votes(row.votes, bounds_);
      nlohmann::json one = {{"k", row.votes.a},
                            {"n", row.votes.n},
                            {"p_lower", bound.p_lower},
                            {"radius", bound.radius}};
      if (votes.has_second) one["second"] = row.votes.second;
      rows.push_back(std::move(one));
    }
    return nlohmann::json{
               {"sigma", bounds_.sigma}, {"alpha", bounds_.alpha}, {"certificates", rows}}
               .dump(2) +
           "\n";
  }

  std::string file_, p_b_ = "complement";
  std::optional<double> sigma_;
  BoundSettings bounds_{.sigma = 1, .alpha = 0.001, .slack = 0};
  bool sequential_ = false;
  std::uint64_t n_max_ = 0;
  OutputOptions output_;
};

}  // namespace

std::unique_ptr<Command> make_radius_command() { return std::make_unique<RadiusCommand>(); }

}  // namespace smoothcert::cli
