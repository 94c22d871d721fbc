// Text from a file as it may stand in an error line: one line, no control characters, not too long.
#pragma once

#include <string>
#include <string_view>

namespace smoothcert {

inline std::string printable(std::string_view text, std::size_t most = 80) {
  std::string shown(text.substr(0, most));
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) c = '?';
  return text.size() > most ? shown + "..." : shown;
}

}  // namespace smoothcert
