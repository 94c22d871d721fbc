// Python's pickle, restricted to data: what torch.save() writes for tensors in dicts, lists and
// tuples, and nothing else. Nothing in a pickle is ever executed; whatever asks for a function or
// class that is not on the short list is refused by name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace smoothcert {

/// Index into Pickle::values. Values refer to each other by index, so cycles cost nothing.
using ValueId = std::uint32_t;

struct PickleValue {
  enum class Kind {
    none,
    boolean,
    integer,
    big_integer,  ///< does not fit 64 bits; its value is not kept
    real,
    text,
    bytes,
    tuple,
    list,
    dict,     ///< `items` alternates keys and values, in the order of insertion
    global,   ///< `text` is module.name; on the short list
    storage,  ///< `text` is its key, `dtype` its elements' type, `integer` their number
    tensor    ///< `items` holds its storage; `shape`, `stride`, `integer` = offset in elements
  } kind = Kind::none;
  std::int64_t integer = 0;
  double real = 0;
  std::string text, dtype;
  std::vector<ValueId> items;
  std::vector<std::int64_t> shape, stride;
};

struct Pickle {
  std::vector<PickleValue> values;
  ValueId root = 0;

  [[nodiscard]] const PickleValue& at(ValueId id) const { return values[id]; }
  /// The value of a text key; nullptr where `dict` has none.
  [[nodiscard]] const PickleValue* find(const PickleValue& dict, std::string_view key) const;
};

/// Throws Error naming `where`, and what the pickle asked for where it asked for more than data.
Pickle parse_pickle(std::span<const std::uint8_t> bytes, const std::string& where);

}  // namespace smoothcert
