// Ranks over MPI, in a build that has it.
#ifdef SMOOTHCERT_MPI
#include "mpi/mpi_ranks.hpp"

#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <optional>
#include <thread>

#include "mpi/messages.hpp"
#include "mpi/spread.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert::cli {
namespace {

constexpr auto kPoll = std::chrono::microseconds(200);

/// Rank r of a machine takes GPU r, round robin, of those the process may see.
void choose_gpu(int local_rank) {
  std::vector<std::string> visible;
  if (const char* list = std::getenv("CUDA_VISIBLE_DEVICES"); list != nullptr) {
    std::string rest = list;
    while (!rest.empty()) {
      const auto comma = std::min(rest.find(','), rest.size());
      visible.push_back(rest.substr(0, comma));
      rest.erase(0, comma + 1);
    }
  } else {
    for (int i = 0; std::filesystem::exists("/dev/nvidia" + std::to_string(i)); ++i)
      visible.push_back(std::to_string(i));
  }
  if (visible.size() < 2) return;
  const auto mine = static_cast<std::size_t>(local_rank) % visible.size();
  setenv("CUDA_VISIBLE_DEVICES", visible[mine].c_str(), 1);
}

/// One message from rank 0. MPI's own waiting would keep a core busy.
std::pair<int, Bytes> receive() {
  MPI_Status status;
  for (int there = 0;;) {
    MPI_Iprobe(0, MPI_ANY_TAG, MPI_COMM_WORLD, &there, &status);
    if (there != 0) break;
    std::this_thread::sleep_for(kPoll);
  }
  int size = 0;
  MPI_Get_count(&status, MPI_BYTE, &size);
  Bytes bytes(static_cast<std::size_t>(size));
  MPI_Recv(bytes.data(), size, MPI_BYTE, 0, status.MPI_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return {status.MPI_TAG, std::move(bytes)};
}

void reply(Tag tag, const Bytes& bytes) {
  MPI_Send(bytes.data(), static_cast<int>(bytes.size()), MPI_BYTE, 0, tag, MPI_COMM_WORLD);
}

class MpiRanks final : public Ranks {
 public:
  MpiRanks() {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm node = MPI_COMM_NULL;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &node);
    int local_rank = 0;
    MPI_Comm_rank(node, &local_rank);
    MPI_Comm_free(&node);
    choose_gpu(local_rank);
    if (provided >= MPI_THREAD_SERIALIZED) return;
    MPI_Finalize();
    throw Error("this MPI library cannot be used from threads; --shard and 'merge' need none");
  }
  ~MpiRanks() override {
    if (leads())
      for (int r = 1; r < size_; ++r) MPI_Send(nullptr, 0, MPI_BYTE, r, kEnd, MPI_COMM_WORLD);
    MPI_Finalize();
  }

  bool leads() const override { return rank_ == 0; }

  void serve(Backend& own) override {
    std::map<std::uint32_t, std::unique_ptr<BackendModel>> models;
    for (;;) {
      const auto [tag, bytes] = receive();
      if (tag == kEnd) return;
      try {
        Reader in(bytes);
        const auto id = in.get<std::uint32_t>();
        if (tag == kLoad)
          models[id] = own.load(network_from_safetensors(in.rest(), "rank 0's model"));
        else if (tag == kDrop)
          models.erase(id);
        else
          reply(kResults, count(*models.at(id), bytes));
      } catch (const std::exception& error) {
        const std::string text = "rank " + std::to_string(rank_) + ": " + error.what();
        reply(kFailure, Bytes(text.begin(), text.end()));
      }
    }
  }

  std::unique_ptr<Backend> spread(std::unique_ptr<Backend> own) override {
    return size_ == 1 ? std::move(own) : make_spread_backend(std::move(own), size_);
  }

 private:
  Bytes count(BackendModel& model, const Bytes& bytes) {
    CountRequest request = read_count(bytes);
    auto& noise = request.settings.noise;
    if (noise.law == NoiseLaw::lattice) {
      if (!table_ || table_->sigma != noise.sigma)
        table_ = make_lattice_table(noise.sigma, request.image_size);
      noise.table = table_;
    }
    std::vector<VoteResult> results;
    model
        .count_votes(request.settings, std::move(request.jobs),
                     [&](const VoteResult& r) { results.push_back(r); })
        ->wait();
    for (VoteResult& result : results) result.job = request.numbers[result.job];
    return results_bytes(results);
  }

  int rank_ = 0, size_ = 1;
  std::shared_ptr<const LatticeTable> table_;
};

}  // namespace

std::unique_ptr<Ranks> join_mpi() { return std::make_unique<MpiRanks>(); }

std::string mpi_library() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  std::string version(text, static_cast<std::size_t>(length));
  return version.substr(0, version.find(','));
}

}  // namespace smoothcert::cli
#endif
