// Text forms of what the store keeps: counts, enumerations, and the identity of a run.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/names.hpp"

namespace smoothcert::store {

std::string counts_text(const std::vector<std::uint64_t>& counts);  ///< "[3,0,997]"
/// Throws Error naming `where` when the text is not such a list.
std::vector<std::uint64_t> parse_counts(std::string_view text, const std::string& where);

/// The value of this name. Throws Error naming `where`: what a store holds is not the user's slip.
template <class E>
E stored_name(std::string_view name, const std::string& where) {
  if (const auto value = find_name<E>(name)) return *value;
  throw Error(where + ": unknown " + Names<E>::kWhat + " '" + std::string(name) + "'");
}

std::string certificate_text(const Certificate& certificate);  ///< everything but the time
std::string chunk_text(const ChunkCounts& chunk);

}  // namespace smoothcert::store
