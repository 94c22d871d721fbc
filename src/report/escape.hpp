// Text from outside (names, paths, commands) made safe for each output.
#pragma once

#include <string>
#include <string_view>

namespace smoothcert::report {

/// For HTML and SVG text and double-quoted attributes. Control characters that XML forbids and
/// bytes that are not UTF-8 become U+FFFD.
std::string xml(std::string_view text);

std::string markdown(std::string_view text);
std::string latex(std::string_view text);

/// A file-name-safe version: lower-case letters, digits and dashes; "figure" when nothing is left.
std::string slug(std::string_view text);

}  // namespace smoothcert::report
