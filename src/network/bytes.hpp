// A network as the bytes of its file, for whoever needs it elsewhere than on a disk.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

/// What save_network() writes; network_from_safetensors() reads it. `where` names it in errors.
std::vector<std::uint8_t> network_to_safetensors(const Network& net, const std::string& where);

}  // namespace smoothcert
