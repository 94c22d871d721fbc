// Which images are taken, and how several processes share them.
#include <algorithm>
#include <charconv>

#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"

namespace smoothcert {

std::vector<std::uint32_t> spaced_indices(std::size_t total, std::size_t start, std::size_t skip,
                                          std::size_t max) {
  if (skip == 0) throw UsageError("skip is 0; take every 1st, 2nd, … image");
  std::vector<std::uint32_t> indices;
  for (std::size_t i = start; i < total && indices.size() < max; i += std::min(skip, total - i))
    indices.push_back(static_cast<std::uint32_t>(i));
  return indices;
}

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

std::vector<std::uint32_t> spread_over(std::span<const std::uint32_t> indices, std::size_t count) {
  count = std::min(count, indices.size());
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(indices[i * indices.size() / count]);
  return out;
}

}  // namespace smoothcert
