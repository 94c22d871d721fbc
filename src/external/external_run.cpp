// Tile after tile: draw, ask the caller's model, count.
#include "external/external_run.hpp"

#include <atomic>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "cpu/noisy_rows.hpp"

namespace smoothcert::external {
namespace {

class ExternalRun final : public VoteRun {
 public:
  ExternalRun(const Forward& forward, const RunShape& shape, NoiseSpec noise, ThreadPool& pool,
              std::span<float> images, std::vector<VoteJob> jobs,
              std::function<void(const VoteResult&)> on_result, RunOn run_on)
      : shape_(shape),
        noise_(std::move(noise)),
        pool_(pool),
        jobs_(std::move(jobs)),
        on_result_(std::move(on_result)),
        answers_(forward, shape.tile, shape.classes),
        images_(images),
        run_on_(std::move(run_on)),
        thread_([this] { run(); }) {}

  ~ExternalRun() override {
    cancel();
    if (thread_.joinable()) thread_.join();
  }
  void wait() override {
    if (thread_.joinable()) thread_.join();
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }
  void cancel() override { stop_.store(true, std::memory_order_relaxed); }
  std::uint64_t samples_done() const override { return done_.load(std::memory_order_relaxed); }

 private:
  void run() {
    try {
      open_.resize(jobs_.size());
      for (std::size_t i = 0; i < jobs_.size(); ++i)
        if (jobs_[i].first == jobs_[i].last) on_result_(zeros(i));
      TilePlacer placer(jobs_, shape_.tile, shape_.placement);
      bool more = true;
      const std::function<void()> turn = [&] { more = take_turn(placer); };
      while (more) {
        if (run_on_)
          run_on_(turn);
        else
          turn();
      }
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  /// Tiles for a while: noise, forward pass and votes of all of them on one thread, so that no tile
  /// waits for another thread to wake up. False where none are left.
  bool take_turn(TilePlacer& placer) {
    using Clock = std::chrono::steady_clock;
    const auto end = Clock::now() + std::chrono::milliseconds(100);
    do {
      if (stop_.load(std::memory_order_relaxed) || !placer.next(tile_)) return false;
      draw(tile_);
      answers_.run(images_);
      for (const CountedRows& rows : tile_.counted) count(rows);
    } while (Clock::now() < end);
    return true;
  }

  VoteResult zeros(std::size_t job) const {
    return {job, std::vector<std::uint64_t>(static_cast<std::size_t>(shape_.classes)), 0};
  }

  void draw(const Tile& tile) {
    rows_.clear();
    for (const DrawnRows& drawn : tile.drawn) {
      const VoteJob& job = jobs_[drawn.job];
      rows_.push_back({job.pixels, job.image, job.purpose, drawn.first, drawn.count,
                       images_.data() + drawn.row * shape_.pixels});
    }
    cpu::draw_rows(noise_, shape_.pixels, rows_, pool_);
  }

  void count(const CountedRows& rows) {
    auto& open = open_[rows.job];
    if (!open) open = std::make_unique<VoteResult>(zeros(rows.job));
    for (std::size_t row = rows.begin; row < rows.end; ++row) {
      const int vote = answers_.vote(row);
      ++(vote < 0 ? open->invalid : open->counts[static_cast<std::size_t>(vote)]);
    }
    done_.fetch_add(rows.end - rows.begin, std::memory_order_relaxed);
    std::uint64_t votes = open->invalid;
    for (const std::uint64_t c : open->counts) votes += c;
    const VoteJob& job = jobs_[rows.job];
    if (votes < job.last - job.first || stop_.load(std::memory_order_relaxed)) return;
    on_result_(*open);
    open.reset();
  }

  const RunShape shape_;
  const NoiseSpec noise_;
  ThreadPool& pool_;
  const std::vector<VoteJob> jobs_;
  const std::function<void(const VoteResult&)> on_result_;
  TileAnswers answers_;
  std::span<float> images_;
  const RunOn run_on_;
  Tile tile_;
  std::vector<cpu::NoisyRows> rows_;
  std::vector<std::unique_ptr<VoteResult>> open_;  ///< by job; set while some of it is counted
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> done_{0};
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<VoteRun> start_run(const Forward& forward, const RunShape& shape,
                                   const NoiseSpec& noise, ThreadPool& pool,
                                   std::span<float> images, std::vector<VoteJob> jobs,
                                   std::function<void(const VoteResult&)> on_result, RunOn run_on) {
  return std::make_unique<ExternalRun>(forward, shape, noise, pool, images, std::move(jobs),
                                       std::move(on_result), std::move(run_on));
}

}  // namespace smoothcert::external
