// The names of an enum's values: one table beside the enum, read in both directions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace smoothcert {

template <class E>
struct NamedValue {
  E value;
  const char* name;
};

/// Specialised beside each enum that has names: kWhat says what is named, for error lines; kValues
/// are all of them, in the order they are shown.
template <class E>
struct Names;

template <class E>
std::string to_name(E value) {
  for (const auto& entry : Names<E>::kValues)
    if (entry.value == value) return entry.name;
  return "unknown " + std::string(Names<E>::kWhat);
}

template <class E>
std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const auto& entry : Names<E>::kValues) names.emplace_back(entry.name);
  return names;
}

/// Nothing where no value has this name.
template <class E>
std::optional<E> find_name(std::string_view name) {
  for (const auto& entry : Names<E>::kValues)
    if (name == entry.name) return entry.value;
  return std::nullopt;
}

/// Throws UsageError: "`where`: unknown `what` 'name'; did you mean 'x'? (known: a, b)". Without
/// `where` and its colon where that is "".
[[noreturn]] void throw_unknown_name(std::string_view where, std::string_view what,
                                     std::string_view name, const std::vector<std::string>& known);

template <class E>
E from_name(std::string_view name, std::string_view where = {}) {
  if (const auto value = find_name<E>(name)) return *value;
  throw_unknown_name(where, Names<E>::kWhat, name, all_names<E>());
}

}  // namespace smoothcert
