// Sets of image indices as short text: [[first, step, count], …].
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace smoothcert::store {

std::vector<std::uint32_t> index_union(std::vector<std::uint32_t> a,
                                       const std::vector<std::uint32_t>& b);  ///< sorted, unique
/// `indices` sorted and unique; equal sets give equal text.
std::string index_set_text(const std::vector<std::uint32_t>& indices);
/// Throws Error naming `where`.
std::vector<std::uint32_t> parse_index_set(std::string_view text, const std::string& where);

std::string subset_document(const std::string& run_key);  ///< the document's key for a run
inline constexpr std::string_view kSubsetPrefix = "subset/";

}  // namespace smoothcert::store
