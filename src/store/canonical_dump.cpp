// The text by which two stores are compared.
#include "store/canonical_dump.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "store/codec.hpp"
#include "store/disproof_rows.hpp"
#include "store/tables.hpp"
#include "util/decimal.hpp"
#include "util/json_depth.hpp"

namespace smoothcert::store {

namespace {

using nlohmann::json;

bool names_a_time(std::string_view name) {
  constexpr std::array kTimes = {"seconds", "started", "finished",       "time",
                                 "date",    "backend", "program_version"};
  return std::ranges::find(kTimes, name) != kTimes.end() || name.ends_with("_seconds") ||
         name.ends_with("_per_second");
}

void strip_times(json& value) {
  if (value.is_object()) {
    for (auto it = value.begin(); it != value.end();) {
      it = names_a_time(it.key()) ? value.erase(it) : std::next(it);
    }
  }
  if (value.is_structured()) {
    for (json& child : value) strip_times(child);
  }
}

}  // namespace

std::string canonical_document(const std::string& text) {
  json value = json::parse(text, limit_json_depth<json>("a document of the store"), false);
  if (value.is_discarded()) return text;
  strip_times(value);
  return value.dump();
}

std::string canonical_dump(Database& db, const Reading& reading) {
  std::vector<RunInfo> runs = read_runs(db, reading);
  std::ranges::sort(runs, {}, [](const RunInfo& run) { return run_identity(run.settings); });
  std::string out;
  for (const RunInfo& run : runs) {
    const RunSettings& s = run.settings;
    out += "run " + run_identity(s) + " name=" + s.model_name + " regime=" + s.regime +
           " training_sigma=" + shortest_text(s.training_sigma) + " data=" + s.dataset_name + "/" +
           s.dataset_split + "\n";
    for (const Certificate& c : read_certificates(db, run, reading))
      out += certificate_text(c) + "\n";
    for (const ChunkCounts& c : read_chunks(db, run, reading))
      out += "chunk " + chunk_text(c) + "\n";
    for (const Disproof& d : read_disproofs(db, run, reading))
      out += "disproof " + disproof_text(d) + "\n";
  }
  for (const std::string& key : read_document_keys(db)) {
    out += "document " + key + " " + canonical_document(read_document(db, key).value_or("")) + "\n";
  }
  return out;
}

}  // namespace smoothcert::store
