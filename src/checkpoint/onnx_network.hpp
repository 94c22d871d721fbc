// Models in ONNX's format as networks of this program.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

/// The network of an ONNX model: constants folded, operators as layers, the batch left free. What
/// its weights leave to another file is read from `folder`, where it is not empty. A note says what
/// was found. Throws Error, one line that names the node and its operator, for what has no layer
/// here; and where this program was built without ONNX.
Network onnx_network(std::span<const std::uint8_t> bytes, const std::string& where,
                     const std::filesystem::path& folder, std::vector<std::string>& notes);

}  // namespace smoothcert
