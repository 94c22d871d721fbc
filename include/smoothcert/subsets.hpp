// Which images of a data set are taken, and how several processes share them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace smoothcert {

/// Evenly spaced indices: every (total/count)-th image, as `--skip` would take them.
std::vector<std::uint32_t> spaced_indices(std::size_t total, std::size_t start, std::size_t skip,
                                          std::size_t max);

/// `count` of the indices, or all where there are fewer, spread evenly over them.
std::vector<std::uint32_t> spread_over(std::span<const std::uint32_t> indices, std::size_t count);

/// `count` of `indices` (all where there are no more), chosen at random by `seed` and nothing else,
/// in ascending order. A larger count chooses the same and more. Throws UsageError: 0.
std::vector<std::uint32_t> sampled_indices(std::span<const std::uint32_t> indices,
                                           std::uint64_t count, std::uint64_t seed);

/// Part `part` of `parts` (1 … parts) of the images: every parts-th one. "2/4" as text. Throws
/// UsageError.
struct Shard {
  std::uint32_t part = 1, parts = 1;
};
Shard parse_shard(const std::string& text);
std::vector<std::uint32_t> shard_indices(std::span<const std::uint32_t> indices, Shard shard);

}  // namespace smoothcert
