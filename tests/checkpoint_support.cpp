// Checkpoints of the tests, written byte by byte as PyTorch writes them.
#include "checkpoint_support.hpp"

#include <zlib.h>

#include <cstring>
#include <stdexcept>

namespace smoothcert::test {
namespace {

std::string little(std::uint64_t value, int width) {
  std::string bytes;
  for (int i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

std::string deflated(const std::string& content) {
  z_stream z{};
  if (deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::runtime_error("deflateInit2");
  std::string out(deflateBound(&z, content.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  z.avail_in = static_cast<uInt>(content.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return out;
}

}  // namespace

std::vector<std::uint8_t> zip_bytes(const std::vector<ZipItem>& items, const std::string& comment) {
  std::string file, directory;
  for (const ZipItem& item : items) {
    const std::string packed = item.deflate ? deflated(item.content) : item.content;
    const auto crc = item.crc32.value_or(
        static_cast<std::uint32_t>(::crc32(0, reinterpret_cast<const Bytef*>(item.content.data()),
                                           static_cast<uInt>(item.content.size()))));
    const std::uint64_t method = item.method != 0xffff ? item.method : item.deflate ? 8 : 0;
    const std::string common =
        little(item.flags, 2) + little(method, 2) + little(0, 4) + little(crc, 4) +
        little(packed.size(), 4) +
        little(item.claimed_size.value_or(static_cast<std::uint32_t>(item.content.size())), 4) +
        little(item.name.size(), 2) + little(0, 2);
    directory += "PK\1\2" + little(20, 2) + little(20, 2) + common + little(0, 2) + little(0, 2) +
                 little(0, 2) + little(0, 4) +
                 little(item.header_at.value_or(static_cast<std::uint32_t>(file.size())), 4) +
                 item.name;
    file += "PK\3\4" + little(20, 2) + common + item.name + packed;
  }
  const std::string end = "PK\5\6" + little(0, 4) + little(items.size(), 2) +
                          little(items.size(), 2) + little(directory.size(), 4) +
                          little(file.size(), 4) + little(comment.size(), 2) + comment;
  file += directory + end;
  return {file.begin(), file.end()};
}

std::string pickled(const std::string& body) { return "\x80\x02" + body + "."; }
std::string pickled_global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
std::string pickled_text(const std::string& text) { return "X" + little(text.size(), 4) + text; }
std::string pickled_int(std::int64_t value) {
  return "\x8a\x08" + little(static_cast<std::uint64_t>(value), 8);
}
std::string pickled_tuple(const std::vector<std::int64_t>& values) {
  std::string text = "(";
  for (const auto value : values) text += pickled_int(value);
  return text + "t";
}
std::string pickled_dict(const std::vector<std::pair<std::string, std::string>>& items) {
  std::string text = "}(";
  for (const auto& [key, value] : items) text += pickled_text(key) + value;
  return text + "u";
}
std::string pickled_call(const std::string& module, const std::string& name,
                         const std::string& arguments) {
  return pickled_global(module, name) + "(" + arguments + "tR";
}

std::string pickled_tensor(const TensorSpec& tensor) {
  const std::string storage = "(" + pickled_text("storage") +
                              pickled_global("torch", tensor.storage) + pickled_text(tensor.key) +
                              pickled_text("cpu") + pickled_int(tensor.storage_size) + "tQ";
  return pickled_call("torch._utils", "_rebuild_tensor_v2",
                      storage + pickled_int(tensor.offset) + pickled_tuple(tensor.shape) +
                          pickled_tuple(tensor.stride) + "\x89" +
                          pickled_call("collections", "OrderedDict", "") + tensor.metadata);
}

std::vector<std::uint8_t> checkpoint_bytes(const std::string& pickle,
                                           const std::vector<std::string>& storages) {
  std::vector<ZipItem> items{{"x/data.pkl", pickle}, {"x/byteorder", "little"}};
  for (std::size_t i = 0; i < storages.size(); ++i)
    items.push_back({"x/data/" + std::to_string(i), storages[i]});
  return zip_bytes(items);
}

std::string floats(const std::vector<float>& values) {
  std::string bytes(values.size() * sizeof(float), '\0');
  if (!values.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::string pickled_state_dict(const Network& network, const std::string& prefix,
                               std::vector<std::string>& storages) {
  std::vector<std::pair<std::string, std::string>> items;
  for (const auto& [name, tensor] : network.tensors) {
    std::vector<std::int64_t> stride(tensor.shape.size(), 1);
    for (std::size_t d = stride.size() - 1; d-- > 0;)
      stride[d] = stride[d + 1] * tensor.shape[d + 1];
    items.emplace_back(
        prefix + name,
        pickled_tensor({"FloatStorage", std::to_string(storages.size()),
                        static_cast<std::int64_t>(tensor.data.size()), 0, tensor.shape, stride}));
    storages.push_back(floats(tensor.data));
  }
  return pickled_dict(items);
}

std::vector<std::uint8_t> legacy_checkpoint_bytes(const std::string& pickle,
                                                  const std::vector<std::string>& storages) {
  std::string file = pickled("\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19");
  file += pickled(pickled_int(1001));
  file += pickled(pickled_dict({{"protocol_version", pickled_int(1001)},
                                {"little_endian", "\x88"},
                                {"type_sizes", pickled_dict({{"int", pickled_int(4)}})}}));
  file += pickle;
  std::string keys = "](";
  for (std::size_t i = 0; i < storages.size(); ++i) keys += pickled_text(std::to_string(i));
  file += pickled(keys + "e");
  for (const std::string& storage : storages)
    file += little(storage.size() / sizeof(float), 8) + storage;
  return {file.begin(), file.end()};
}

std::string pickled_cifar_batch(int images, const std::string& labels_key, int label) {
  using namespace std::string_literals;
  const auto text = [](const std::string& s) {
    return std::string("U") + static_cast<char>(s.size()) + s;
  };
  const auto count = [](std::size_t n) {
    std::string bytes = "T";
    for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>(n >> shift);
    return bytes;
  };
  std::string pixels;
  for (int i = 0; i < images; ++i) pixels += std::string(3072, static_cast<char>(i + 1));
  const std::string dtype = pickled_global("numpy", "dtype") + "(" + text("u1") + "K\0"s +
                            "K\1tR(K\3" + text("|") + "NNNJ\377\377\377\377J\377\377\377\377K\0tb"s;
  const std::string data = pickled_global("numpy.core.multiarray", "_reconstruct") + "(" +
                           pickled_global("numpy", "ndarray") + "(K\0t"s + text("b") + "tR(K\1" +
                           pickled_tuple({images, 3072}) + dtype + "\x89" + count(pixels.size()) +
                           pixels + "tb";
  std::string labels = "](";
  for (int i = 0; i < images; ++i) labels += pickled_int(label);
  return "\x80\x02}(" + text("batch_label") + text("a batch") + text("data") + data +
         text(labels_key) + labels + "e" + text("filenames") + "](" + text("a.png") + "eu.";
}

}  // namespace smoothcert::test
