// A table once, for every output: HTML for the report, Markdown and LaTeX for papers.
#include "report/table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/escape.hpp"

namespace smoothcert::report {
namespace {

const std::string& cell(const std::vector<std::string>& row, std::size_t column) {
  static const std::string kEmpty;
  return column < row.size() ? row[column] : kEmpty;
}

/// Long names may break after an underscore.
std::string breakable(const std::string& text) {
  std::string out;
  for (const char c : text) {
    out += c;
    if (c == '_') out += "<wbr>";
  }
  return out;
}

/// "n = 200" stays on one line.
std::string unbroken(std::string text) {
  static constexpr std::string_view kLoose = " = ", kTight = "\u00a0=\u00a0";
  for (std::size_t at = 0; (at = text.find(kLoose, at)) != std::string::npos; at += kTight.size())
    text.replace(at, kLoose.size(), kTight);
  return text;
}

}  // namespace

std::string table_html(const Table& table, int number) {
  std::string out = fmt::format(
      "<figure class=\"table\"><figcaption><b>Table {}.</b> {}</figcaption>\n"
      "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Table "
      "{}\"><table>\n<thead><tr>",
      number, xml(table.caption), number);
  for (const auto& column : table.columns)
    out += fmt::format("<th scope=\"col\"{}>{}</th>", column.number ? " class=\"n\"" : "",
                       breakable(xml(column.head)));
  out += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    const bool quiet =
        std::find(table.quiet_rows.begin(), table.quiet_rows.end(), r) != table.quiet_rows.end();
    const bool same = r > 0 && cell(table.rows[r], 0) == cell(table.rows[r - 1], 0);
    out += fmt::format("<tr class=\"{}{}\">", quiet ? "quiet" : "", same ? " same" : "");
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      const std::string text = xml(cell(table.rows[r], c));
      if (c == 0)
        out += fmt::format("<th scope=\"row\">{}</th>", unbroken(text));
      else
        out += fmt::format("<td{}>{}</td>", table.columns[c].number ? " class=\"n\"" : "", text);
    }
    out += "</tr>\n";
  }
  out += "</tbody></table></div>";
  for (const std::string& note : table.notes)
    out += fmt::format("\n<p class=\"note\">{}</p>", xml(note));
  return out + "</figure>\n";
}

std::string table_markdown(const Table& table) {
  std::string out = fmt::format("**{}**\n\n|", markdown(table.caption));
  for (const auto& column : table.columns) out += fmt::format(" {} |", markdown(column.head));
  out += "\n|";
  for (const auto& column : table.columns) out += column.number ? " ---: |" : " --- |";
  out += "\n";
  for (const auto& row : table.rows) {
    out += "|";
    for (std::size_t c = 0; c < table.columns.size(); ++c)
      out += fmt::format(" {} |", markdown(cell(row, c)));
    out += "\n";
  }
  for (const std::string& note : table.notes) out += fmt::format("\n{}\n", markdown(note));
  return out;
}

std::string table_latex(const Table& table) {
  std::string out =
      "% Needs \\usepackage{booktabs} in the preamble.\n\\begin{table}\n  \\centering\n";
  out += fmt::format("  \\caption{{{}}}\n  \\label{{tab:{}}}\n  \\begin{{tabular}}{{",
                     latex(table.caption), slug(table.label));
  for (const auto& column : table.columns) out += column.number ? 'r' : 'l';
  out += "}\n    \\toprule\n    ";
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    if (c > 0) out += " & ";
    out += latex(table.columns[c].head);
  }
  out += " \\\\\n    \\midrule\n";
  for (const auto& row : table.rows) {
    out += "    ";
    for (std::size_t c = 0; c < table.columns.size(); ++c) {
      if (c > 0) out += " & ";
      out += latex(cell(row, c));
    }
    out += " \\\\\n";
  }
  out += "    \\bottomrule\n  \\end{tabular}\n";
  for (const std::string& note : table.notes)
    out += fmt::format("  \\par\\footnotesize {}\n", latex(note));
  return out + "\\end{table}\n";
}

}  // namespace smoothcert::report
