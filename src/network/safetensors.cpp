// The safetensors container, read and written.
#include "network/safetensors.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "smoothcert/error.hpp"
#include "util/half.hpp"
#include "util/json_depth.hpp"

namespace smoothcert {
namespace {

static_assert(std::endian::native == std::endian::little, "tensor bytes are copied as they are");

using Json = nlohmann::json;
constexpr std::uint64_t kMaxHeader = 100'000'000;  // the limit of the reference implementation
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 31;  // squared, it still fits 64 bits

struct Entry {
  std::string name, dtype;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;
  std::uint64_t elements = 1;
};

std::size_t dtype_size(const std::string& dtype) {
  if (dtype == "F64" || dtype == "I64") return 8;
  if (dtype == "F32") return 4;
  if (dtype == "F16" || dtype == "BF16") return 2;
  return 0;
}

Json parse_header(std::span<const std::uint8_t> bytes, const std::string& where,
                  std::uint64_t& header_size) {
  if (bytes.size() < 8)
    throw Error(where + ": not a safetensors file (only " + std::to_string(bytes.size()) +
                " bytes)");
  std::memcpy(&header_size, bytes.data(), 8);
  if (header_size < 2 || header_size > kMaxHeader || bytes[8 % bytes.size()] != '{')
    throw Error(where + ": not a safetensors file (no header where one should be)");
  if (header_size > bytes.size() - 8)
    throw Error(where + ": truncated: the header needs " + std::to_string(header_size) +
                " bytes, the file has " + std::to_string(bytes.size() - 8));
  // A name given twice would silently hide a tensor.
  std::vector<std::set<std::string>> keys;
  std::string twice;
  const auto limit = limit_json_depth<Json>(where);
  const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
    limit(depth, event, value);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key && !keys.back().insert(value.get<std::string>()).second)
      twice = value.get<std::string>();
    return true;
  };
  const char* begin = reinterpret_cast<const char*>(bytes.data()) + 8;
  Json header;
  try {
    header = Json::parse(begin, begin + header_size, watch);
  } catch (const Json::exception&) {
    throw Error(where + ": not a safetensors file (its header is not valid JSON)");
  }
  if (!twice.empty())
    throw Error(where + ": the name '" + twice + "' is given twice in the header");
  if (!header.is_object())
    throw Error(where + ": not a safetensors file (its header is no object)");
  return header;
}

Entry parse_entry(const std::string& name, const Json& json, const std::string& where) {
  const auto malformed = [&](const char* what) {
    return Error(where + ": tensor '" + name + "': " + what);
  };
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() ||
      !json.contains("shape") || !json["shape"].is_array() || !json.contains("data_offsets") ||
      !json["data_offsets"].is_array() || json["data_offsets"].size() != 2)
    throw malformed("its header entry needs dtype, shape and data_offsets");
  Entry entry;
  entry.name = name;
  entry.dtype = json["dtype"].get<std::string>();
  if (json["shape"].size() > 16) throw malformed("it has more than 16 dimensions");
  for (const Json& extent : json["shape"]) {
    if (!extent.is_number_unsigned() || extent.get<std::uint64_t>() > kMaxElements)
      throw malformed("its shape holds something that is no size");
    entry.shape.push_back(extent.get<std::int64_t>());
    entry.elements *= extent.get<std::uint64_t>();
    if (entry.elements > kMaxElements) throw malformed("its shape is too large");
  }
  for (const Json& offset : json["data_offsets"])
    if (!offset.is_number_unsigned()) throw malformed("its data_offsets are no file positions");
  entry.begin = json["data_offsets"][0].get<std::uint64_t>();
  entry.end = json["data_offsets"][1].get<std::uint64_t>();
  if (entry.begin > entry.end) throw malformed("its data_offsets run backwards");
  return entry;
}

void check_layout(std::vector<Entry>& entries, std::uint64_t data_size, const std::string& where) {
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const Entry& entry : entries) {
    if (entry.end > data_size)
      throw Error(where + ": tensor '" + entry.name + "' ends at byte " +
                  std::to_string(entry.end) + " of the data, but there are only " +
                  std::to_string(data_size) + " (truncated file?)");
    if (entry.begin < position)
      throw Error(where + ": tensor '" + entry.name + "' overlaps the one before it");
    if (entry.begin > position)
      throw Error(where + ": a hole of " + std::to_string(entry.begin - position) +
                  " bytes before tensor '" + entry.name + "'");
    position = entry.end;
  }
  if (position != data_size)
    throw Error(where + ": " + std::to_string(data_size - position) +
                " bytes after the last tensor belong to none");
}

template <class T>
T element(const std::uint8_t* data, std::uint64_t index) {
  T value;
  std::memcpy(&value, data + index * sizeof(T), sizeof(T));
  return value;
}

std::vector<float> to_floats(const Entry& entry, const std::uint8_t* data) {
  std::vector<float> values(entry.elements);
  for (std::uint64_t i = 0; i < entry.elements; ++i) {
    if (entry.dtype == "F32") values[i] = element<float>(data, i);
    if (entry.dtype == "F64") values[i] = static_cast<float>(element<double>(data, i));
    if (entry.dtype == "F16") values[i] = half_to_float(element<std::uint16_t>(data, i));
    if (entry.dtype == "BF16") values[i] = bfloat16_to_float(element<std::uint16_t>(data, i));
  }
  return values;
}

}  // namespace

SafetensorsFile parse_safetensors(std::span<const std::uint8_t> bytes, const std::string& where) {
  std::uint64_t header_size = 0;
  const Json header = parse_header(bytes, where, header_size);
  SafetensorsFile file;
  std::vector<Entry> entries;
  for (const auto& [name, json] : header.items()) {
    if (name == "__metadata__") {
      if (!json.is_object()) throw Error(where + ": __metadata__ is no object");
      for (const auto& [key, value] : json.items()) {
        if (!value.is_string()) throw Error(where + ": metadata '" + key + "' is no string");
        file.metadata.emplace(key, value.get<std::string>());
      }
      continue;
    }
    entries.push_back(parse_entry(name, json, where));
  }
  const auto data = bytes.subspan(8 + header_size);
  check_layout(entries, data.size(), where);
  for (const Entry& entry : entries) {
    const std::size_t size = dtype_size(entry.dtype);
    if (size == 0 || (entry.dtype == "I64" && entry.elements != 1))
      throw Error(where + ": tensor '" + entry.name + "' has dtype " + entry.dtype.substr(0, 16) +
                  "; save it as F32 (F64, F16 and BF16 are converted)");
    if (entry.end - entry.begin != entry.elements * size)
      throw Error(where + ": tensor '" + entry.name + "' has " +
                  std::to_string(entry.end - entry.begin) + " bytes, its shape and dtype need " +
                  std::to_string(entry.elements * size));
    const std::uint8_t* begin = data.data() + entry.begin;
    if (entry.dtype == "I64")
      file.integers.emplace(entry.name, element<std::int64_t>(begin, 0));
    else
      file.tensors.emplace(entry.name, Tensor{entry.shape, to_floats(entry, begin)});
  }
  return file;
}

std::vector<std::uint8_t> format_safetensors(const SafetensorsFile& file) {
  Json header = Json::object();
  if (!file.metadata.empty()) header["__metadata__"] = file.metadata;
  std::uint64_t position = 0;
  const auto entry = [&](const char* dtype, const std::vector<std::int64_t>& shape,
                         std::uint64_t size) {
    const std::uint64_t begin = position;
    position += size;
    return Json{{"dtype", dtype}, {"shape", shape}, {"data_offsets", {begin, position}}};
  };
  // 8-byte integers first, so that every tensor stays aligned to its own size.
  for (const auto& [name, value] : file.integers) header[name] = entry("I64", {}, sizeof value);
  for (const auto& [name, tensor] : file.tensors)
    header[name] = entry("F32", tensor.shape, tensor.data.size() * sizeof(float));
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');

  std::vector<std::uint8_t> bytes(8 + text.size() + position);
  const std::uint64_t header_size = text.size();
  std::memcpy(bytes.data(), &header_size, 8);
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  std::uint8_t* out = bytes.data() + 8 + text.size();
  for (const auto& [name, value] : file.integers) {
    std::memcpy(out, &value, sizeof value);
    out += sizeof value;
  }
  for (const auto& [name, tensor] : file.tensors) {
    if (tensor.data.empty()) continue;
    std::memcpy(out, tensor.data.data(), tensor.data.size() * sizeof(float));
    out += tensor.data.size() * sizeof(float);
  }
  return bytes;
}

}  // namespace smoothcert
