// The short list of names that a checkpoint's pickle may ask for, and what each makes of its
// arguments.
#include "checkpoint/pickle_globals.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace smoothcert {
namespace {

using Kind = PickleValue::Kind;

constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kStorages{{
    {"torch.FloatStorage", "float32"},
    {"torch.DoubleStorage", "float64"},
    {"torch.HalfStorage", "float16"},
    {"torch.BFloat16Storage", "bfloat16"},
    {"torch.LongStorage", "int64"},
    {"torch.IntStorage", "int32"},
    {"torch.ShortStorage", "int16"},
    {"torch.CharStorage", "int8"},
    {"torch.ByteStorage", "uint8"},
    {"torch.BoolStorage", "bool"},
}};

constexpr std::size_t kLongestKey = 64;  // torch.save() counts: "0", "1", …

// Arrays of NumPy: data sets that Python wrote. The name moved in NumPy 2.
constexpr std::string_view kReconstruct = "numpy.core.multiarray._reconstruct",
                           kNewReconstruct = "numpy._core.multiarray._reconstruct",
                           kNdarray = "numpy.ndarray", kDtype = "numpy.dtype";

constexpr std::string_view kOrderedDict = "collections.OrderedDict", kSize = "torch.Size",
                           kTensor = "torch._utils._rebuild_tensor_v2",
                           kOldTensor = "torch._utils._rebuild_tensor",  // before 0.4
    kParameter = "torch._utils._rebuild_parameter",
                           kParameterWithState = "torch._utils._rebuild_parameter_with_state";

/// A tuple (or list) of integers that are sizes.
std::optional<std::vector<std::int64_t>> sizes(const Pickle& pickle, const PickleValue& value) {
  constexpr std::size_t kMostDimensions = 16;
  if ((value.kind != Kind::tuple && value.kind != Kind::list) ||
      value.items.size() > kMostDimensions)
    return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const ValueId id : value.items) {
    const PickleValue& number = pickle.at(id);
    if (number.kind != Kind::integer || number.integer < 0) return std::nullopt;
    numbers.push_back(number.integer);
  }
  return numbers;
}

PickleValue opaque(std::string what) {
  PickleValue value;
  value.kind = Kind::opaque;
  value.text = std::move(what);
  return value;
}

/// _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks[, metadata]). Metadata is
/// a dict of flags that are set; each of them ("neg", "conj") changes the values.
std::optional<PickleValue> tensor(const Pickle& pickle, const std::vector<ValueId>& arguments) {
  if (arguments.empty()) return std::nullopt;
  if (const PickleValue& storage = pickle.at(arguments[0]); storage.kind == Kind::opaque)
    return opaque("a tensor of " + storage.text);
  if (arguments.size() > 7) return opaque("a tensor with properties that are not known");
  if (arguments.size() == 7) {
    const PickleValue& metadata = pickle.at(arguments[6]);
    const bool none =
        metadata.kind == Kind::none || (metadata.kind == Kind::dict && metadata.items.empty());
    if (!none) {
      std::string names;
      for (std::size_t i = 0; metadata.kind == Kind::dict && i < metadata.items.size(); i += 2)
        names += (i > 0 ? ", " : " ") + pickle.at(metadata.items[i]).text;
      return opaque("a tensor with metadata" + names);
    }
  }
  if (arguments.size() < 4 || pickle.at(arguments[0]).kind != Kind::storage) return std::nullopt;
  const PickleValue& offset = pickle.at(arguments[1]);
  auto shape = sizes(pickle, pickle.at(arguments[2]));
  auto stride = sizes(pickle, pickle.at(arguments[3]));
  if (offset.kind != Kind::integer || offset.integer < 0 || !shape || !stride ||
      shape->size() != stride->size())
    return std::nullopt;
  PickleValue value;
  value.kind = Kind::tensor;
  value.items = {arguments[0]};
  value.integer = offset.integer;
  value.shape = std::move(*shape);
  value.stride = std::move(*stride);
  return value;
}

/// OrderedDict() or OrderedDict([(key, value), …])
std::optional<PickleValue> ordered_dict(const Pickle& pickle,
                                        const std::vector<ValueId>& arguments) {
  PickleValue dict;
  dict.kind = Kind::dict;
  if (arguments.empty()) return dict;
  const PickleValue& pairs = pickle.at(arguments[0]);
  if (arguments.size() != 1 || pairs.kind != Kind::list) return std::nullopt;
  for (const ValueId id : pairs.items) {
    const PickleValue& pair = pickle.at(id);
    if ((pair.kind != Kind::tuple && pair.kind != Kind::list) || pair.items.size() != 2)
      return std::nullopt;
    dict.items.insert(dict.items.end(), pair.items.begin(), pair.items.end());
  }
  return dict;
}

}  // namespace

std::uint64_t dtype_size(std::string_view dtype) {
  if (dtype == "float64" || dtype == "int64") return 8;
  if (dtype == "float32" || dtype == "int32") return 4;
  return dtype == "float16" || dtype == "bfloat16" || dtype == "int16" ? 2 : 1;
}

bool set_numpy_state(const Pickle& pickle, PickleValue& value, ValueId id) {
  const PickleValue& state = pickle.at(id);
  if (state.kind != Kind::tuple) return false;
  const auto& items = state.items;
  if (value.kind == Kind::dtype) {  // (version, byte order, …)
    if (items.size() < 2 || pickle.at(items[1]).kind != Kind::text) return false;
    const std::string order = pickle.at(items[1]).text;
    if (order.size() != 1 || value.dtype.empty()) return false;
    value.dtype = order + value.dtype.substr(value.dtype.find_first_not_of("<>|="));
    return true;
  }
  // (version, shape, dtype, column-major, bytes)
  if (items.size() != 5 || pickle.at(items[2]).kind != Kind::dtype ||
      pickle.at(items[3]).kind != Kind::boolean)
    return false;
  const PickleValue& bytes = pickle.at(items[4]);
  auto shape = sizes(pickle, pickle.at(items[1]));
  if (!shape || (bytes.kind != Kind::text && bytes.kind != Kind::bytes)) return false;
  value.dtype = pickle.at(items[2]).dtype;
  value.shape = std::move(*shape);
  value.integer = pickle.at(items[3]).integer;
  value.items = {items[4]};
  return true;
}

std::string storage_dtype(std::string_view name) {
  for (const auto& [storage, dtype] : kStorages)
    if (name == storage) return std::string(dtype);
  return "";
}

bool is_known_global(std::string_view name) {
  return name == kDtype || name == kNdarray || name == kReconstruct || name == kNewReconstruct ||
         name == kOrderedDict || name == kSize || name == kTensor || name == kOldTensor ||
         name == kParameter || name == kParameterWithState || !storage_dtype(name).empty();
}

std::optional<PickleValue> call_global(const Pickle& pickle, std::string_view name,
                                       const PickleValue& arguments) {
  if (arguments.kind != Kind::tuple) return std::nullopt;
  const auto& items = arguments.items;
  if (name == kOrderedDict) return ordered_dict(pickle, items);
  if (name == kReconstruct || name == kNewReconstruct) {
    if (items.empty() || pickle.at(items[0]).kind != Kind::global ||
        pickle.at(items[0]).text != kNdarray)
      return opaque(std::string(name));
    PickleValue array;
    array.kind = Kind::array;
    return array;
  }
  if (name == kDtype) {
    PickleValue dtype;
    dtype.kind = Kind::dtype;
    if (items.empty() || pickle.at(items[0]).kind != Kind::text ||
        pickle.at(items[0]).text.size() > 8 ||
        pickle.at(items[0]).text.find_first_not_of("<>|=") == std::string::npos)
      return std::nullopt;
    dtype.dtype = pickle.at(items[0]).text;
    return dtype;
  }
  if (name == kNdarray) return opaque(std::string(name));
  if (name == kTensor || name == kOldTensor) return tensor(pickle, items);
  if (name == kSize && items.size() == 1 && sizes(pickle, pickle.at(items[0]))) {
    PickleValue tuple = pickle.at(items[0]);
    tuple.kind = Kind::tuple;
    return tuple;
  }
  // A parameter is its tensor; whether it wants a gradient is no concern of ours.
  if ((name == kParameter || name == kParameterWithState) && !items.empty() &&
      (pickle.at(items[0]).kind == Kind::tensor || pickle.at(items[0]).kind == Kind::opaque))
    return pickle.at(items[0]);
  return std::nullopt;
}

std::optional<PickleValue> persistent_storage(const Pickle& pickle, const PickleValue& id) {
  if (id.kind != Kind::tuple || id.items.empty()) return std::nullopt;
  // Before 1.6 whole modules were saved so, with their source.
  if (const PickleValue& tag = pickle.at(id.items[0]);
      tag.kind == Kind::text && tag.text == "module")
    return opaque("a module with its source");
  if (id.items.size() < 5) return std::nullopt;
  const PickleValue &what = pickle.at(id.items[0]), &type = pickle.at(id.items[1]),
                    &key = pickle.at(id.items[2]), &elements = pickle.at(id.items[4]);
  if (what.kind == Kind::text && what.text == "storage" && type.kind == Kind::opaque)
    return opaque(type.text);
  if (id.items.size() > 5 && pickle.at(id.items[5]).kind != Kind::none)
    return opaque("a view of a storage, as PyTorch before 0.4 saved them");
  if (what.kind != Kind::text || what.text != "storage" || type.kind != Kind::global ||
      storage_dtype(type.text).empty() || key.kind != Kind::text || key.text.size() > kLongestKey ||
      elements.kind != Kind::integer || elements.integer < 0)
    return std::nullopt;
  PickleValue storage;
  storage.kind = Kind::storage;
  storage.text = key.text;
  storage.dtype = storage_dtype(type.text);
  storage.integer = elements.integer;
  return storage;
}

}  // namespace smoothcert
