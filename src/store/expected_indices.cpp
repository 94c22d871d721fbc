// Which images the runs of a store are meant to hold.
#include "smoothcert/results.hpp"
#include "store/index_set.hpp"

namespace smoothcert {

std::vector<std::uint32_t> expected_indices(const ResultsStore& store, const std::string& run_key) {
  const std::string key = store::subset_document(run_key);
  const auto text = store.document(key);
  return text ? store::parse_index_set(*text, "document '" + key + "'")
              : std::vector<std::uint32_t>();
}

namespace {
std::string only_correct_document(const RunInfo& run) { return "only-correct/" + run.key; }
}  // namespace

bool only_correct(const ResultsStore& store, const RunInfo& run) {
  return store.document(only_correct_document(run)) == "true";
}

void mark_only_correct(ResultsStore& store, const RunInfo& run, bool only) {
  if (only_correct(store, run) != only)
    store.put_document(only_correct_document(run), only ? "true" : "false");
}

}  // namespace smoothcert
