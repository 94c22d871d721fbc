// The safetensors container: an 8-byte little-endian header length, a JSON header, the tensors'
// bytes. https://github.com/huggingface/safetensors (format description).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert {

struct SafetensorsFile {
  std::map<std::string, Tensor> tensors;         ///< float32; 64-bit integer scalars in `integers`
  std::map<std::string, std::int64_t> integers;  ///< num_batches_tracked and the like
  std::map<std::string, std::string> metadata;
};

/// Reads F32 tensors (F64, F16 and BF16 are converted exactly or rounded to nearest) and I64
/// scalars. Throws Error naming `where` and the tensor: not a safetensors file, truncated, offsets
/// that overlap, leave holes or leave the file, a dtype it cannot use, a size that does not fit the
/// shape, a name given twice.
SafetensorsFile parse_safetensors(std::span<const std::uint8_t> bytes, const std::string& where);

/// Clamp and training record from the metadata, where they are there. Throws Error for another
/// format of ours, another input range, a clamp that is neither true nor false.
void read_network_metadata(const SafetensorsFile& file, Network& net, const std::string& where);

/// Deterministic bytes: tensors in the order of the map, header padded to 8 bytes.
std::vector<std::uint8_t> format_safetensors(const SafetensorsFile& file);

}  // namespace smoothcert
