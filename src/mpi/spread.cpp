// Rank 0's backend: counts on every rank, itself included.
#ifdef SMOOTHCERT_MPI
#include "mpi/spread.hpp"

#include <fmt/core.h>
#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <list>
#include <mutex>
#include <thread>

#include "mpi/messages.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert::cli {
namespace {

constexpr auto kPoll = std::chrono::microseconds(200);
constexpr int kInFlight = 2;  // batches at a rank: one counted, one waiting

void send(int rank, Tag tag, const Bytes& bytes) {
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, rank, tag, MPI_COMM_WORLD);
}

/// What is left to count, handed out in batches: small enough that no rank waits long at the end.
class JobQueue {
 public:
  JobQueue(const std::vector<VoteJob>& jobs, int ranks) : jobs_(jobs) {
    std::uint64_t samples = 0;
    for (const VoteJob& job : jobs) samples += job.last - job.first;
    batch_ = std::clamp<std::uint64_t>(samples / static_cast<std::uint64_t>(16 * ranks), 1024,
                                       std::uint64_t{1} << 20);
  }
  std::vector<std::size_t> take() {
    const std::lock_guard lock(mutex_);
    std::vector<std::size_t> taken;
    std::uint64_t samples = 0;
    while (!closed_ && next_ < jobs_.size() && samples < batch_) {
      samples += jobs_[next_].last - jobs_[next_].first;
      taken.push_back(next_++);
    }
    return taken;
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }

 private:
  std::mutex mutex_;
  const std::vector<VoteJob>& jobs_;
  std::size_t next_ = 0;
  std::uint64_t batch_ = 0;
  bool closed_ = false;
};

class SpreadRun final : public VoteRun {
 public:
  SpreadRun(BackendModel& own, std::uint32_t id, int ranks, const VoteSettings& settings,
            std::vector<VoteJob> jobs, std::function<void(const VoteResult&)> on_result)
      : own_(own),
        id_(id),
        ranks_(ranks),
        settings_(settings),
        jobs_(std::move(jobs)),
        on_result_(std::move(on_result)),
        queue_(jobs_, ranks),
        here_([this] { guarded([this] { count_here(); }); }),
        elsewhere_([this] { guarded([this] { count_elsewhere(); }); }) {}
  ~SpreadRun() override { cancel(); }  // the threads join

  void wait() override {
    if (here_.joinable()) here_.join();
    if (elsewhere_.joinable()) elsewhere_.join();
    const std::lock_guard lock(mutex_);
    if (failure_) std::rethrow_exception(failure_);
  }
  void cancel() override {
    queue_.close();
    const std::lock_guard lock(mutex_);
    cancelled_ = true;
    if (current_) current_->cancel();
  }
  std::uint64_t samples_done() const override { return samples_done_; }

 private:
  template <class Action>
  void guarded(Action&& action) {
    try {
      action();
    } catch (...) {
      {
        const std::lock_guard lock(mutex_);
        if (!failure_) failure_ = std::current_exception();
      }
      queue_.close();
    }
  }

  void report(const VoteResult& result) {
    const std::lock_guard lock(result_mutex_);
    samples_done_ += jobs_[result.job].last - jobs_[result.job].first;
    on_result_(result);
  }

  void count_here() {
    for (;;) {
      const auto taken = queue_.take();
      if (taken.empty()) return;
      std::vector<VoteJob> batch;
      for (const std::size_t number : taken) batch.push_back(jobs_[number]);
      {
        const std::lock_guard lock(mutex_);
        if (cancelled_) return;
        current_ = own_.count_votes(settings_, std::move(batch), [&](const VoteResult& r) {
          VoteResult result = r;
          result.job = taken[r.job];
          report(result);
        });
      }
      current_->wait();
      const std::lock_guard lock(mutex_);
      current_.reset();
    }
  }

  // The only thread that talks to the other ranks while a count runs. Whatever was sent is waited
  // for, also after a cancel or a failure: the next count must not find old answers.
  void count_elsewhere() {
    struct Sending {
      Bytes bytes;
      MPI_Request request;
    };
    std::list<Sending> sending;
    std::vector<int> in_flight(static_cast<std::size_t>(ranks_), 0);
    const auto image_size = own_.spec().input.size();
    std::string failure;
    for (;;) {
      bool idle = true;
      for (int rank = 1; rank < ranks_ && failure.empty(); ++rank) {
        auto& at_rank = in_flight[static_cast<std::size_t>(rank)];
        while (at_rank < kInFlight) {
          const auto taken = queue_.take();
          if (taken.empty()) break;
          sending.push_back({count_bytes(id_, settings_, image_size, jobs_, taken), {}});
          auto& [bytes, request] = sending.back();
          MPI_Isend(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, rank, kCount,
                    MPI_COMM_WORLD, &request);
          ++at_rank;
          idle = false;
        }
      }
      std::erase_if(sending, [](Sending& s) {
        int done = 0;
        MPI_Test(&s.request, &done, MPI_STATUS_IGNORE);
        return done != 0;
      });
      int there = 0;
      MPI_Status status;
      MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
      if (there != 0) {
        idle = false;
        int size = 0;
        MPI_Get_count(&status, MPI_BYTE, &size);
        Bytes bytes(static_cast<std::size_t>(size));
        MPI_Recv(bytes.data(), size, MPI_BYTE, status.MPI_SOURCE, status.MPI_TAG, MPI_COMM_WORLD,
                 MPI_STATUS_IGNORE);
        --in_flight[static_cast<std::size_t>(status.MPI_SOURCE)];
        if (status.MPI_TAG == kFailure) {
          failure.assign(bytes.begin(), bytes.end());
          queue_.close();
        } else {
          for (const VoteResult& result : read_results(bytes)) report(result);
        }
      }
      const bool waiting = std::ranges::any_of(in_flight, [](int n) { return n > 0; });
      if (idle && !waiting && sending.empty()) break;
      if (idle) std::this_thread::sleep_for(kPoll);
    }
    if (!failure.empty()) throw Error(failure);
  }

  BackendModel& own_;
  std::uint32_t id_;
  int ranks_;
  VoteSettings settings_;
  std::vector<VoteJob> jobs_;
  std::function<void(const VoteResult&)> on_result_;
  JobQueue queue_;
  std::mutex mutex_, result_mutex_;
  bool cancelled_ = false;
  std::exception_ptr failure_;
  std::unique_ptr<VoteRun> current_;
  std::atomic<std::uint64_t> samples_done_ = 0;
  std::jthread here_, elsewhere_;  // last: they use everything above
};

class SpreadModel final : public BackendModel {
 public:
  SpreadModel(std::unique_ptr<BackendModel> own, const Network& net, int ranks)
      : own_(std::move(own)), ranks_(ranks) {
    static std::uint32_t next = 0;
    id_ = next++;
    tell_all(kLoad, network_bytes(net));
  }
  ~SpreadModel() override { tell_all(kDrop, {}); }

  const NetworkSpec& spec() const override { return own_->spec(); }
  void upload(const Network& net) override {
    own_->upload(net);
    tell_all(kLoad, network_bytes(net));
  }
  void download(Network& net) const override { own_->download(net); }
  void upload(const OptimizerState& state) override { own_->upload(state); }
  void download(OptimizerState& state) const override { own_->download(state); }
  EpochReport train_epoch(const EpochRequest&) override {
    throw Error("training on several ranks is not possible; start the program without mpirun");
  }
  void forward(std::span<const float> images, std::span<float> logits) override {
    own_->forward(images, logits);
  }
  void input_gradient(std::span<const float> images, std::span<const Label> labels, LossKind loss,
                      std::span<float> gradient, std::span<float> logits) override {
    own_->input_gradient(images, labels, loss, gradient, logits);
  }
  std::unique_ptr<VoteRun> count_votes(const VoteSettings& settings, std::vector<VoteJob> jobs,
                                       std::function<void(const VoteResult&)> on_result) override {
    return std::make_unique<SpreadRun>(*own_, id_, ranks_, settings, std::move(jobs),
                                       std::move(on_result));
  }
  std::string describe_votes(const VoteSettings& settings) const override {
    return own_->describe_votes(settings);
  }

 private:
  void tell_all(Tag tag, const Bytes& payload) const {
    Writer message;
    message.put(id_);
    message.put_all(payload);
    for (int rank = 1; rank < ranks_; ++rank) send(rank, tag, message.bytes);
  }

  std::unique_ptr<BackendModel> own_;
  int ranks_;
  std::uint32_t id_ = 0;
};

class SpreadBackend final : public Backend {
 public:
  SpreadBackend(std::unique_ptr<Backend> own, int ranks) : own_(std::move(own)), ranks_(ranks) {}
  std::string name() const override { return own_->name(); }
  std::string describe() const override {
    return fmt::format("{} ranks, rank 0 on {}", ranks_, own_->describe());
  }
  std::unique_ptr<BackendModel> load(const Network& net) override {
    return std::make_unique<SpreadModel>(own_->load(net), net, ranks_);
  }

 private:
  std::unique_ptr<Backend> own_;
  int ranks_;
};

}  // namespace

std::unique_ptr<Backend> make_spread_backend(std::unique_ptr<Backend> own, int ranks) {
  return std::make_unique<SpreadBackend>(std::move(own), ranks);
}

}  // namespace smoothcert::cli
#endif
