// "unknown X 'covnn'; did you mean 'convnn'?"
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smoothcert {

/// The candidate at the smallest edit distance (Damerau–Levenshtein, adjacent transpositions), or
/// "" where none is near enough to be a plausible slip.
std::string nearest_name(std::string_view word, const std::vector<std::string>& candidates);

/// The whole error line: unknown `what` 'word'; did you mean 'x'? (known: a, b, c)
std::string unknown_name_message(std::string_view what, std::string_view word,
                                 const std::vector<std::string>& candidates);

}  // namespace smoothcert
