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

}  // namespace smoothcert
