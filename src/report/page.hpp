// The frame of a report: head, theme, numbered figures and tables.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "report/svg_chart.hpp"
#include "report/table.hpp"

namespace smoothcert::report {

/// A chart that shares its row with others.
inline constexpr Size kSmall{280, 210};

/// A chart as HTML, with a slider to read its values where it has a Reader.
std::string plot_html(const Chart& chart, Size size);

/// Collects the body of one HTML page and numbers its figures and tables.
class Page {
 public:
  void raw(std::string_view html) { body_ += html; }
  void heading(std::string_view text, std::string_view id);
  void subheading(std::string_view text);
  void paragraph(std::string_view text, std::string_view css_class = {});
  void table(const Table& table) { body_ += table_html(table, ++tables_); }

  /// Tables that open where somebody asks for them.
  void details(std::string_view summary, const std::vector<Table>& tables);

  /// A chart at two sizes, one for wide and one for narrow screens (styles choose), inside a
  /// figure.
  void figure(const Chart& chart, std::string_view caption);
  /// Small charts side by side, as many a row as fit.
  void figure_grid(const std::vector<Chart>& charts, Size each, std::string_view caption);
  /// Any HTML as a figure.
  void figure_html(std::string_view html, std::string_view caption);

  /// The whole document.
  [[nodiscard]] std::string document(std::string_view title) const;

 private:
  std::string body_;
  int figures_ = 0, tables_ = 0;
};

}  // namespace smoothcert::report
