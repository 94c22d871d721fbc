// Text forms of what the store keeps: counts, enumerations, and the identity of a run.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "smoothcert/certificate.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/names.hpp"

namespace smoothcert::store {

/// "[3,0,997]"; of more than a hundred classes those that got votes alone: {"17":3,"404":997}.
std::string counts_text(const std::vector<std::uint64_t>& counts);
/// Both forms. Throws Error naming `where` when the text is neither, or not over `classes` classes.
std::vector<std::uint64_t> parse_counts(std::string_view text, int classes,
                                        const std::string& where);

/// The value of this name. Throws Error naming `where`: what a store holds is not the user's slip.
template <class E>
E stored_name(std::string_view name, const std::string& where) {
  if (const auto value = find_name<E>(name)) return *value;
  throw Error(where + ": unknown " + Names<E>::kWhat + " '" + std::string(name) + "'");
}

/// "alpha=0.001 p_b=complement"; "" for none.
std::string stopped_at_text(const CertifySettings& settings);
std::optional<CertifySettings::StoppedAt> parse_stopped_at(const std::string& text,
                                                           const std::string& where);
/// How the checkpoints of sequential runs lie: 500, then 5/4 of the last, at last n.
inline constexpr const char* kCheckpoints = "500*5/4";

std::string certificate_text(const Certificate& certificate);  ///< everything but the time
std::string chunk_text(const ChunkCounts& chunk);

/// SHA-256 over the run's key and the counts: a row whose counts were changed, or that was moved to
/// another run, no longer fits it.
std::string checksum(const std::string& run_key, const Certificate& certificate);
std::string checksum(const std::string& run_key, const ChunkCounts& chunk);

}  // namespace smoothcert::store
