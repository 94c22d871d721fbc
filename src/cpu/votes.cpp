// Monte-Carlo votes on the CPU, one sample per SIMD lane.
#include "cpu/votes.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "cpu/lane_arena.hpp"
#include "cpu/lane_noise_step.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cpu {
namespace {

void check(const VoteSettings& settings, const std::vector<VoteJob>& jobs) {
  require_drawable(settings.noise, "votes");
  for (const VoteJob& job : jobs) {
    if (job.pixels == nullptr) throw UsageError("votes: a job has no pixels");
    if (job.first > job.last || job.last > samples_of(settings.noise))
      throw UsageError("votes: samples " + std::to_string(job.first) + " to " +
                       std::to_string(job.last) + " are not a range " +
                       samples_text(settings.noise));
  }
}

class CpuVoteRun final : public VoteRun {
 public:
  CpuVoteRun(ThreadPool& pool, std::shared_ptr<PreparedVotes> prepared,
             const VoteSettings& settings, std::vector<VoteJob> jobs,
             std::function<void(const VoteResult&)> on_result)
      : noise_(settings.noise),
        prepared_(std::move(prepared)),
        program_(prepared_->program),
        pool_(pool),
        jobs_(std::move(jobs)),
        on_result_(std::move(on_result)) {
    const auto threads = static_cast<std::size_t>(pool.threads());
    if (prepared_->arenas.size() < threads) prepared_->arenas.resize(threads);
    // Blocks of about 2^28 multiply-adds (some 10 ms) are what threads take: small enough to share
    // one image among all cores, large enough to be handed out for nothing. Whole batches where
    // there is room for one, else whole lane groups.
    const auto batch = static_cast<std::uint64_t>(program_.batch());
    const auto lanes = static_cast<std::uint64_t>(program_.kernels().lanes);
    const std::uint64_t wanted = (std::uint64_t{1} << 28) / (program_.multiply_adds() + 1);
    const std::uint64_t unit = wanted < batch ? lanes : batch;
    block_ = std::clamp<std::uint64_t>(wanted / unit * unit, unit, 1 << 16);
    open_.resize(jobs_.size());
    block_end_.reserve(jobs_.size());
    std::uint64_t blocks = 0;
    for (const VoteJob& job : jobs_) {
      blocks += blocks_of(job);
      block_end_.push_back(blocks);
    }
    thread_ = std::thread([this] { run(); });
  }

  ~CpuVoteRun() override {
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
  struct Cancelled {};

  /// A job some of whose blocks are counted.
  struct OpenJob {
    std::unique_ptr<VoteResult> result;
    std::uint64_t blocks_done = 0;
  };

  std::uint64_t blocks_of(const VoteJob& job) const {
    return (job.last - job.first + block_ - 1) / block_;
  }

  void run() {
    try {
      for (std::size_t i = 0; i < jobs_.size(); ++i)
        if (jobs_[i].first == jobs_[i].last) report(VoteResult{i, zeros(), 0});
      pool_.parallel_for(block_end_.empty() ? 0 : block_end_.back(),
                         [this](std::size_t block, int worker) { count_block(block, worker); });
    } catch (const Cancelled&) {
    } catch (...) {
      error_ = std::current_exception();
    }
  }

  std::vector<std::uint64_t> zeros() const {
    return std::vector<std::uint64_t>(static_cast<std::size_t>(program_.classes()));
  }

  /// Throws Cancelled where the run was cancelled, so that the pool drops the remaining blocks.
  void count_block(std::size_t block, int worker) {
    const auto found = std::upper_bound(block_end_.begin(), block_end_.end(), block);
    const auto index = static_cast<std::size_t>(found - block_end_.begin());
    const VoteJob& job = jobs_[index];
    const std::uint64_t before = index == 0 ? 0 : block_end_[index - 1];
    const std::uint64_t first = job.first + (block - before) * block_;
    const std::uint64_t last = std::min(job.last, first + block_);
    VoteResult part{index, zeros(), 0};

    auto& arena = prepared_->arenas[static_cast<std::size_t>(worker)];
    if (!arena) arena = std::make_unique<LaneArena>(program_);
    const auto batch = static_cast<std::uint64_t>(program_.batch());
    for (std::uint64_t at = first; at < last; at += batch) {
      if (stop_.load(std::memory_order_relaxed)) throw Cancelled{};
      count_batch(job, at, static_cast<int>(std::min(batch, last - at)), *arena, part);
    }
    finish_block(std::move(part));
  }

  void count_batch(const VoteJob& job, std::uint64_t first, int samples, LaneArena& arena,
                   VoteResult& part) {
    const LaneKernels& kernels = program_.kernels();
    const int lanes = kernels.lanes, groups = (samples + lanes - 1) / lanes;
    NoiseStep step = noise_step(noise_, program_.input_size());
    step.pixels = job.pixels;
    step.purpose = static_cast<std::uint32_t>(job.purpose);
    step.image = job.image;
    const NoiseKernel draw = noise_kernel(kernels, noise_.law);
    arena.run(groups, [&](int group, float* input) {
      step.first_sample = static_cast<std::uint32_t>(first + static_cast<unsigned>(group * lanes));
      draw(step, input);
    });
    for (int group = 0; group < groups; ++group)
      kernels.vote(program_.classes(), std::min(lanes, samples - group * lanes),
                   arena.logits(group), part.counts.data(), &part.invalid);
    done_.fetch_add(static_cast<std::uint64_t>(samples), std::memory_order_relaxed);
  }

  void finish_block(VoteResult part) {
    const std::lock_guard lock(mutex_);  // also what serialises the callback
    OpenJob& open = open_[part.job];
    const std::size_t index = part.job;
    if (open.result) {
      for (std::size_t c = 0; c < part.counts.size(); ++c) open.result->counts[c] += part.counts[c];
      open.result->invalid += part.invalid;
    } else {
      open.result = std::make_unique<VoteResult>(std::move(part));
    }
    if (++open.blocks_done < blocks_of(jobs_[index])) return;
    const auto result = std::move(open.result);
    if (stop_.load(std::memory_order_relaxed)) throw Cancelled{};
    report(*result);
  }

  /// A callback that throws ends the run: nothing is reported after it.
  void report(const VoteResult& result) {
    try {
      if (on_result_) on_result_(result);
    } catch (...) {
      // Kept here, since another thread may notice the stop and throw before this one.
      error_ = std::current_exception();
      stop_.store(true, std::memory_order_relaxed);
      throw Cancelled{};
    }
  }

  const NoiseSpec noise_;
  const std::shared_ptr<PreparedVotes> prepared_;
  const LaneProgram& program_;
  ThreadPool& pool_;
  const std::vector<VoteJob> jobs_;
  const std::function<void(const VoteResult&)> on_result_;
  std::uint64_t block_ = 0;
  std::vector<std::uint64_t> block_end_;  ///< blocks of this and all earlier jobs
  std::vector<OpenJob> open_;
  std::mutex mutex_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> done_{0};
  std::exception_ptr error_;
  std::thread thread_;
};

}  // namespace

std::shared_ptr<PreparedVotes> VoteCache::of(const InferencePlan& plan,
                                             const VoteSettings& settings) {
  const LaneKernels& kernels = active_lane_kernels();
  const double largest = largest_input(settings.noise);
  if (!prepared_ || &prepared_->program.kernels() != &kernels || mode_ != settings.mode ||
      largest_input_ != largest) {
    prepared_.reset();  // two of a large network would take twice the memory
    prepared_.reset(new PreparedVotes{LaneProgram(plan, kernels, largest, settings.mode), {}});
    mode_ = settings.mode;
    largest_input_ = largest;
  }
  return prepared_;
}

std::unique_ptr<VoteRun> start_votes(ThreadPool& pool, std::shared_ptr<PreparedVotes> prepared,
                                     const VoteSettings& settings, std::vector<VoteJob> jobs,
                                     std::function<void(const VoteResult&)> on_result) {
  check(settings, jobs);
  return std::make_unique<CpuVoteRun>(pool, std::move(prepared), settings, std::move(jobs),
                                      std::move(on_result));
}

std::unique_ptr<VoteRun> start_votes(const InferencePlan& plan, ThreadPool& pool,
                                     const VoteSettings& settings, std::vector<VoteJob> jobs,
                                     std::function<void(const VoteResult&)> on_result) {
  check(settings, jobs);
  return start_votes(pool, VoteCache().of(plan, settings), settings, std::move(jobs),
                     std::move(on_result));
}

std::string describe_votes(const InferencePlan& plan, Mode mode) {
  if (mode == Mode::fast && fast_mode_differs(plan)) return "cpu winograd";
  return "cpu exact " + isa_name(active_isa());
}

}  // namespace smoothcert::cpu
