// Which images a run, a shard of it, or a store is about.
#include <charconv>

#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "store/index_set.hpp"

namespace smoothcert {

Shard parse_shard(const std::string& text) {
  Shard shard{0, 0};
  const char* const end = text.data() + text.size();
  const auto part = std::from_chars(text.data(), end, shard.part);
  if (part.ec == std::errc() && part.ptr != end && *part.ptr == '/') {
    const auto parts = std::from_chars(part.ptr + 1, end, shard.parts);
    if (parts.ec == std::errc() && parts.ptr == end && shard.part >= 1 &&
        shard.part <= shard.parts) {
      return shard;
    }
  }
  throw UsageError("a shard is I/N with 1 <= I <= N, for instance 2/4, not '" + text + "'");
}

std::vector<std::uint32_t> shard_indices(std::span<const std::uint32_t> indices, Shard shard) {
  std::vector<std::uint32_t> ours;
  for (std::size_t i = shard.part - 1; i < indices.size(); i += shard.parts) {
    ours.push_back(indices[i]);
  }
  return ours;
}

std::vector<std::uint32_t> expected_indices(const ResultsStore& store, const std::string& run_key) {
  const std::string key = store::subset_document(run_key);
  const auto text = store.document(key);
  return text ? store::parse_index_set(*text, "document '" + key + "'")
              : std::vector<std::uint32_t>();
}

}  // namespace smoothcert
