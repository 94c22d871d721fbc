// A network's file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "smoothcert/network.hpp"

namespace smoothcert {

/// safetensors, the description and the record in its metadata. Saving is atomic (rename).
void save_network(const Network& net, const std::filesystem::path& file);
Network load_network(const std::filesystem::path& file);
/// The same from bytes already read; `where` names them in errors.
Network network_from_safetensors(std::span<const std::uint8_t> bytes, const std::string& where);

}  // namespace smoothcert
