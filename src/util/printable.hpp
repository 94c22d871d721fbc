// Text from a file as it may be shown: no control characters, in an error one short line.
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

/// `text` with '?' in the place of every control character but line feeds and tabs: a name out of a
/// file must not move a terminal's cursor. UTF-8 stays, but for the controls U+0080 to U+009F.
inline std::string without_controls(std::string_view text) {
  std::string shown;
  shown.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0;
    if (c == 0xc2 && next >= 0x80 && next < 0xa0) {
      shown += '?';
      ++i;
    } else {
      shown += (c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? '?' : text[i];
    }
  }
  return shown;
}

}  // namespace smoothcert
