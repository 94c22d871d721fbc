// The tensors of a file that torch.save() wrote (the ZIP format of PyTorch 1.6 and later).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/zip_archive.hpp"
#include "smoothcert/network.hpp"

namespace smoothcert {

/// A view of a storage; counts are in elements.
struct TorchTensor {
  std::string dtype;  ///< "float32", "int64", …
  std::vector<std::int64_t> shape, stride;
  std::int64_t offset = 0;
  std::string storage;  ///< its key: a file data/<key> of the archive
  std::int64_t storage_size = 0;
};

class TorchFile {
 public:
  /// `bytes` must outlive it. Reads the names and shapes of the state dict: the file's only object,
  /// or what that holds under state_dict, model_state_dict, model or net. Executes nothing. Throws
  /// Error naming `where`.
  TorchFile(std::span<const std::uint8_t> bytes, std::string where);

  [[nodiscard]] const std::map<std::string, TorchTensor>& tensors() const { return tensors_; }

  /// float32, contiguous: converted from float64, float16 and bfloat16, gathered where strided.
  /// Allocates what the shape says; check it first. Throws Error naming the tensor: another dtype,
  /// a view that leaves its storage, a storage that is missing or of the wrong size.
  [[nodiscard]] Tensor read(const std::string& name);

 private:
  const std::vector<std::uint8_t>& storage(const std::string& name, const TorchTensor& tensor,
                                           std::uint64_t element_size);

  ZipArchive archive_;
  std::string where_, folder_;
  std::map<std::string, TorchTensor> tensors_;
  std::string cached_key_;
  std::vector<std::uint8_t> cached_;  ///< the storage read last: tensors may share one
};

}  // namespace smoothcert
