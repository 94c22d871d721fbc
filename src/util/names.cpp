// The error line of a name that no value of an enum has.
#include "smoothcert/names.hpp"

#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {

void throw_unknown_name(std::string_view where, std::string_view what, std::string_view name,
                        const std::vector<std::string>& known) {
  const std::string line = unknown_name_message(what, name, known);
  throw UsageError(where.empty() ? line : std::string(where) + ": " + line);
}

}  // namespace smoothcert
