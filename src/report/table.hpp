// A table once, for every output: HTML for the report, Markdown and LaTeX for papers.
#pragma once

#include <string>
#include <vector>

namespace smoothcert::report {

struct Table {
  struct Column {
    std::string head;
    bool number = true;  ///< right-aligned, tabular figures
  };
  std::string caption;
  std::string label;  ///< LaTeX \label stem
  std::vector<Column> columns;
  /// Plain text, escaped by the writers. HTML shows a first cell once where it repeats.
  std::vector<std::vector<std::string>> rows;
  std::vector<std::size_t> quiet_rows;  ///< set in the muted colour: reference figures
  std::vector<std::string> notes;       ///< caveats that travel with the table
};

/// The table in a box that scrolls by itself on narrow screens; caption numbered by `number`.
std::string table_html(const Table& table, int number);
std::string table_markdown(const Table& table);
std::string table_latex(const Table& table);  ///< booktabs

}  // namespace smoothcert::report
