// Reads and writes the table of disproofs.
#include "store/disproof_rows.hpp"

#include <fmt/format.h>

#include <cmath>

#include "smoothcert/error.hpp"
#include "store/row_reading.hpp"
#include "util/decimal.hpp"
#include "util/sha256.hpp"

namespace smoothcert::store {
namespace {

constexpr const char* kColumns =
    "image, distance2, radius, rival, votes_selected, votes_rival, samples, alpha, pixels, "
    "seconds, "
    "checksum";

std::string checksum(const RunInfo& run, const Disproof& d) {
  return sha256_hex(fmt::format("disproof of run {}: {}", run.key, disproof_text(d)));
}

Disproof row_of(const Statement& row, const RunInfo& run) {
  Disproof d;
  d.image = static_cast<std::uint32_t>(bounded(row, 0, UINT32_MAX, "image"));
  d.squares = bounded(row, 1, INT64_MAX, "distance2");
  d.rival = static_cast<int>(bounded(row, 3, UINT16_MAX, "rival"));
  d.votes_selected = bounded(row, 4, UINT32_MAX, "votes_selected");
  d.votes_rival = bounded(row, 5, UINT32_MAX, "votes_rival");
  d.samples = bounded(row, 6, UINT32_MAX, "samples");
  d.alpha = row.real(7);
  d.pixels = row.blob(8);
  d.seconds = row.real(9);
  if (const std::string fault = disproof_fault(run, d); !fault.empty()) throw Error(fault);
  const double radius = row.real(2);
  if (std::abs(radius - d.radius()) > 1e-9 * d.radius())
    throw Error(fmt::format("its distance is {}, its integers give {}", radius, d.radius()));
  if (row.text(10) != checksum(run, d))
    throw Error("its checksum does not fit: something was changed");
  return d;
}

}  // namespace

std::string disproof_fault(const RunInfo& run, const Disproof& d) {
  if (d.pixels.size() != run.settings.shape.size())
    return fmt::format("its image has {} values, those of the run have {}", d.pixels.size(),
                       run.settings.shape.size());
  if (d.rival < 0 || d.rival >= run.settings.classes)
    return fmt::format("rival {} is none of the run's {} classes", d.rival, run.settings.classes);
  if (d.votes_selected > d.samples || d.votes_rival > d.samples - d.votes_selected)
    return fmt::format("it counts more votes than its {} samples", d.samples);
  if (!(d.alpha > 0 && d.alpha < 1)) return fmt::format("alpha is {}, outside 0 … 1", d.alpha);
  if (d.squares > d.pixels.size() * std::uint64_t{255 * 255})
    return fmt::format("no two images are Σ(255Δ)² = {} apart", d.squares);
  return "";
}

std::string disproof_text(const Disproof& d) {
  return fmt::format("image={} distance2={} rival={} votes={}:{} of {} alpha={} pixels={}", d.image,
                     d.squares, d.rival, d.votes_selected, d.votes_rival, d.samples,
                     shortest_text(d.alpha), sha256_hex(d.pixels));
}

std::vector<Disproof> read_disproofs(Database& db, const RunInfo& run, const Reading& reading) {
  std::vector<Disproof> all;
  if (reading.version < 3) return all;
  Statement query(db,
                  fmt::format("SELECT {} FROM disproofs WHERE run = ? ORDER BY image", kColumns));
  query.bind(0, run.id);
  each_row(
      query, reading,
      [&] { return fmt::format("run {}, disproof of image {}", run.id, query.any(0)); },
      [&] { all.push_back(row_of(query, run)); });
  return all;
}

std::string write_disproof(Database& db, const RunInfo& run, const Disproof& d) {
  Statement held(db, "SELECT checksum FROM disproofs WHERE run = ? AND image = ?");
  held.bind(0, run.id).bind(1, std::int64_t{d.image});
  if (held.step())
    return held.any(0) == checksum(run, d)
               ? ""
               : fmt::format(
                     "image {} of run {} was tested for a disproof before, and an image is tested "
                     "once",
                     d.image, run.id);
  Statement insert(
      db, fmt::format("INSERT INTO disproofs(run, {}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?)", kColumns));
  insert.bind(0, run.id).bind(1, std::int64_t{d.image});
  insert.bind(2, static_cast<std::int64_t>(d.squares)).bind(3, d.radius());
  insert.bind(4, std::int64_t{d.rival}).bind(5, static_cast<std::int64_t>(d.votes_selected));
  insert.bind(6, static_cast<std::int64_t>(d.votes_rival));
  insert.bind(7, static_cast<std::int64_t>(d.samples)).bind(8, d.alpha);
  insert.bind_blob(9, d.pixels).bind(10, d.seconds).bind(11, checksum(run, d)).run();
  return "";
}

}  // namespace smoothcert::store
