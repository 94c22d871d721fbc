// The tensors of a file that torch.save() wrote: the ZIP format of PyTorch 1.6 and later, or the
// pickles one after the other of the versions before it.
#include "checkpoint/torch_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <utility>

#include "checkpoint/pickle.hpp"
#include "checkpoint/pickle_globals.hpp"
#include "smoothcert/error.hpp"
#include "util/half.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

using Kind = PickleValue::Kind;

constexpr std::uint64_t kMostPickleBytes = std::uint64_t{64} << 20;
constexpr std::int64_t kMostElements = std::int64_t{1} << 31;

/// "archive/" of "archive/data.pkl".
std::string folder_of_pickle(const ZipArchive& archive, const std::string& where) {
  const std::string name = "data.pkl";
  const ZipEntry* found = nullptr;
  for (const ZipEntry& entry : archive.entries()) {
    if (entry.name != name && !entry.name.ends_with("/" + name)) continue;
    if (found != nullptr) throw Error(where + ": a ZIP file with two data.pkl; which is meant?");
    found = &entry;
  }
  if (found == nullptr)
    throw Error(where + ": a ZIP file, but not one that torch.save() wrote (no data.pkl in it)");
  const std::string folder = found->name.substr(0, found->name.size() - name.size());
  for (const ZipEntry& entry : archive.entries())
    if (entry.name == folder + "constants.pkl" || entry.name.starts_with(folder + "code/"))
      throw Error(where +
                  ": a TorchScript module; save the state dict of the module alone: "
                  "torch.save(module.state_dict(), FILE)");
  return folder;
}

bool holds_tensors(const Pickle& pickle, const PickleValue& dict) {
  for (std::size_t i = 1; dict.kind == Kind::dict && i < dict.items.size(); i += 2)
    if (pickle.at(dict.items[i]).kind == Kind::tensor) return true;
  return false;
}

/// An opaque value where a tensor should be.
[[noreturn]] void refuse_value(const PickleValue& key, const PickleValue& value,
                               const std::string& where) {
  if (value.text.starts_with("a tensor with"))
    throw Error(
        fmt::format("{}: '{}' is {}, which changes its values and is not read; resolve_neg() and "
                    "resolve_conj() before it is saved write the values themselves",
                    where, printable(key.text), printable(value.text)));
  refuse_opaque(value.text + (key.kind == Kind::text ? " for '" + key.text + "'" : ""), where);
}

const PickleValue& state_dict_of(const Pickle& pickle, const std::string& where) {
  const PickleValue& root = pickle.at(pickle.root);
  if (root.kind == Kind::opaque) refuse_opaque(root.text, where);
  for (const char* key : {"state_dict", "model_state_dict", "model", "net"})
    if (const auto* inner = pickle.find(root, key); inner != nullptr)
      if (holds_tensors(pickle, *inner)) return *inner;
  if (holds_tensors(pickle, root)) return root;
  for (const char* key : {"state_dict", "model_state_dict", "model", "net"})
    if (const auto* inner = pickle.find(root, key); inner != nullptr && inner->kind == Kind::opaque)
      refuse_opaque(inner->text, where);
  for (std::size_t i = 1; root.kind == Kind::dict && i < root.items.size(); i += 2)
    if (const auto& value = pickle.at(root.items[i]); value.kind == Kind::opaque)
      refuse_value(pickle.at(root.items[i - 1]), value, where);
  throw Error(where +
              ": no state dict in it: neither the object itself nor its state_dict, "
              "model_state_dict, model or net is a dict of tensors");
}

/// The last element that a view touches; −1 for an empty one. Throws std::overflow_error.
std::int64_t last_element(const TorchTensor& tensor) {
  std::int64_t last = tensor.offset;
  for (std::size_t d = 0; d < tensor.shape.size(); ++d) {
    if (tensor.shape[d] == 0) return -1;
    std::int64_t reach = 0;
    if (__builtin_mul_overflow(tensor.shape[d] - 1, tensor.stride[d], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      throw std::overflow_error("view");
  }
  return last;
}

std::int64_t element_count(const TorchTensor& tensor) {
  std::int64_t count = 1;
  for (const std::int64_t extent : tensor.shape) {
    if (extent != 0 && count > kMostElements / extent) throw std::overflow_error("shape");
    count *= extent;
  }
  return count;
}

std::uint64_t element_size(const std::string& dtype) {
  if (dtype == "float64") return 8;
  if (dtype == "float32") return 4;
  if (dtype == "float16" || dtype == "bfloat16") return 2;
  return 0;
}

float element(const std::string& dtype, const std::uint8_t* at) {
  const auto as = [at](auto value) {
    std::memcpy(&value, at, sizeof value);
    return value;
  };
  if (dtype == "float32") return as(float{});
  if (dtype == "float64") return static_cast<float>(as(double{}));
  return dtype == "float16" ? half_to_float(as(std::uint16_t{}))
                            : bfloat16_to_float(as(std::uint16_t{}));
}

}  // namespace

TorchFile::TorchFile(std::span<const std::uint8_t> bytes, std::string where)
    : where_(std::move(where)) {
  ZipArchive::looks_like_zip(bytes) ? read_zip(bytes) : read_legacy(bytes);
}

void TorchFile::read_zip(std::span<const std::uint8_t> bytes) {
  archive_.emplace(bytes, where_);
  folder_ = folder_of_pickle(*archive_, where_);
  if (const auto* order = archive_->find(folder_ + "byteorder")) {
    const auto text = archive_->read(*order, 16);
    if (std::string(text.begin(), text.end()) != "little")
      throw Error(where_ + ": saved on a big-endian machine; save it again on another");
  }
  read_state_dict(parse_pickle(
      archive_->read(*archive_->find(folder_ + "data.pkl"), kMostPickleBytes), where_));
}

/// A magic number, a version, the machine, the object, the keys of its storages: five pickles; then
/// each storage, its number of elements before it (torch/serialization.py, _legacy_save).
void TorchFile::read_legacy(std::span<const std::uint8_t> bytes) {
  const auto next = [&] {
    Pickle pickle =
        parse_pickle(bytes.first(std::min<std::size_t>(bytes.size(), kMostPickleBytes)), where_);
    bytes = bytes.subspan(pickle.size);
    return pickle;
  };
  next();  // the magic number, by which the format was recognised
  const Pickle version = next();
  if (version.at(version.root).kind != Kind::integer || version.at(version.root).integer != 1001)
    throw Error(where_ + ": saved in a version of PyTorch's old format other than 1001");
  const Pickle machine = next();
  const PickleValue* little = machine.find(machine.at(machine.root), "little_endian");
  if (little == nullptr || little->kind != Kind::boolean || little->integer == 0)
    throw Error(where_ + ": saved on a big-endian machine; save it again on another");
  const Pickle object = next();
  const Pickle keys = next();
  std::map<std::string, const PickleValue*> storages;
  for (const PickleValue& value : object.values)
    if (value.kind == Kind::storage) storages.emplace(value.text, &value);
  for (const ValueId id : keys.at(keys.root).items) {
    const auto found = storages.find(keys.at(id).text);
    if (keys.at(id).kind != Kind::text || found == storages.end())
      throw Error(
          fmt::format("{}: its storage '{}' is of a kind that is not known, so that what "
                      "follows cannot be found",
                      where_, printable(keys.at(id).text)));
    std::uint64_t elements = 0;
    if (bytes.size() < sizeof elements) throw Error(where_ + ": it is cut short");
    std::memcpy(&elements, bytes.data(), sizeof elements);
    bytes = bytes.subspan(sizeof elements);
    const std::uint64_t width = dtype_size(found->second->dtype);
    if (elements > bytes.size() / width)
      throw Error(
          fmt::format("{}: its storage '{}' is cut short", where_, printable(found->first)));
    legacy_storages_.emplace(found->first, bytes.first(elements * width));
    bytes = bytes.subspan(elements * width);
  }
  read_state_dict(object);
}

void TorchFile::read_state_dict(const Pickle& pickle) {
  const PickleValue& dict = state_dict_of(pickle, where_);
  const PickleValue* arch = pickle.find(pickle.at(pickle.root), "arch");
  if (arch != nullptr && arch->kind == Kind::text) arch_ = arch->text;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue &key = pickle.at(dict.items[i]), &value = pickle.at(dict.items[i + 1]);
    // In Python the last of equal keys is the one that stays.
    if (key.kind == Kind::text) tensors_.erase(key.text);
    if (value.kind == Kind::opaque) refuse_value(key, value, where_);
    if (value.kind == Kind::array && key.kind == Kind::text)
      throw Error(
          fmt::format("{}: '{}' is a NumPy array, not a tensor; save it with "
                      "torch.from_numpy()",
                      where_, printable(key.text)));
    if (value.kind != Kind::tensor) continue;  // an _extra_state, a count
    if (key.kind != Kind::text)
      throw Error(where_ + ": its state dict has a tensor without a name");
    const PickleValue& storage = pickle.at(value.items.at(0));
    tensors_.emplace(key.text, TorchTensor{storage.dtype, value.shape, value.stride, value.integer,
                                           storage.text, storage.integer});
  }
}

std::span<const std::uint8_t> TorchFile::storage(const std::string& name, const TorchTensor& tensor,
                                                 std::uint64_t element_size) {
  const std::uint64_t size = static_cast<std::uint64_t>(tensor.storage_size) * element_size;
  const auto check = [&](bool there, std::uint64_t bytes) {
    if (!there)
      throw Error(fmt::format("{}: tensor '{}': its storage '{}' is not in the file", where_,
                              printable(name), printable(tensor.storage)));
    if (bytes != size)
      throw Error(fmt::format("{}: tensor '{}': its storage '{}' has {} bytes, expected {} × {}",
                              where_, printable(name), printable(tensor.storage), bytes,
                              tensor.storage_size, element_size));
  };
  if (!archive_) {
    const auto found = legacy_storages_.find(tensor.storage);
    const bool there = found != legacy_storages_.end();
    check(there, there ? found->second.size() : 0);
    return found->second;
  }
  const ZipEntry* entry = archive_->find(folder_ + "data/" + tensor.storage);
  check(entry != nullptr, entry != nullptr ? entry->size : 0);
  if (cached_key_ != entry->name) {
    cached_ = archive_->read(*entry, size);
    cached_key_ = entry->name;
  }
  return cached_;
}

Tensor TorchFile::read(const std::string& name) {
  const TorchTensor& view = tensors_.at(name);
  const auto bad = [&](const std::string& what) {
    return Error(fmt::format("{}: tensor '{}' {}", where_, printable(name), what));
  };
  const std::uint64_t size = element_size(view.dtype);
  if (size == 0)
    throw bad("has dtype " + view.dtype +
              "; expected float32 (float64, float16 and bfloat16 are "
              "converted)");
  if (view.storage_size > kMostElements) throw bad("has too large a storage");
  std::int64_t count = 0;
  try {
    count = element_count(view);
    if (last_element(view) >= view.storage_size)
      throw bad(fmt::format("leaves its storage of {} elements", view.storage_size));
  } catch (const std::overflow_error&) {
    throw bad("has sizes that no tensor has");
  }
  const auto bytes = storage(name, view, size);
  Tensor tensor{view.shape, std::vector<float>(static_cast<std::size_t>(count))};
  std::vector<std::int64_t> index(view.shape.size(), 0), stride = view.stride;
  for (std::size_t d = 0; d < stride.size(); ++d)
    if (view.shape[d] == 1) stride[d] = 0;  // may be anything, as it is never taken
  std::int64_t at = view.offset;
  for (float& value : tensor.data) {
    value = element(view.dtype, bytes.data() + static_cast<std::uint64_t>(at) * size);
    for (std::size_t d = index.size(); d-- > 0;) {  // the next index, last dimension first
      at += stride[d];
      if (++index[d] < view.shape[d]) break;
      at -= stride[d] * view.shape[d];
      index[d] = 0;
    }
  }
  return tensor;
}

}  // namespace smoothcert
