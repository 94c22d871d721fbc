// Imported results as documents of a store: the report finds them beside our own runs.
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "smoothcert/error.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/statistics.hpp"
#include "util/json_number.hpp"

namespace smoothcert {

namespace {

using nlohmann::json;

constexpr std::string_view kPrefix = "import/";

template <class Int>
Int whole(const json& value) {
  if (!holds_whole<Int>(value)) throw Error("not a whole number, or out of range");
  return value.get<Int>();
}

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
    // A time that nobody knows is null.
    rows.push_back({c.image, c.label, c.prediction, format_radius(c.radius),
                    std::isnan(c.seconds) ? json() : json(c.seconds)});
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
        c.image = whole<std::uint32_t>(row.at(0));
        c.label = whole<std::uint16_t>(row.at(1));
        c.prediction = c.selected = whole<int>(row.at(2));
        c.radius = number(row.at(3));
        c.seconds = row.at(4).is_null() ? std::numeric_limits<double>::quiet_NaN()
                                        : row.at(4).get<double>();
        results.certificates.push_back(std::move(c));
      }
      all.push_back(std::move(results));
    } catch (const std::exception&) {
      throw Error("the store's document '" + key + "' is damaged; import the file again");
    }
  }
  return all;
}

Summary summarise_imported(std::span<const Certificate> certificates) {
  Summary s = summarise(certificates);
  constexpr double kDecimals = 1 + 1e-12;  // far above rounding, far below the digits shown
  s.acr *= kDecimals;
  s.avg_radius_certified *= kDecimals;
  s.avg_radius_correct *= kDecimals;
  return s;
}

}  // namespace smoothcert
