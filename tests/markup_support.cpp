// Reads HTML and SVG strictly and names the first thing that is wrong.
#include "markup_support.hpp"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace smoothcert::testing {
namespace {

bool entity(std::string_view at) {
  for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
    if (at.starts_with(known)) return true;
  return false;
}

std::string near(const std::string& text, std::size_t at) {
  return " near \"" + text.substr(at < 30 ? 0 : at - 30, 90) + "\"";
}

/// Reads the tag that starts at text[at] == '<'; returns the index after '>' or npos with `error`.
std::size_t read_tag(const std::string& text, std::size_t at, std::string& name, bool& self_closing,
                     std::string& error) {
  std::size_t i = at + 1;
  name.clear();
  while (i < text.size() && (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '/' ||
                             text[i] == '!' || text[i] == '?')) {
    if (text[i] == '/' && i > at + 1) break;
    name += text[i++];
  }
  self_closing = false;
  while (i < text.size() && text[i] != '>') {
    if (text[i] == '"') {
      const std::size_t end = text.find('"', i + 1);
      if (end == std::string::npos) break;
      for (std::size_t k = i; k < end; ++k) {
        if (text[k] == '<') return error = "'<' in an attribute" + near(text, k), std::string::npos;
        if (text[k] == '&' && !entity(std::string_view(text).substr(k)))
          return error = "bare '&' in an attribute" + near(text, k), std::string::npos;
      }
      i = end + 1;
      continue;
    }
    if (text[i] == '\'' || text[i] == '<')
      return error = "a stray character in a tag" + near(text, i), std::string::npos;
    if (text[i] == '=' && text[i + 1] != '"')
      return error = "an attribute without quotes" + near(text, i), std::string::npos;
    self_closing = text[i] == '/' || text[i] == '?';
    ++i;
  }
  if (i >= text.size()) return error = "a tag that never ends" + near(text, at), std::string::npos;
  return i + 1;
}

}  // namespace

std::string markup_error(const std::string& text) {
  static const std::vector<std::string> kVoid = {"meta", "img", "br", "wbr", "hr", "link", "input"};
  std::vector<std::string> open;
  for (std::size_t i = 0; i < text.size();) {
    if (text[i] == '&' && !entity(std::string_view(text).substr(i)))
      return "bare '&'" + near(text, i);
    if (text[i] == '>') return "bare '>'" + near(text, i);
    if (text[i] != '<') {
      ++i;
      continue;
    }
    std::string name, error;
    bool closed = false;
    const std::size_t next = read_tag(text, i, name, closed, error);
    if (next == std::string::npos) return error;
    if (name.empty()) return "bare '<'" + near(text, i);
    if (name[0] == '/') {
      if (open.empty() || open.back() != name.substr(1))
        return "</" + name.substr(1) + "> closes <" + (open.empty() ? "nothing" : open.back()) +
               ">" + near(text, i);
      open.pop_back();
    } else if (name[0] != '!' && name[0] != '?' && !closed &&
               std::find(kVoid.begin(), kVoid.end(), name) == kVoid.end()) {
      open.push_back(name);
    }
    i = next;
    for (const char* raw : {"style", "script"})  // what is in them is not markup
      if (name == raw) i = text.find(std::string("</") + raw + ">", i);
    if (i == std::string::npos) return "<" + name + "> is never closed";
  }
  return open.empty() ? "" : "<" + open.back() + "> is never closed";
}

std::string visible_text(const std::string& markup) {
  std::string out;
  for (std::size_t i = 0; i < markup.size();) {
    for (const char* raw : {"style", "script"})
      if (std::string_view(markup).substr(i).starts_with(std::string("<") + raw))
        i = markup.find(std::string("</") + raw + ">", i);
    if (markup[i] == '<') {
      i = markup.find('>', i) + 1;
      continue;
    }
    out += markup[i++];
  }
  static constexpr std::string_view kEntities[][2] = {{"&lt;", "<"},    {"&gt;", ">"},
                                                      {"&quot;", "\""}, {"&#39;", "'"},
                                                      {"\u00a0", " "},  {"&amp;", "&"}};
  for (const auto& [from, to] : kEntities)
    for (std::size_t at = 0; (at = out.find(from, at)) != std::string::npos; at += to.size())
      out.replace(at, from.size(), to);
  return out;
}

}  // namespace smoothcert::testing
