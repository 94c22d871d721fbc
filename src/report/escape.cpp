// Text from outside (names, paths, commands) made safe for each output.
#include "report/escape.hpp"

#include <cctype>

namespace smoothcert::report {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Length of the valid UTF-8 sequence at the start of `text`, 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;                     // overlong
  if (lead == 0xED && byte(1) > 0x9F) return 0;                     // surrogates
  if (lead == 0xEF && byte(1) == 0xBF && byte(2) > 0xBD) return 0;  // U+FFFE, U+FFFF: not XML
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return length;
}

/// Runs `escape` over each valid character; what is not UTF-8 or not XML is replaced.
template <class Escape>
std::string escaped(std::string_view text, Escape escape) {
  std::string out;
  out.reserve(text.size() + text.size() / 8);
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto c = static_cast<unsigned char>(text[0]);
    const bool control = (c < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
    if (length == 0 || control) {
      out += kReplacement;
    } else if (const std::string_view entity = length == 1 ? escape(text[0]) : std::string_view{};
               !entity.empty()) {
      out += entity;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

}  // namespace

std::string xml(std::string_view text) {
  return escaped(text, [](char c) -> std::string_view {
    switch (c) {
      case '&':
        return "&amp;";
      case '<':
        return "&lt;";
      case '>':
        return "&gt;";
      case '"':
        return "&quot;";
      case '\'':
        return "&#39;";
      default:
        return {};
    }
  });
}

std::string markdown(std::string_view text) {
  return escaped(text, [](char c) -> std::string_view {
    switch (c) {
      case '|':
        return "\\|";
      case '\\':
        return "\\\\";
      case '`':
        return "\\`";
      case '*':
        return "\\*";
      case '_':
        return "\\_";
      case '[':
        return "\\[";
      case ']':
        return "\\]";
      case '<':
        return "&lt;";
      case '&':
        return "&amp;";
      case '\n':
      case '\r':
        return " ";
      default:
        return {};
    }
  });
}

std::string latex(std::string_view text) {
  const std::string ascii = escaped(text, [](char c) -> std::string_view {
    switch (c) {
      case '\\':
        return "\\textbackslash{}";
      case '{':
        return "\\{";
      case '}':
        return "\\}";
      case '$':
        return "\\$";
      case '&':
        return "\\&";
      case '#':
        return "\\#";
      case '_':
        return "\\_";
      case '%':
        return "\\%";
      case '^':
        return "\\textasciicircum{}";
      case '~':
        return "\\textasciitilde{}";
      case '<':
        return "\\textless{}";
      case '>':
        return "\\textgreater{}";
      case '|':
        return "\\textbar{}";
      case '\n':
      case '\r':
        return " ";
      default:
        return {};
    }
  });
  // The symbols our own headings use, for engines that read ASCII only.
  static constexpr std::string_view kSymbols[][2] = {
      {"σ", "$\\sigma$"}, {"ε", "$\\varepsilon$"}, {"α", "$\\alpha$"}, {"∞", "$\\infty$"},
      {"₀", "$_0$"},      {"₁", "$_1$"},           {"₂", "$_2$"},      {"≥", "$\\geq$"},
      {"–", "--"},        {"±", "$\\pm$"},         {"−", "$-$"},       {"×", "$\\times$"},
      {"·", "$\\cdot$"},  {"\u00a0", "~"}};
  std::string out;
  for (std::size_t at = 0; at < ascii.size();) {
    bool found = false;
    for (const auto& [symbol, replacement] : kSymbols) {
      if (std::string_view(ascii).substr(at).starts_with(symbol)) {
        out += replacement;
        at += symbol.size();
        found = true;
        break;
      }
    }
    if (!found) out += ascii[at++];
  }
  return out;
}

std::string slug(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (std::isalnum(static_cast<unsigned char>(c)))
      out += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && out.back() == '-') out.pop_back();
  return out.empty() ? "figure" : out;
}

}  // namespace smoothcert::report
