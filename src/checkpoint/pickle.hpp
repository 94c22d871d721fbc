// Python's pickle, restricted to data: what torch.save() writes for tensors in dicts, lists and
// tuples, and nothing else. Nothing in a pickle is ever executed or built: whatever asks for a
// function or class that is not on the short list becomes an opaque value that knows its name, for
// the reader to skip where it is of no interest (a file's arguments, its optimizer) and to refuse
// by name where it stands in for data.
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
    tensor,   ///< `items` holds its storage; `shape`, `stride`, `integer` = offset in elements
    array,    ///< of NumPy: `dtype` as in "|u1", `shape`, `integer` 1 where column-major, `items`
              ///< holds its bytes; empty until its state is set
    dtype,    ///< of NumPy: `dtype`
    opaque    ///< `text` says what was asked for
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
  std::size_t size = 0;  ///< bytes read: another pickle may follow

  [[nodiscard]] const PickleValue& at(ValueId id) const { return values[id]; }
  /// The value of a text key, the last one where it comes twice, as in Python; nullptr where `dict`
  /// has none.
  [[nodiscard]] const PickleValue* find(const PickleValue& dict, std::string_view key) const;
};

/// The first pickle in `bytes`. Throws Error naming `where`: damaged, or written by operations that
/// torch.save() does not use.
Pickle parse_pickle(std::span<const std::uint8_t> bytes, const std::string& where);

/// Throws Error: the pickle wants `what` built where data should be.
[[noreturn]] void refuse_opaque(const std::string& what, const std::string& where);

}  // namespace smoothcert
