// Imported results as documents of a store: the report finds them beside our own runs.
#include <charconv>
#include <nlohmann/json.hpp>

#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert {

namespace {

using nlohmann::json;

constexpr std::string_view kPrefix = "import/";

double number(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !(value >= 0)) {
    throw Error("not a radius");
  }
  return value;
}

}  // namespace

void put_imported(ResultsStore& store, const ImportedResults& results) {
  json rows = json::array();
  for (const Certificate& c : results.certificates) {
    // Radii as text: every digit of the file survives.
    rows.push_back({c.image, c.label, c.prediction, format_radius(c.radius), c.seconds});
  }
  const json document = {
      {"name", results.name}, {"origin", results.origin}, {"certificates", std::move(rows)}};
  store.put_document(std::string(kPrefix) + results.name, document.dump());
}

std::vector<ImportedResults> imported_results(const ResultsStore& store) {
  std::vector<ImportedResults> all;
  for (const std::string& key : store.document_keys()) {
    if (!key.starts_with(kPrefix)) continue;
    try {
      const json document = json::parse(store.document(key).value_or(""));
      ImportedResults results;
      results.name = document.at("name");
      results.origin = document.at("origin");
      for (const json& row : document.at("certificates")) {
        Certificate c;
        c.image = row.at(0);
        c.label = row.at(1);
        c.prediction = c.selected = row.at(2);
        c.radius = number(row.at(3));
        c.seconds = row.at(4);
        results.certificates.push_back(std::move(c));
      }
      all.push_back(std::move(results));
    } catch (const std::exception&) {
      throw Error("the store's document '" + key + "' is damaged; import the file again");
    }
  }
  return all;
}

}  // namespace smoothcert
