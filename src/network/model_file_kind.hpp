// Which container a model file is, by its first bytes: names of files lie.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace smoothcert {

enum class ModelFileKind {
  safetensors,   ///< or anything else that is none of these
  torch_zip,     ///< torch.save() since PyTorch 1.6
  torch_legacy,  ///< torch.save() before: pickles one after the other
  torch_tar,     ///< torch.save() before PyTorch 0.2
  bare_pickle,   ///< a pickle that torch.save() did not write
  onnx           ///< a ModelProto of ONNX
};

ModelFileKind model_file_kind(std::span<const std::uint8_t> bytes);

/// Throws Error with advice for the formats that are recognised and not read.
void refuse_legacy_checkpoint(ModelFileKind kind, const std::string& where);

}  // namespace smoothcert
