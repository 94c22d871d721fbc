// The frame of a report: head, theme, numbered figures and tables.
#include "report/page.hpp"

#include <fmt/format.h>

#include "report/escape.hpp"
#include "report/script.hpp"
#include "report/style.hpp"
#include "smoothcert/version.hpp"

namespace smoothcert::report {

void Page::heading(std::string_view text, std::string_view id) {
  body_ += fmt::format("<h2 id=\"{}\">{}</h2>\n", xml(id), xml(text));
}

void Page::subheading(std::string_view text) { body_ += fmt::format("<h3>{}</h3>\n", xml(text)); }

void Page::paragraph(std::string_view text, std::string_view css_class) {
  body_ += css_class.empty() ? fmt::format("<p>{}</p>\n", xml(text))
                             : fmt::format("<p class=\"{}\">{}</p>\n", css_class, xml(text));
}

std::string plot_html(const Chart& chart, Size size) {
  std::string html = "<div class=\"plot\">" + render_chart(chart, size);
  if (!chart.reader.x.empty())  // the script brings it to life; without one it stays away
    html += fmt::format(
        "<div class=\"reader\" hidden=\"hidden\"><label><span>{}</span><input type=\"range\" "
        "min=\"0\" max=\"0\" step=\"1\" value=\"0\"></label><output aria-live=\"off\"></output>"
        "</div>",
        xml(chart.reader.quantity));
  return html + "</div>";
}

void Page::details(std::string_view summary, const std::vector<Table>& tables) {
  if (tables.empty()) return;
  raw(fmt::format("<details><summary>{}</summary>\n", xml(summary)));
  for (const Table& one : tables) table(one);
  raw("</details>\n");
}

void Page::figure(const Chart& chart, std::string_view caption) {
  figure_html(fmt::format("<div class=\"wide\">{}</div><div class=\"narrow\">{}</div>",
                          plot_html(chart, {830, 430}), plot_html(chart, {350, 330})),
              caption);
}

void Page::figure_grid(const std::vector<Chart>& charts, Size each, std::string_view caption) {
  std::string html = "<div class=\"grid-of-charts\">";
  for (const Chart& chart : charts) html += plot_html(chart, each);
  figure_html(html + "</div>", caption);
}

void Page::figure_html(std::string_view html, std::string_view caption) {
  body_ += fmt::format("<figure>{}<figcaption><b>Figure {}.</b> {}</figcaption></figure>\n", html,
                       ++figures_, xml(caption));
}

std::string Page::document(std::string_view title) const {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n"
      "<meta name=\"generator\" content=\"smoothcert "
      "{}\">\n<title>{}</title>\n<style>\n{}</style>\n"
      "</head>\n<body>\n<main>\n{}</main>\n<script>\n{}</script>\n</body>\n</html>\n",
      kVersion, xml(title), page_css(), body_, page_script());
}

}  // namespace smoothcert::report
