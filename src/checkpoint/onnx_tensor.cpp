// A constant of an ONNX graph: floats or whole numbers with a shape.
#include "checkpoint/onnx_tensor.hpp"

#include <cstring>
#include <optional>

#include "checkpoint/onnx_proto.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/half.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

constexpr std::size_t kMostElements = std::size_t{1} << 28;

/// The bytes of a tensor that lie in a file beside the model.
std::string external_bytes(const onnx::TensorProto& tensor, OnnxFolder& folder,
                           const std::string& what) {
  std::string location;
  std::uint64_t offset = 0;
  std::optional<std::uint64_t> length;
  for (const auto& entry : tensor.external_data()) {
    const auto number = [&] {
      const std::string& text = entry.value();
      if (text.empty() || text.size() > 15 ||
          text.find_first_not_of("0123456789") != std::string::npos)
        throw Error(what + ": its external " + printable(entry.key()) + " is no number");
      return std::stoull(text);
    };
    if (entry.key() == "location") location = entry.value();
    if (entry.key() == "offset") offset = number();
    if (entry.key() == "length") length = number();
  }
  const std::filesystem::path name = location;
  if (folder.path.empty() || location.empty() || location == ".." || name != name.filename())
    throw Error(what + ": its values lie in another file, '" + printable(location) +
                "', which is not beside the model; export with external_data=False");
  if (folder.name != location) {
    folder.bytes = read_file(folder.path / name);
    folder.name = location;
  }
  const std::uint64_t size = folder.bytes.size();
  if (offset > size || (length && *length > size - offset))
    throw Error(what + ": its values reach beyond the end of " + (folder.path / name).string());
  const auto first = folder.bytes.begin() + static_cast<std::ptrdiff_t>(offset);
  return {first, length ? first + static_cast<std::ptrdiff_t>(*length) : folder.bytes.end()};
}

/// Little-endian elements of `raw`.
template <class T>
std::vector<T> elements(const std::string& raw, std::size_t count, const std::string& what) {
  if (raw.size() != count * sizeof(T))
    throw Error(what + ": holds " + std::to_string(raw.size()) + " bytes, its shape needs " +
                std::to_string(count * sizeof(T)));
  std::vector<T> values(count);
  if (count > 0) std::memcpy(values.data(), raw.data(), raw.size());
  return values;
}

/// Values of one type: raw, or a field of their own.
template <class T, class Field>
std::vector<T> values_of(const std::string& raw, const Field& field, std::size_t count,
                         const std::string& what) {
  if (!raw.empty() || field.size() == 0) return elements<T>(raw, count, what);
  if (static_cast<std::size_t>(field.size()) != count)
    throw Error(what + ": holds " + std::to_string(field.size()) + " values, its shape needs " +
                std::to_string(count));
  std::vector<T> values;
  values.reserve(count);
  for (const auto value : field) values.push_back(static_cast<T>(value));
  return values;
}

}  // namespace

std::size_t onnx_elements(const std::vector<std::int64_t>& shape, const std::string& what) {
  std::size_t count = 1;
  for (const std::int64_t extent : shape) {
    if (extent < 0 || extent > static_cast<std::int64_t>(kMostElements))
      throw Error(what + ": its shape is damaged or too large");
    count *= static_cast<std::size_t>(extent);
    if (count > kMostElements) throw Error(what + ": its shape is damaged or too large");
  }
  return count;
}

OnnxTensor read_onnx_tensor(const onnx::TensorProto& tensor, OnnxFolder& folder,
                            const std::string& what) {
  OnnxTensor result;
  result.shape.assign(tensor.dims().begin(), tensor.dims().end());
  const std::size_t count = onnx_elements(result.shape, what);
  if (tensor.has_segment()) throw Error(what + ": is stored in segments, which are not read");
  const bool external = tensor.data_location() == onnx::TensorProto::EXTERNAL;
  const std::string bytes = external ? external_bytes(tensor, folder, what) : tensor.raw_data();
  const auto whole = [&](const auto& values) {
    result.whole = true;
    result.ints.assign(values.begin(), values.end());
  };
  switch (tensor.data_type()) {
    case onnx::TensorProto::FLOAT:
      result.floats = values_of<float>(bytes, tensor.float_data(), count, what);
      break;
    case onnx::TensorProto::DOUBLE: {
      const auto values = values_of<double>(bytes, tensor.double_data(), count, what);
      for (const double v : values) result.floats.push_back(static_cast<float>(v));
      break;
    }
    case onnx::TensorProto::FLOAT16:
      for (const std::uint16_t h :
           values_of<std::uint16_t>(bytes, tensor.int32_data(), count, what))
        result.floats.push_back(half_to_float(h));
      break;
    case onnx::TensorProto::BFLOAT16:
      for (const std::uint16_t h :
           values_of<std::uint16_t>(bytes, tensor.int32_data(), count, what))
        result.floats.push_back(bfloat16_to_float(h));
      break;
    case onnx::TensorProto::INT64:
      whole(values_of<std::int64_t>(bytes, tensor.int64_data(), count, what));
      break;
    case onnx::TensorProto::INT32:
      whole(values_of<std::int32_t>(bytes, tensor.int32_data(), count, what));
      break;
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::UINT8:
      whole(values_of<std::uint8_t>(bytes, tensor.int32_data(), count, what));
      break;
    default:
      throw Error(what + ": holds values of ONNX type " + std::to_string(tensor.data_type()) +
                  ", which are not read; quantised models are not supported");
  }
  return result;
}

}  // namespace smoothcert
