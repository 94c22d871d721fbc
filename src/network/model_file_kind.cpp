// Which container a model file is, by its first bytes: names of files lie.
#include "network/model_file_kind.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include "smoothcert/error.hpp"
#include "util/zip_archive.hpp"

namespace smoothcert {
namespace {

/// The pickled magic number 0x1950a86a20f9469cfc6c, without the protocol byte before it.
constexpr std::array<std::uint8_t, 12> kLegacyMagic{0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                                    0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};

bool has(std::span<const std::uint8_t> bytes, std::size_t at,
         std::span<const std::uint8_t> wanted) {
  return bytes.size() >= at + wanted.size() &&
         std::equal(wanted.begin(), wanted.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

/// Whether the bytes begin as ONNX's ModelProto does: its version first, then fields of that
/// message up to the graph.
bool begins_as_onnx(std::span<const std::uint8_t> bytes) {
  std::size_t at = 0;
  const auto varint = [&](std::uint64_t& value) {
    value = 0;
    for (int shift = 0; shift < 63 && at < bytes.size(); shift += 7) {
      const std::uint8_t byte = bytes[at++];
      value |= std::uint64_t{byte & 0x7fu} << shift;
      if (byte < 0x80) return true;
    }
    return false;
  };
  std::uint64_t tag = 0, value = 0;
  if (!varint(tag) || tag != 8 || !varint(value) || value < 1 || value > 1000) return false;
  for (int fields = 0; fields < 64 && varint(tag); ++fields) {
    const std::uint64_t number = tag >> 3;
    const bool known =
        number == 5 || (number >= 2 && number <= 8) || number == 14 || number == 20 || number == 25;
    if (!known || (tag & 7) != (number == 5 ? 0u : 2u) || !varint(value)) return false;
    if (number == 7) return true;
    if (number != 5) {
      if (value > bytes.size() - at) return false;
      at += value;
    }
  }
  return false;
}

}  // namespace

ModelFileKind model_file_kind(std::span<const std::uint8_t> bytes) {
  if (ZipArchive::looks_like_zip(bytes)) return ModelFileKind::torch_zip;
  if (has(bytes, 2, kLegacyMagic)) return ModelFileKind::torch_legacy;
  static constexpr std::array<std::uint8_t, 5> kTar{'u', 's', 't', 'a', 'r'};
  if (has(bytes, 257, kTar)) return ModelFileKind::torch_tar;
  if (bytes.size() >= 2 && bytes[0] == 0x80 && bytes[1] >= 1 && bytes[1] <= 5 &&
      !(bytes.size() >= 9 && bytes[8] == '{'))  // a safetensors header of 128 + 256·k bytes
    return ModelFileKind::bare_pickle;
  if (begins_as_onnx(bytes)) return ModelFileKind::onnx;
  return ModelFileKind::safetensors;
}

void refuse_legacy_checkpoint(ModelFileKind kind, const std::string& where) {
  constexpr const char* kAdvice =
      "; with a recent PyTorch, save it again: torch.save(torch.load(FILE, weights_only=True), "
      "NEW_FILE)";
  if (kind == ModelFileKind::torch_tar)
    throw Error(where + ": a tar file, as PyTorch wrote before version 0.2, which is not read" +
                kAdvice);
  if (kind == ModelFileKind::bare_pickle)
    throw Error(where +
                ": a bare Python pickle, which is not read; save the tensors with torch.save() or "
                "as safetensors");
}

}  // namespace smoothcert
