#include <fmt/chrono.h>
#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>

#include "smoothcert/error.hpp"
#include "smoothcert/results.hpp"
#include "store/canonical_dump.hpp"
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
  SqliteStore(const std::filesystem::path& file, Access access)
      : writable_(access == Access::read_write),
        db_(file, writable_ ? Database::Access::read_write : Database::Access::read_only) {
    db_.busy_timeout(kBusyMilliseconds);
    store::open_schema(db_, writable_ ? Database::Access::read_write : Database::Access::read_only);
    if (!writable_) return;
    db_.execute("PRAGMA journal_mode=WAL");
    db_.execute("PRAGMA synchronous=FULL");
    db_.execute("PRAGMA foreign_keys=ON");
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
    if (auto found = store::find_run(db_, key)) return *found;
    require_writable();
    Transaction transaction(db_);
    if (!store::find_run(db_, key)) store::insert_run(db_, settings, key, utc_now());
    RunInfo run = store::find_run(db_, key).value();
    transaction.commit();
    return run;
  }

  std::vector<RunInfo> runs() const override {
    const std::lock_guard lock(mutex_);
    return store::read_runs(db_);
  }

  void add_chunk(std::int64_t run, const ChunkCounts& chunk) override {
    store::check_total(chunk.counts, chunk.last - chunk.first, chunk.image);
    enqueue({run, chunk});
  }

  void add_certificate(std::int64_t run, const Certificate& certificate) override {
    const auto [n0, n] = sample_sizes(run);
    store::check_total(certificate.selection, n0, certificate.image);
    store::check_total(certificate.estimation, n, certificate.image);
    enqueue({run, certificate});
  }

  std::vector<ChunkCounts> chunks(std::int64_t run) const override {
    const std::lock_guard lock(mutex_);
    commit_pending();
    return store::read_chunks(db_, run);
  }

  std::vector<Certificate> certificates(std::int64_t run) const override {
    const std::lock_guard lock(mutex_);
    commit_pending();
    return store::read_certificates(db_, run);
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

  std::string canonical_dump() const override {
    const std::lock_guard lock(mutex_);
    commit_pending();
    return store::canonical_dump(db_);
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

  std::pair<std::uint64_t, std::uint64_t> sample_sizes(std::int64_t run) {
    const std::lock_guard lock(mutex_);
    if (run != known_run_) {
      for (const RunInfo& info : store::read_runs(db_)) {
        if (info.id != run) continue;
        known_run_ = run;
        known_sizes_ = {info.settings.certify.n0, info.settings.certify.n};
      }
      if (run != known_run_) {
        throw Error(fmt::format("results store '{}' has no run {}", db_.file().string(), run));
      }
    }
    return known_sizes_;
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
    store::RowWriter writer(db_);
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
  mutable std::mutex mutex_;
  mutable Database db_;
  mutable std::vector<Pending> pending_;
  mutable std::exception_ptr failure_;
  std::int64_t known_run_ = -1;
  std::pair<std::uint64_t, std::uint64_t> known_sizes_;
  std::condition_variable_any wake_;
  std::jthread flusher_;
};

}  // namespace

std::unique_ptr<ResultsStore> ResultsStore::open(const std::filesystem::path& file, Access access) {
  std::error_code ignored;
  if (access == Access::read_only && !std::filesystem::exists(file, ignored)) {
    throw Error("there is no results store '" + file.string() + "'");
  }
  return std::make_unique<SqliteStore>(file, access);
}

}  // namespace smoothcert
