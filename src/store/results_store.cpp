// The results store on SQLite: batches, one writer at a time, rows checked as they are read.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <variant>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/version.hpp"
#include "store/canonical_dump.hpp"
#include "store/disproof_rows.hpp"
#include "store/journal.hpp"
#include "store/row_check.hpp"
#include "store/schema.hpp"
#include "store/sqlite.hpp"
#include "store/tables.hpp"

namespace smoothcert {

namespace {

using store::Database;
using store::Transaction;
using Clock = std::chrono::steady_clock;

constexpr auto kCommitInterval = std::chrono::milliseconds(900);
constexpr std::size_t kBatchLimit = 20000;
constexpr int kBusyMilliseconds = 5000;

std::string utc_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::time(nullptr)));
}

class SqliteStore final : public ResultsStore {
 public:
  SqliteStore(const std::filesystem::path& file, Access access, FaultHandler on_fault)
      : writable_(access == Access::read_write),
        db_(file, writable_ ? Database::Access::read_write : Database::Access::read_only),
        on_fault_(std::move(on_fault)) {
    db_.busy_timeout(kBusyMilliseconds);
    reading_.version = store::open_schema(
        db_, writable_ ? Database::Access::read_write : Database::Access::read_only);
    reading_.bound = store::stored_bound(db_);
    if (reading_.version >= 3 && reading_.bound != kBound &&
        reading_.bound != store::kBeforeChecksums)
      throw Error(
          fmt::format("results store '{}' holds radii of the formula '{}', this is smoothcert "
                      "{} and knows '{}'; use a newer smoothcert",
                      file.string(), reading_.bound, kVersion, kBound));
    reading_.on_fault = [this](const std::string& line) { tell(line); };
    if (!writable_) return;
    journal_ = store::choose_journal(db_, store::shared_filesystem(file));
    db_.execute("PRAGMA synchronous=FULL");
    db_.execute("PRAGMA foreign_keys=ON");
    bring_up_to_date();
    flusher_ = std::jthread([this](std::stop_token stop) { flush_regularly(stop); });
  }

  ~SqliteStore() override {
    flusher_ = {};  // stops and joins
    try {
      commit_pending();
    } catch (...) {  // a destructor may not throw: callers that must know call flush()
    }
  }

  RunInfo find_or_create_run(const RunSettings& settings) override {
    if (settings.model_hash.empty() || settings.dataset_hash.empty()) {
      throw Error("a run needs the hashes of its model and its data set");
    }
    const std::string key = run_key(settings);
    const std::lock_guard lock(mutex_);
    if (auto found = store::find_run(db_, key, reading_)) return *found;
    require_writable();
    Transaction transaction(db_);
    if (!store::find_run(db_, key, reading_)) store::insert_run(db_, settings, key, utc_now());
    RunInfo run = store::find_run(db_, key, reading_).value();
    transaction.commit();
    return run;
  }

  std::vector<RunInfo> runs() const override {
    const std::lock_guard lock(mutex_);
    return store::read_runs(db_, reading_);
  }

  void add_chunk(std::int64_t run, const ChunkCounts& chunk) override {
    const RunInfo info = info_of(run);
    const std::string fault = store::RowCheck(info, kBound, false).fault(chunk, "");
    if (!fault.empty())
      throw Error(
          fmt::format("partial counts of image {} contradict themselves: {}", chunk.image, fault));
    enqueue({run, chunk});
  }

  void add_certificate(std::int64_t run, const Certificate& certificate) override {
    const RunInfo info = info_of(run);
    Certificate checked = certificate;
    const std::string fault = store::RowCheck(info, kBound, false).fault(checked, "");
    if (!fault.empty())
      throw Error(fmt::format("the certificate of image {} contradicts itself: {}",
                              certificate.image, fault));
    enqueue({run, certificate});
  }

  std::vector<ChunkCounts> chunks(std::int64_t run) const override {
    const std::lock_guard lock(mutex_);
    commit_pending();
    return store::read_chunks(db_, known(run), reading_);
  }

  std::vector<Certificate> certificates(std::int64_t run) const override {
    const std::lock_guard lock(mutex_);
    commit_pending();
    return store::read_certificates(db_, known(run), reading_);
  }

  void add_disproof(std::int64_t run, const Disproof& disproof) override {
    const std::lock_guard lock(mutex_);
    require_writable();
    const RunInfo& info = known(run);
    if (const std::string fault = store::disproof_fault(info, disproof); !fault.empty())
      throw Error(
          fmt::format("the disproof of image {} contradicts itself: {}", disproof.image, fault));
    commit_pending();
    Transaction transaction(db_);
    const std::string conflict = store::write_disproof(db_, info, disproof);
    transaction.commit();
    if (!conflict.empty()) throw Error("results store '" + db_.file().string() + "': " + conflict);
  }

  std::vector<Disproof> disproofs(std::int64_t run) const override {
    const std::lock_guard lock(mutex_);
    return store::read_disproofs(db_, known(run), reading_);
  }

  void flush() override {
    const std::lock_guard lock(mutex_);
    rethrow_failure();
    commit_pending();
  }

  void put_document(const std::string& key, const std::string& json) override {
    const std::lock_guard lock(mutex_);
    require_writable();
    commit_pending();
    store::write_document(db_, key, json);
  }

  std::optional<std::string> document(const std::string& key) const override {
    const std::lock_guard lock(mutex_);
    return store::read_document(db_, key);
  }

  std::vector<std::string> document_keys() const override {
    const std::lock_guard lock(mutex_);
    return store::read_document_keys(db_);
  }

  std::string note() const override { return journal_.note; }

  std::string canonical_dump() const override {
    const std::lock_guard lock(mutex_);
    commit_pending();
    return store::canonical_dump(db_, reading_);
  }

  std::uint64_t remove_faulty_rows() override {
    const std::lock_guard lock(mutex_);
    require_writable();
    commit_pending();
    known_.reset();
    Transaction transaction(db_);
    const std::uint64_t removed = store::remove_faulty_rows(db_, reading_);
    transaction.commit();
    return removed;
  }

 private:
  struct Pending {
    std::int64_t run = 0;
    std::variant<ChunkCounts, Certificate> row;
  };

  void require_writable() const {
    if (!writable_) {
      throw Error("results store '" + db_.file().string() + "' was opened for reading only");
    }
  }

  /// A store of an older formula, or of a schema without checksums, gets ours.
  void bring_up_to_date() {
    if (reading_.bound == kBound) return;
    Transaction transaction(db_);
    reading_.bound = store::stored_bound(db_);
    if (reading_.bound != kBound) {  // otherwise another process has just done it
      store::refresh_rows(db_, reading_);
      store::write_stored_bound(db_, kBound);
    }
    transaction.commit();
    reading_.bound = kBound;
  }

  void tell(const std::string& line) const {
    if (!on_fault_)
      throw Error(
          fmt::format("results store '{0}': {1}; 'smoothcert verify {0}' lists all such "
                      "rows, and with --remove takes them out, so that they are drawn again",
                      db_.file().string(), line));
    if (told_.insert(line).second) on_fault_(line);
  }

  const RunInfo& known(std::int64_t run) const {
    if (!known_ || known_->id != run) {
      known_ = store::find_run(db_, run, reading_);
      if (!known_)
        throw Error(fmt::format("results store '{}' has no run {}", db_.file().string(), run));
    }
    return *known_;
  }

  RunInfo info_of(std::int64_t run) const {
    const std::lock_guard lock(mutex_);
    return known(run);
  }

  void enqueue(Pending row) {
    const std::lock_guard lock(mutex_);
    require_writable();
    pending_.push_back(std::move(row));
    if (pending_.size() == 1) wake_.notify_one();
    rethrow_failure();
    if (pending_.size() >= kBatchLimit) commit_pending();
  }

  void rethrow_failure() const {
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
  }

  // One transaction for everything pending. On failure nothing is dropped: a later flush tries
  // again, for instance once there is room on the disk.
  void commit_pending() const {
    if (pending_.empty()) return;
    std::string conflict;
    Transaction transaction(db_);
    store::RowWriter writer(db_, reading_);
    for (const Pending& row : pending_) {
      const std::string problem =
          std::visit([&](const auto& value) { return writer.write(row.run, value); }, row.row);
      if (conflict.empty()) conflict = problem;
    }
    transaction.commit();
    pending_.clear();
    if (!conflict.empty()) throw Error("results store '" + db_.file().string() + "': " + conflict);
  }

  void flush_regularly(const std::stop_token& stop) {
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      wake_.wait(lock, stop, [this] { return !pending_.empty(); });
      wake_.wait_for(lock, stop, kCommitInterval, [] { return false; });
      try {
        commit_pending();
      } catch (...) {
        failure_ = std::current_exception();
      }
    }
  }

  bool writable_;
  store::Journal journal_;  // its mark goes after the database is closed
  mutable std::mutex mutex_;
  mutable Database db_;
  mutable std::vector<Pending> pending_;
  mutable std::exception_ptr failure_;
  FaultHandler on_fault_;
  store::Reading reading_;
  mutable std::set<std::string> told_;
  mutable std::optional<RunInfo> known_;
  std::condition_variable_any wake_;
  std::jthread flusher_;
};

}  // namespace

std::unique_ptr<ResultsStore> ResultsStore::open(const std::filesystem::path& file, Access access,
                                                 FaultHandler on_fault) {
  std::error_code ignored;
  if (access == Access::read_only && !std::filesystem::exists(file, ignored)) {
    throw Error("there is no results store '" + file.string() + "'");
  }
  return std::make_unique<SqliteStore>(file, access, std::move(on_fault));
}

}  // namespace smoothcert
