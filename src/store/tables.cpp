// Rows of the store's tables as structs, each checked as it is read.
#include "store/tables.hpp"

#include <fmt/format.h>

#include <bit>

#include "store/codec.hpp"
#include "store/disproof_rows.hpp"
#include "store/row_check.hpp"
#include "store/row_reading.hpp"
#include "store/schema.hpp"

namespace smoothcert::store {

namespace {

// `rest` follows the columns of all runs. An older store that may not be written is read as it is.
std::string run_query(const Reading& reading, const char* rest) {
  return fmt::format(
      "SELECT r.id, r.key, r.started, m.hash, m.name, m.regime, m.training_sigma, d.hash, d.name, "
      "d.split, d.channels, d.height, d.width, d.classes, r.sigma, r.n0, r.n, r.alpha, r.seed, "
      "r.noise, r.clamp, r.mode, r.precision, r.arithmetic, r.program_version, r.backend, {}, {} "
      "FROM runs r LEFT JOIN models m ON m.hash = r.model LEFT JOIN datasets d ON d.hash = "
      "r.dataset {}",
      reading.version < 2 ? "'complement'" : "r.p_b",
      reading.version < 3
          ? "CASE r.noise WHEN 'gaussian' THEN 'real' ELSE 'executed' END, '', '', 'l2', "
            "'probabilistic', 'fixed', 0.0, '', ''"
          : "r.soundness, r.pixels, r.external, r.norm, r.kind, r.rule, r.target, r.checkpoints, "
            "r.stopped_at",
      rest);
}

std::string certificate_query(std::int64_t version, const char* rest) {
  return fmt::format(
      "SELECT image, label, selected, prediction, radius, p_lower, selection_counts, "
      "selection_invalid, estimation_counts, estimation_invalid, seconds, {} FROM certificates {}",
      version < 3 ? "'', 'n', 0" : "checksum, stop, samples", rest);
}

std::int64_t as_signed(std::uint64_t value) { return std::bit_cast<std::int64_t>(value); }
std::uint64_t as_unsigned(std::int64_t value) { return std::bit_cast<std::uint64_t>(value); }

int small(const Statement& row, int column, const char* name) {
  return static_cast<int>(bounded(row, column, 1'000'000'000, name));
}

/// What is known of one kind of statement only must be that: a newer program's row, or a changed
/// one.
void require(const Statement& row, int column, const char* name, const char* known) {
  if (row.text(column) != known)
    throw Error(fmt::format("{} is '{}', where its run has '{}'", name, row.text(column), known));
}

RunInfo run_row(const Statement& row) {
  RunInfo run;
  RunSettings& s = run.settings;
  int column = 0;
  run.id = row.integer(column++);
  run.key = row.text(column++);
  run.started = row.text(column++);
  if (row.any(3).empty() || row.any(7).empty())
    throw Error("its model or its data set is not among the store's");
  s.model_hash = row.text(column++);
  s.model_name = row.text(column++);
  s.regime = row.text(column++);
  s.training_sigma = row.real(column++);
  s.dataset_hash = row.text(column++);
  s.dataset_name = row.text(column++);
  s.dataset_split = row.text(column++);
  s.shape.channels = small(row, column++, "channels");
  s.shape.height = small(row, column++, "height");
  s.shape.width = small(row, column++, "width");
  s.classes = static_cast<int>(bounded(row, column++, kLargestLabel + 1, "classes"));
  s.certify.sigma = row.real(column++);
  s.certify.n0 = as_unsigned(row.integer(column++));
  s.certify.n = as_unsigned(row.integer(column++));
  s.certify.alpha = row.real(column++);
  s.certify.seed = as_unsigned(row.integer(column++));
  s.certify.noise = stored_name<NoiseLaw>(row.text(column++), "noise");
  s.certify.clamp = row.integer(column++) != 0;
  s.certify.mode = stored_name<Mode>(row.text(column++), "mode");
  s.precision = row.text(column++);
  s.arithmetic = row.text(column++);
  s.program_version = row.text(column++);
  s.backend = row.text(column++);
  s.certify.p_b = stored_name<SecondBound>(row.text(column++), "p_b");
  const std::string soundness = row.text(column++);
  s.pixels = row.text(column++);
  s.external = row.text(column++);
  const NoiseTraits& traits = noise_traits(s.certify.noise);
  require(row, column++, "norm", to_name(traits.norm).c_str());
  require(row, column++, "kind", to_name(traits.kind).c_str());
  const std::string rule = row.text(column++);
  s.certify.sequential = rule != "fixed";
  if (s.certify.sequential) s.certify.stopping.rule = stored_name<StopRule>(rule, "rule");
  s.certify.stopping.target = row.real(column++);
  require(row, column++, "checkpoints", s.certify.sequential ? kCheckpoints : "");
  s.certify.stopped_at = parse_stopped_at(row.text(column++), "stopped_at");
  if (const std::string fault = run_fault(run, soundness); !fault.empty()) throw Error(fault);
  return run;
}

Certificate certificate_row(const Statement& row, int classes) {
  Certificate c;
  c.image = static_cast<std::uint32_t>(bounded(row, 0, UINT32_MAX, "image"));
  c.label = static_cast<Label>(bounded(row, 1, kLargestLabel, "label"));
  c.selected = small(row, 2, "selected");
  const std::int64_t prediction = row.integer(3);
  if (prediction < -1 || prediction >= classes)
    throw Error(fmt::format("prediction is {}, outside -1 … {}", prediction, classes - 1));
  c.prediction = static_cast<int>(prediction);
  c.radius = row.real(4);
  c.p_lower = row.real(5);
  c.selection = {parse_counts(row.text(6), classes, "selection_counts"),
                 bounded(row, 7, INT64_MAX, "selection_invalid")};
  c.estimation = {parse_counts(row.text(8), classes, "estimation_counts"),
                  bounded(row, 9, INT64_MAX, "estimation_invalid")};
  c.seconds = row.real(10);
  c.stop = stored_name<StopReason>(row.text(12), "stop");
  return c;
}

ChunkCounts chunk_row(const Statement& row, int classes) {
  ChunkCounts c;
  c.image = static_cast<std::uint32_t>(bounded(row, 0, UINT32_MAX, "image"));
  c.stage = static_cast<Purpose>(bounded(row, 1, UINT32_MAX, "stage"));
  c.first = bounded(row, 2, UINT32_MAX, "first");
  c.last = bounded(row, 3, UINT32_MAX, "last");
  c.counts = {parse_counts(row.text(4), classes, "counts"), bounded(row, 5, INT64_MAX, "invalid")};
  const std::int64_t label = row.integer(7);
  if (label < -1 || label >= classes)
    throw Error(fmt::format("label is {}, outside -1 … {}", label, classes - 1));
  c.label = static_cast<int>(label);
  return c;
}

/// A store that was brought to version 3 gets its rows' checksums in a second step.
bool has_checksums(const Reading& reading) {
  return reading.version >= 3 && reading.bound != kBeforeChecksums;
}

/// Every certificate of the run with its fault ("" for none); rows that cannot be read at all go to
/// `unreadable` by the image they name.
template <class Take>
void each_certificate(Database& db, const RunInfo& run, const Reading& reading, Take&& take) {
  Statement query(db, certificate_query(reading.version, "WHERE run = ? ORDER BY image"));
  query.bind(0, run.id);
  RowCheck check(run, reading.bound, has_checksums(reading));
  each_row(
      query, reading,
      [&] { return fmt::format("run {}, certificate of image {}", run.id, query.any(0)); },
      [&] {
        Certificate c = certificate_row(query, run.settings.classes);
        if (const std::string fault = check.fault(c, query.text(11)); !fault.empty())
          throw Error(fault);
        const std::uint64_t used = votes_in(c.estimation.counts, c.estimation.invalid);
        if (reading.version >= 3 && bounded(query, 13, UINT32_MAX, "samples") != used)
          throw Error(fmt::format("samples is {}, its counts add up to {}", query.any(13), used));
        take(std::move(c));
      });
}

template <class Take>
void each_chunk(Database& db, const RunInfo& run, const Reading& reading, Take&& take) {
  Statement query(db, fmt::format("SELECT image, stage, first, last, counts, invalid, {} FROM "
                                  "chunks WHERE run = ? ORDER BY image, stage, first",
                                  reading.version < 3 ? "'', -1" : "checksum, label"));
  query.bind(0, run.id);
  const RowCheck check(run, reading.bound, has_checksums(reading));
  each_row(
      query, reading,
      [&] {
        return fmt::format("run {}, counts of image {}, samples {}..{}", run.id, query.any(0),
                           query.any(2), query.any(3));
      },
      [&] {
        ChunkCounts c = chunk_row(query, run.settings.classes);
        if (const std::string fault = check.fault(c, query.text(6)); !fault.empty())
          throw Error(fault);
        take(std::move(c));
      });
}

std::optional<RunInfo> one_run(Statement& query, const Reading& reading) {
  std::optional<RunInfo> found;
  each_row(
      query, reading, [&] { return "run " + query.any(0); }, [&] { found = run_row(query); });
  return found;
}

}  // namespace

namespace {

/// Rows that belong to no run are never read with one, and would be overlooked.
void tell_orphans(Database& db, const Reading& reading) {
  std::vector<const char*> tables = {"certificates", "chunks"};
  if (reading.version >= 3) tables.push_back("disproofs");
  for (const char* table : tables) {
    const std::int64_t rows = db.query_integer(
        fmt::format("SELECT count(*) FROM {} WHERE run NOT IN (SELECT id FROM runs)", table));
    if (rows > 0)
      reading.on_fault(fmt::format("table {}: {} rows belong to no run of the store", table, rows));
  }
}

}  // namespace

std::vector<RunInfo> read_runs(Database& db, const Reading& reading) {
  Statement query(db, run_query(reading, "ORDER BY r.id"));
  std::vector<RunInfo> runs;
  each_row(
      query, reading, [&] { return "run " + query.any(0); },
      [&] { runs.push_back(run_row(query)); });
  tell_orphans(db, reading);
  return runs;
}

std::optional<RunInfo> find_run(Database& db, const std::string& key, const Reading& reading) {
  Statement query(db, run_query(reading, "WHERE r.key = ?"));
  query.bind(0, key);
  return one_run(query, reading);
}

std::optional<RunInfo> find_run(Database& db, std::int64_t id, const Reading& reading) {
  Statement query(db, run_query(reading, "WHERE r.id = ?"));
  query.bind(0, id);
  return one_run(query, reading);
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
  Statement run(db,
                "INSERT INTO runs(key, model, dataset, sigma, n0, n, alpha, seed, noise, clamp, "
                "mode, precision, arithmetic, program_version, backend, started, p_b, soundness, "
                "pixels, external, rule, target, checkpoints, stopped_at, norm, kind) "
                "VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
  run.bind(0, key).bind(1, s.model_hash).bind(2, s.dataset_hash).bind(3, c.sigma);
  run.bind(4, as_signed(c.n0)).bind(5, as_signed(c.n)).bind(6, c.alpha).bind(7, as_signed(c.seed));
  run.bind(8, to_name(c.noise)).bind(9, std::int64_t{c.clamp}).bind(10, to_name(c.mode));
  run.bind(11, s.precision).bind(12, s.arithmetic).bind(13, s.program_version);
  run.bind(14, s.backend).bind(15, started).bind(16, to_name(c.p_b));
  run.bind(17, to_name(soundness_of(s))).bind(18, s.pixels).bind(19, s.external);
  run.bind(20, c.sequential ? to_name(c.stopping.rule) : std::string("fixed"));
  run.bind(21, c.stopping.target).bind(22, c.sequential ? kCheckpoints : "");
  run.bind(23, stopped_at_text(c)).bind(24, to_name(noise_traits(c.noise).norm));
  run.bind(25, to_name(noise_traits(c.noise).kind)).run();
}

std::vector<ChunkCounts> read_chunks(Database& db, const RunInfo& run, const Reading& reading) {
  std::vector<ChunkCounts> chunks;
  each_chunk(db, run, reading, [&](ChunkCounts c) { chunks.push_back(std::move(c)); });
  return chunks;
}

std::vector<Certificate> read_certificates(Database& db, const RunInfo& run,
                                           const Reading& reading) {
  std::vector<Certificate> certificates;
  each_certificate(db, run, reading, [&](Certificate c) { certificates.push_back(std::move(c)); });
  return certificates;
}

void refresh_rows(Database& db, const Reading& reading) {
  Statement update(db,
                   "UPDATE certificates SET prediction = ?, radius = ?, p_lower = ?, checksum = ? "
                   "WHERE run = ? AND image = ?");
  Statement update_chunk(db,
                         "UPDATE chunks SET checksum = ? WHERE run = ? AND image = ? AND stage = ? "
                         "AND first = ?");
  Reading quiet = reading;
  quiet.on_fault = [](const std::string&) {};  // they stay as they are, and are told when read
  for (const RunInfo& run : read_runs(db, quiet)) {
    for (const Certificate& c : read_certificates(db, run, quiet)) {
      update.bind(0, std::int64_t{c.prediction}).bind(1, c.radius).bind(2, c.p_lower);
      update.bind(3, checksum(run.key, c)).bind(4, run.id).bind(5, std::int64_t{c.image}).run();
    }
    for (const ChunkCounts& c : read_chunks(db, run, quiet)) {
      update_chunk.bind(0, checksum(run.key, c)).bind(1, run.id).bind(2, std::int64_t{c.image});
      update_chunk.bind(3, static_cast<std::int64_t>(c.stage)).bind(4, as_signed(c.first)).run();
    }
  }
}

std::uint64_t remove_faulty_rows(Database& db, const Reading& reading) {
  const auto count = [&] {
    return db.query_integer(
        "SELECT (SELECT count(*) FROM runs) + (SELECT count(*) FROM chunks) + "
        "(SELECT count(*) FROM certificates) + (SELECT count(*) FROM disproofs)");
  };
  const std::int64_t before = count();
  Reading quiet = reading;
  quiet.on_fault = [](const std::string&) {};
  // What passes is marked; the rest goes. A run that fails takes its rows with it: without its
  // settings they say nothing.
  db.execute("CREATE TEMP TABLE good_runs(id)");
  db.execute("CREATE TEMP TABLE good_images(run, image)");
  db.execute("CREATE TEMP TABLE good_chunks(run, image, stage, first)");
  db.execute("CREATE TEMP TABLE good_disproofs(run, image)");
  {
    Statement keep_run(db, "INSERT INTO good_runs VALUES(?)");
    Statement keep_image(db, "INSERT INTO good_images VALUES(?,?)");
    Statement keep_chunk(db, "INSERT INTO good_chunks VALUES(?,?,?,?)");
    Statement keep_disproof(db, "INSERT INTO good_disproofs VALUES(?,?)");
    for (const RunInfo& run : read_runs(db, quiet)) {
      keep_run.bind(0, run.id).run();
      for (const Certificate& c : read_certificates(db, run, quiet))
        keep_image.bind(0, run.id).bind(1, std::int64_t{c.image}).run();
      for (const ChunkCounts& c : read_chunks(db, run, quiet)) {
        keep_chunk.bind(0, run.id).bind(1, std::int64_t{c.image});
        keep_chunk.bind(2, static_cast<std::int64_t>(c.stage)).bind(3, as_signed(c.first)).run();
      }
      for (const Disproof& d : read_disproofs(db, run, quiet))
        keep_disproof.bind(0, run.id).bind(1, std::int64_t{d.image}).run();
    }
  }
  db.execute(
      "DELETE FROM certificates WHERE (run, image) NOT IN (SELECT run, image FROM good_images)");
  db.execute(
      "DELETE FROM chunks WHERE (run, image, stage, first) NOT IN "
      "(SELECT run, image, stage, first FROM good_chunks)");
  db.execute(
      "DELETE FROM disproofs WHERE (run, image) NOT IN (SELECT run, image FROM good_disproofs) OR "
      "(run, image) NOT IN (SELECT run, image FROM certificates)");
  db.execute("DELETE FROM runs WHERE id NOT IN (SELECT id FROM good_runs)");
  for (const char* table : {"good_runs", "good_images", "good_chunks", "good_disproofs"})
    db.execute(std::string("DROP TABLE ") + table);
  return static_cast<std::uint64_t>(before - count());
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

RowWriter::RowWriter(Database& db, const Reading& reading)
    : db_(db),
      reading_(reading),
      find_certificate_(db, certificate_query(reading.version, "WHERE run = ? AND image = ?")),
      insert_certificate_(
          db,
          "INSERT INTO certificates(run, image, label, selected, prediction, radius, p_lower, "
          "selection_counts, selection_invalid, estimation_counts, estimation_invalid, seconds, "
          "samples, checksum, stop) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"),
      drop_chunks_(db, "DELETE FROM chunks WHERE run = ? AND image = ?"),
      find_overlap_(db,
                    "SELECT first, last, counts, invalid FROM chunks WHERE run = ? AND image = ? "
                    "AND stage = ? AND first < ? AND last > ? LIMIT 1"),
      insert_chunk_(db,
                    "INSERT INTO chunks(run, image, stage, first, last, counts, invalid, checksum, "
                    "label) VALUES(?,?,?,?,?,?,?,?,?)") {}

const RunInfo& RowWriter::info(std::int64_t run) {
  auto found = runs_.find(run);
  if (found == runs_.end()) {
    const auto info = find_run(db_, run, reading_);
    if (!info) throw Error(fmt::format("the results store has no run {}", run));
    found = runs_.emplace(run, *info).first;
  }
  return found->second;
}

std::string RowWriter::write(std::int64_t run, const Certificate& c) {
  const RunInfo& of = info(run);
  const std::int64_t image = c.image;
  find_certificate_.bind(0, run).bind(1, image);
  std::string stored;
  const bool found = find_certificate_.step();
  try {
    if (found) stored = certificate_text(certificate_row(find_certificate_, of.settings.classes));
  } catch (const Error& error) {
    stored = error.what();
  }
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
  row.bind(11, c.seconds).bind(12, as_signed(votes_in(c.estimation.counts, c.estimation.invalid)));
  row.bind(13, checksum(of.key, c)).bind(14, to_name(c.stop)).run();
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
  row.bind(6, as_signed(c.counts.invalid)).bind(7, checksum(info(run).key, c));
  row.bind(8, std::int64_t{c.label}).run();
  return "";
}

}  // namespace smoothcert::store
