// Sets of image indices as short text: [[first, step, count], …].
#include "store/index_set.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "smoothcert/error.hpp"

namespace smoothcert::store {

std::vector<std::uint32_t> index_union(std::vector<std::uint32_t> a,
                                       const std::vector<std::uint32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  std::ranges::sort(a);
  a.erase(std::unique(a.begin(), a.end()), a.end());
  return a;
}

std::string index_set_text(const std::vector<std::uint32_t>& indices) {
  nlohmann::json pieces = nlohmann::json::array();
  for (std::size_t i = 0; i < indices.size();) {
    // The longest arithmetic progression from here.
    std::size_t count = 1;
    const std::uint32_t step = i + 1 < indices.size() ? indices[i + 1] - indices[i] : 1;
    while (i + count < indices.size() && indices[i + count] - indices[i + count - 1] == step) {
      ++count;
    }
    pieces.push_back({indices[i], step, count});
    i += count;
  }
  return pieces.dump();
}

std::vector<std::uint32_t> parse_index_set(std::string_view text, const std::string& where) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 28;        // of an index
  constexpr std::uint64_t kMostImages = std::uint64_t{1} << 25;  // a few bytes may claim them
  const auto bad = [&] { return Error(where + ": damaged list of images"); };
  const auto pieces = nlohmann::json::parse(text, nullptr, false);
  if (!pieces.is_array()) throw bad();
  std::vector<std::uint32_t> indices;
  for (const auto& piece : pieces) {
    if (!piece.is_array() || piece.size() != 3) throw bad();
    for (const auto& number : piece) {
      if (!number.is_number_unsigned() || number.get<std::uint64_t>() > kMost) throw bad();
    }
    const auto first = piece[0].get<std::uint64_t>(), step = piece[1].get<std::uint64_t>(),
               count = piece[2].get<std::uint64_t>();
    if (indices.size() + count > kMostImages) throw bad();
    for (std::uint64_t k = 0; k < count; ++k) {
      indices.push_back(static_cast<std::uint32_t>(first + k * step));
    }
  }
  return indices;
}

std::string subset_document(const std::string& run_key) {
  return std::string(kSubsetPrefix) + run_key;
}

}  // namespace smoothcert::store
