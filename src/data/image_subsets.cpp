// Which images are taken, and how several processes share them.
#include <algorithm>
#include <charconv>
#include <tuple>

#include "smoothcert/device/philox.hpp"
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
  std::string hint;
  if (part.ec == std::errc() && shard.part == 0 && part.ptr != end && *part.ptr == '/') {
    const std::string parts(part.ptr + 1, end);
    hint = "; the first is 1/" + parts + " (of a Slurm array: --array=1-" + parts + ")";
  }
  throw UsageError("a shard is I/N with 1 <= I <= N, for instance 2/4, not '" + text + "'" + hint);
}

std::vector<std::uint32_t> shard_indices(std::span<const std::uint32_t> indices, Shard shard) {
  std::vector<std::uint32_t> ours;
  for (std::size_t i = shard.part - 1; i < indices.size(); i += shard.parts) {
    ours.push_back(indices[i]);
  }
  return ours;
}

std::vector<std::uint32_t> sampled_indices(std::span<const std::uint32_t> indices,
                                           std::uint64_t count, std::uint64_t seed) {
  if (count == 0) throw UsageError("a random sample of 0 images leaves nothing");
  std::vector<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> lots;  // two words, image
  for (const std::uint32_t image : indices) {
    const auto words =
        device::philox_at(seed, static_cast<std::uint32_t>(Purpose::subset), image, 0, 0);
    lots.emplace_back(words.v[0], words.v[1], image);
  }
  count = std::min<std::uint64_t>(count, lots.size());
  std::ranges::nth_element(lots, lots.begin() + static_cast<std::ptrdiff_t>(count));
  std::vector<std::uint32_t> chosen;
  for (std::uint64_t i = 0; i < count; ++i) chosen.push_back(std::get<2>(lots[i]));
  std::ranges::sort(chosen);
  return chosen;
}

std::vector<std::uint32_t> spread_over(std::span<const std::uint32_t> indices, std::size_t count) {
  count = std::min(count, indices.size());
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < count; ++i) out.push_back(indices[i * indices.size() / count]);
  return out;
}

}  // namespace smoothcert
