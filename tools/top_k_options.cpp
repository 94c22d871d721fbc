// --top-k and its companions.
#include "top_k_options.hpp"

#include <CLI/CLI.hpp>

#include "options.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cli {

void add_top_k_options(CLI::App& app, TopKOptions& options) {
  const std::string group = "Top-k radii, from the stored counts";
  add_positive_count_option(app, "--top-k", options.k,
                            "The radius within which a class stays among the K likeliest")
      ->type_name("K")
      ->group(group);
  app.add_option("--top-of", options.of,
                 "Which class: selected (by the votes of the selection stage), or the label, which "
                 "is a statement of its own at α")
      ->type_name("NAME")
      ->group(group);
  app.add_option("--top-from", options.from,
                 "From its own share of the votes, or from the counts of all classes: chosen "
                 "beforehand, the larger of both is no certificate at α")
      ->type_name("NAME")
      ->group(group);
}

std::optional<TopKQuestion> top_k_question(const TopKOptions& options) {
  if (!options.k) {
    if (!options.of.empty() || !options.from.empty())
      throw UsageError((options.of.empty() ? std::string("--top-from") : std::string("--top-of")) +
                       ": among how many classes? Give --top-k K as well");
    return std::nullopt;
  }
  TopKQuestion question;
  question.k = static_cast<std::uint32_t>(*options.k);
  if (!options.of.empty()) question.of = from_name<TopKOf>(options.of, "--top-of");
  if (!options.from.empty()) question.from = from_name<TopKFrom>(options.from, "--top-from");
  return question;
}

}  // namespace smoothcert::cli
