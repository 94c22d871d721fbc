// A strict little reader of HTML/SVG, enough to prove that what we write is well-formed.
#pragma once

#include <string>

namespace smoothcert::testing {

/// "" when every element is closed in order, every attribute quoted and every "&" an entity;
/// otherwise what is wrong and the text around it.
std::string markup_error(const std::string& text);

/// The text a reader sees: no tags, styles or entities.
std::string visible_text(const std::string& markup);

}  // namespace smoothcert::testing
