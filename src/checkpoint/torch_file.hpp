// The tensors of a file that torch.save() wrote: the ZIP format of PyTorch 1.6 and later, or the
// pickles one after the other of the versions before it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "checkpoint/pickle.hpp"
#include "smoothcert/network.hpp"
#include "util/zip_archive.hpp"

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
  /// or what that holds under state_dict, model_state_dict, model or net. Executes nothing, and
  /// skips what stands beside the state dict. Throws Error naming `where`.
  TorchFile(std::span<const std::uint8_t> bytes, std::string where);

  [[nodiscard]] const std::map<std::string, TorchTensor>& tensors() const { return tensors_; }

  /// The text under `arch` beside the state dict: what the training code called the network; ""
  /// where there is none.
  [[nodiscard]] const std::string& arch() const { return arch_; }

  /// float32, contiguous: converted from float64, float16 and bfloat16, gathered where strided.
  /// Allocates what the shape says; check it first. Throws Error naming the tensor: another dtype,
  /// a view that leaves its storage, a storage that is missing or of the wrong size.
  [[nodiscard]] Tensor read(const std::string& name);

 private:
  void read_zip(std::span<const std::uint8_t> bytes);
  void read_legacy(std::span<const std::uint8_t> bytes);
  void read_state_dict(const Pickle& pickle);
  std::span<const std::uint8_t> storage(const std::string& name, const TorchTensor& tensor,
                                        std::uint64_t element_size);

  std::string where_, folder_, arch_;
  std::optional<ZipArchive> archive_;
  std::map<std::string, std::span<const std::uint8_t>> legacy_storages_;
  std::map<std::string, TorchTensor> tensors_;
  std::string cached_key_;
  std::vector<std::uint8_t> cached_;  ///< the storage read last: tensors may share one
};

}  // namespace smoothcert
