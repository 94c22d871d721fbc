// --top-k and its companions: which of the k likeliest classes a command is asked about.
#pragma once

#include <optional>
#include <string>

#include "smoothcert/more_certificates.hpp"

namespace CLI {
class App;
}  // namespace CLI

namespace smoothcert::cli {

struct TopKOptions {
  std::optional<int> k;
  std::string of, from;  ///< as given
};
void add_top_k_options(CLI::App& app, TopKOptions& options);

/// Nothing where no k is given. Throws UsageError for unknown names, and for --top-of or --top-from
/// without a k.
std::optional<TopKQuestion> top_k_question(const TopKOptions& options);

}  // namespace smoothcert::cli
