#include "store/tables.hpp"

#include <fmt/format.h>

#include <bit>
#include <numeric>

#include "store/codec.hpp"
#include "store/schema.hpp"

namespace smoothcert::store {

namespace {

constexpr const char* kRunColumns =
    "SELECT {}, r.id, r.key, r.started, m.hash, m.name, m.regime, m.training_sigma, d.hash, "
    "d.name, "
    "d.split, d.channels, d.height, d.width, d.classes, r.sigma, r.n0, r.n, r.alpha, r.seed, "
    "r.noise, r.clamp, r.mode, r.precision, r.arithmetic, r.program_version, r.backend "
    "FROM runs r JOIN models m ON m.hash = r.model JOIN datasets d ON d.hash = r.dataset {}";

// `rest` follows the columns of all runs. An older store that may not be written is read as it is.
std::string run_query(Database& db, const char* rest) {
  return fmt::format(kRunColumns, has_p_b(db) ? "r.p_b" : "'complement'", rest);
}

constexpr const char* kCertificateColumns =
    "SELECT image, label, selected, prediction, radius, p_lower, selection_counts, "
    "selection_invalid, estimation_counts, estimation_invalid, seconds FROM certificates ";

std::int64_t as_signed(std::uint64_t value) { return std::bit_cast<std::int64_t>(value); }
std::uint64_t as_unsigned(std::int64_t value) { return std::bit_cast<std::uint64_t>(value); }

RunInfo run_row(const Statement& row, const std::string& where) {
  RunInfo run;
  RunSettings& s = run.settings;
  int column = 0;
  s.certify.p_b = stored_name<SecondBound>(row.text(column++), where);
  run.id = row.integer(column++);
  run.key = row.text(column++);
  run.started = row.text(column++);
  s.model_hash = row.text(column++);
  s.model_name = row.text(column++);
  s.regime = row.text(column++);
  s.training_sigma = row.real(column++);
  s.dataset_hash = row.text(column++);
  s.dataset_name = row.text(column++);
  s.dataset_split = row.text(column++);
  s.shape.channels = static_cast<int>(row.integer(column++));
  s.shape.height = static_cast<int>(row.integer(column++));
  s.shape.width = static_cast<int>(row.integer(column++));
  s.classes = static_cast<int>(row.integer(column++));
  s.certify.sigma = row.real(column++);
  s.certify.n0 = as_unsigned(row.integer(column++));
  s.certify.n = as_unsigned(row.integer(column++));
  s.certify.alpha = row.real(column++);
  s.certify.seed = as_unsigned(row.integer(column++));
  s.certify.noise = stored_name<NoiseLaw>(row.text(column++), where);
  s.certify.clamp = row.integer(column++) != 0;
  s.certify.mode = stored_name<Mode>(row.text(column++), where);
  s.precision = row.text(column++);
  s.arithmetic = row.text(column++);
  s.program_version = row.text(column++);
  s.backend = row.text(column++);
  return run;
}

Certificate certificate_row(const Statement& row, const std::string& where) {
  Certificate c;
  c.image = static_cast<std::uint32_t>(row.integer(0));
  c.label = static_cast<std::uint8_t>(row.integer(1));
  c.selected = static_cast<int>(row.integer(2));
  c.prediction = static_cast<int>(row.integer(3));
  c.radius = row.real(4);
  c.p_lower = row.real(5);
  c.selection = {parse_counts(row.text(6), where), as_unsigned(row.integer(7))};
  c.estimation = {parse_counts(row.text(8), where), as_unsigned(row.integer(9))};
  c.seconds = row.real(10);
  return c;
}

std::string where_in(const Database& db) { return "results store '" + db.file().string() + "'"; }

}  // namespace

void check_total(const StageCounts& counts, std::uint64_t samples, std::uint32_t image) {
  const std::uint64_t total =
      std::accumulate(counts.counts.begin(), counts.counts.end(), counts.invalid);
  if (total != samples) {
    throw Error(fmt::format("the counts of image {} add up to {}, not to its {} samples", image,
                            total, samples));
  }
}

std::vector<RunInfo> read_runs(Database& db) {
  Statement query(db, run_query(db, "ORDER BY r.id"));
  std::vector<RunInfo> runs;
  while (query.step()) runs.push_back(run_row(query, where_in(db)));
  return runs;
}

std::optional<RunInfo> find_run(Database& db, const std::string& key) {
  Statement query(db, run_query(db, "WHERE r.key = ?"));
  query.bind(0, key);
  if (!query.step()) return std::nullopt;
  return run_row(query, where_in(db));
}

void insert_run(Database& db, const RunSettings& s, const std::string& key,
                const std::string& started) {
  // A model or data set is known by its hash; the first name it came with stays.
  Statement model(db, "INSERT OR IGNORE INTO models VALUES(?,?,?,?)");
  model.bind(0, s.model_hash).bind(1, s.model_name).bind(2, s.regime).bind(3, s.training_sigma);
  model.run();
  Statement dataset(db, "INSERT OR IGNORE INTO datasets VALUES(?,?,?,?,?,?,?)");
  dataset.bind(0, s.dataset_hash).bind(1, s.dataset_name).bind(2, s.dataset_split);
  dataset.bind(3, std::int64_t{s.shape.channels}).bind(4, std::int64_t{s.shape.height});
  dataset.bind(5, std::int64_t{s.shape.width}).bind(6, std::int64_t{s.classes}).run();
  const CertifySettings& c = s.certify;
  Statement run(db, "INSERT INTO runs VALUES(NULL,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  run.bind(0, key).bind(1, s.model_hash).bind(2, s.dataset_hash).bind(3, c.sigma);
  run.bind(4, as_signed(c.n0)).bind(5, as_signed(c.n)).bind(6, c.alpha).bind(7, as_signed(c.seed));
  run.bind(8, to_name(c.noise)).bind(9, std::int64_t{c.clamp}).bind(10, to_name(c.mode));
  run.bind(11, s.precision).bind(12, s.arithmetic).bind(13, s.program_version);
  run.bind(14, s.backend).bind(15, started).bind(16, to_name(c.p_b)).run();
}

std::vector<ChunkCounts> read_chunks(Database& db, std::int64_t run) {
  Statement query(db,
                  "SELECT image, stage, first, last, counts, invalid FROM chunks WHERE run = ? "
                  "ORDER BY image, stage, first");
  query.bind(0, run);
  std::vector<ChunkCounts> chunks;
  while (query.step()) {
    ChunkCounts c;
    c.image = static_cast<std::uint32_t>(query.integer(0));
    c.stage = static_cast<Purpose>(query.integer(1));
    c.first = as_unsigned(query.integer(2));
    c.last = as_unsigned(query.integer(3));
    c.counts = {parse_counts(query.text(4), where_in(db)), as_unsigned(query.integer(5))};
    chunks.push_back(std::move(c));
  }
  return chunks;
}

std::vector<Certificate> read_certificates(Database& db, std::int64_t run) {
  Statement query(db, std::string(kCertificateColumns) + "WHERE run = ? ORDER BY image");
  query.bind(0, run);
  std::vector<Certificate> certificates;
  while (query.step()) certificates.push_back(certificate_row(query, where_in(db)));
  return certificates;
}

void write_document(Database& db, const std::string& key, const std::string& json) {
  Transaction transaction(db);
  Statement(db, "INSERT OR REPLACE INTO documents VALUES(?,?)").bind(0, key).bind(1, json).run();
  transaction.commit();
}

std::optional<std::string> read_document(Database& db, const std::string& key) {
  Statement query(db, "SELECT json FROM documents WHERE name = ?");
  query.bind(0, key);
  if (!query.step()) return std::nullopt;
  return query.text(0);
}

std::vector<std::string> read_document_keys(Database& db) {
  Statement query(db, "SELECT name FROM documents ORDER BY name");
  std::vector<std::string> keys;
  while (query.step()) keys.push_back(query.text(0));
  return keys;
}

RowWriter::RowWriter(Database& db)
    : find_certificate_(db, std::string(kCertificateColumns) + "WHERE run = ? AND image = ?"),
      insert_certificate_(db, "INSERT INTO certificates VALUES(?,?,?,?,?,?,?,?,?,?,?,?)"),
      drop_chunks_(db, "DELETE FROM chunks WHERE run = ? AND image = ?"),
      find_overlap_(db,
                    "SELECT first, last, counts, invalid FROM chunks WHERE run = ? AND image = ? "
                    "AND stage = ? AND first < ? AND last > ? LIMIT 1"),
      insert_chunk_(db, "INSERT INTO chunks VALUES(?,?,?,?,?,?,?)") {}

std::string RowWriter::write(std::int64_t run, const Certificate& c) {
  const std::int64_t image = c.image;
  find_certificate_.bind(0, run).bind(1, image);
  const bool found = find_certificate_.step();
  const std::string stored =
      found ? certificate_text(certificate_row(find_certificate_, "results store")) : "";
  find_certificate_.reset();
  if (found) {
    const std::string offered = certificate_text(c);
    if (stored == offered) return "";
    return fmt::format(
        "run {} already holds image {} with another result (stored: {}; new: {}); "
        "the stored one was kept",
        run, c.image, stored, offered);
  }
  Statement& row = insert_certificate_;
  row.bind(0, run).bind(1, image).bind(2, std::int64_t{c.label}).bind(3, std::int64_t{c.selected});
  row.bind(4, std::int64_t{c.prediction}).bind(5, c.radius).bind(6, c.p_lower);
  row.bind(7, counts_text(c.selection.counts)).bind(8, as_signed(c.selection.invalid));
  row.bind(9, counts_text(c.estimation.counts)).bind(10, as_signed(c.estimation.invalid));
  row.bind(11, c.seconds).run();
  drop_chunks_.bind(0, run).bind(1, image).run();
  return "";
}

std::string RowWriter::write(std::int64_t run, const ChunkCounts& c) {
  const std::int64_t image = c.image, stage = static_cast<std::int64_t>(c.stage);
  find_certificate_.bind(0, run).bind(1, image);
  const bool finished = find_certificate_.step();
  find_certificate_.reset();
  if (finished) return "";
  find_overlap_.bind(0, run).bind(1, image).bind(2, stage);
  find_overlap_.bind(3, as_signed(c.last)).bind(4, as_signed(c.first));
  std::string problem;
  const bool overlaps = find_overlap_.step();
  if (overlaps && as_unsigned(find_overlap_.integer(0)) == c.first &&
      as_unsigned(find_overlap_.integer(1)) == c.last &&
      (find_overlap_.text(2) != counts_text(c.counts.counts) ||
       as_unsigned(find_overlap_.integer(3)) != c.counts.invalid)) {
    problem = fmt::format(
        "run {} already holds samples {}..{} of image {} with other counts; the "
        "stored ones were kept",
        run, c.first, c.last, c.image);
  }
  find_overlap_.reset();
  if (overlaps) return problem;
  Statement& row = insert_chunk_;
  row.bind(0, run).bind(1, image).bind(2, stage).bind(3, as_signed(c.first));
  row.bind(4, as_signed(c.last)).bind(5, counts_text(c.counts.counts));
  row.bind(6, as_signed(c.counts.invalid)).run();
  return "";
}

}  // namespace smoothcert::store
