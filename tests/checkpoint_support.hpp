// Checkpoints written by hand: ZIP archives and pickles, sound ones and lying ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "smoothcert/network.hpp"

namespace smoothcert::test {

struct ZipItem {
  std::string name;
  std::string content;
  bool deflate = false;
  std::optional<std::uint32_t> claimed_size;  ///< uncompressed, in both headers
  std::optional<std::uint32_t> header_at;     ///< what the directory says
  std::optional<std::uint32_t> crc32;
  std::uint16_t method = 0xffff, flags = 0;  ///< method: overrides 0 and 8
};

std::vector<std::uint8_t> zip_bytes(const std::vector<ZipItem>& items,
                                    const std::string& comment = "");

// Pieces of pickles; pickled() makes a whole one of them.
std::string pickled(const std::string& body);
std::string pickled_global(const std::string& module, const std::string& name);
std::string pickled_text(const std::string& text);
std::string pickled_int(std::int64_t value);
std::string pickled_tuple(const std::vector<std::int64_t>& values);
std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& items);
/// A call of `module.name` with `arguments` (already pickled) in a tuple.
std::string pickled_call(const std::string& module, const std::string& name,
                         const std::string& arguments);

struct TensorSpec {
  std::string storage = "FloatStorage", key = "0";
  std::int64_t storage_size = 0, offset = 0;
  std::vector<std::int64_t> shape, stride;
  std::string metadata = {};  ///< further arguments, already pickled
};
std::string pickled_tensor(const TensorSpec& tensor);

/// A .pt file of this pickle and storages named "0", "1", ….
std::vector<std::uint8_t> checkpoint_bytes(const std::string& pickle,
                                           const std::vector<std::string>& storages);
/// The same in PyTorch's format of before 1.6; float32 storages alone.
std::vector<std::uint8_t> legacy_checkpoint_bytes(const std::string& pickle,
                                                  const std::vector<std::string>& storages);
/// A batch of CIFAR's Python version, as Python 2 pickled it: protocol 2, byte strings. Image i is
/// of grey level i + 1, all have the same label.
std::string pickled_cifar_batch(int images, const std::string& labels_key, int label);
std::string floats(const std::vector<float>& values);
/// The state dict of `network`, its names after `prefix`, pickled; `storages` gets its values.
std::string pickled_state_dict(const Network& network, const std::string& prefix,
                               std::vector<std::string>& storages);

}  // namespace smoothcert::test
