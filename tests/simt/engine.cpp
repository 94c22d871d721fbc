// Runs emulated kernels: blocks, warps and threads as fibers, with barriers and shuffles.
#include "engine.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <set>
#include <tuple>
#include <utility>

#include "fiber.hpp"
#include "racecheck.hpp"

thread_local uint3 threadIdx, blockIdx;
thread_local dim3 blockDim, gridDim;

namespace simt {
namespace {

using detail::BlockOp;
using detail::Lanes;
using detail::WarpOp;

enum class Wait { ready, block, named, warp, done };

/// A CUDA thread.
struct Thread {
  Fiber fiber;
  Wait wait = Wait::ready;
  Site site{"", 0};
  BlockOp block_op{};
  WarpOp warp_op{};
  std::uint32_t mask = 0;
  std::uint64_t value = 0;  // predicate or lane value
  int barrier_id = 0, barrier_threads = 0;
  std::shared_ptr<const Lanes> lanes;
  Words words{};
  std::shared_ptr<const LaneWords> lane_words;
};

struct SharedBuffer {
  std::unique_ptr<char[]> storage;
  std::size_t bytes = 0;
};

std::string name_of(Site site) {
  const char* slash = std::strrchr(site.file, '/');
  return std::string(slash ? slash + 1 : site.file) + ":" + std::to_string(site.line);
}

class Launch;
thread_local Launch* g_launch = nullptr;

/// Runs the blocks of one launch, one after the other, on the calling thread.
class Launch {
 public:
  Launch(const Config& config, const std::function<void()>& kernel)
      : config_(config), kernel_(kernel), rng_(config.seed) {
    const std::uint64_t threads = std::uint64_t{config.block.x} * config.block.y * config.block.z;
    if (threads == 0 || threads > 1024) throw Error("simt: a block has 1 to 1024 threads");
    if (std::uint64_t{config.grid.x} * config.grid.y * config.grid.z == 0) {
      throw Error("simt: the grid is empty");
    }
    if (g_launch) throw Error("simt: a kernel cannot launch another here");
    fibers_.resize(threads);
  }

  Report run() {
    const std::uint64_t blocks = std::uint64_t{config_.grid.x} * config_.grid.y * config_.grid.z;
    std::vector<std::uint32_t> order(blocks);
    std::iota(order.begin(), order.end(), 0u);
    if (config_.seed) std::shuffle(order.begin(), order.end(), rng_);
    g_launch = this;
    struct Reset {
      ~Reset() { g_launch = nullptr; }
    } reset;
    gridDim = config_.grid;
    blockDim = config_.block;
    for (const std::uint32_t block : order) run_block(block);
    report_.barriers.assign(barriers_.begin(), barriers_.end());
    report_.checked_accesses = races_.accesses();
    return report_;
  }

  // --- called from fibers -------------------------------------------------------------------

  int block_barrier(BlockOp op, int predicate, Site site) {
    if (!reached(site)) return predicate;
    Thread& me = fibers_[current_];
    me.block_op = op;
    me.value = predicate != 0;
    me.site = site;
    suspend(Wait::block);
    return block_result_;
  }

  void named_barrier(int id, int threads, Site site) {
    if (!reached(site)) return;
    Thread& me = fibers_[current_];
    me.barrier_id = id;
    me.barrier_threads = threads;
    me.site = site;
    suspend(Wait::named);
  }

  const Lanes& warp_exchange(WarpOp op, std::uint32_t mask, std::uint64_t value, Site site) {
    Thread& me = fibers_[current_];
    if (op == WarpOp::sync && !reached(site)) return none_;
    if (!(mask >> (current_ % 32) & 1u)) {
      throw Error("simt: thread " + std::to_string(current_) +
                  " is not in the mask of its warp "
                  "operation at " +
                  name_of(site));
    }
    me.warp_op = op;
    me.mask = mask;
    me.value = value;
    me.site = site;
    suspend(Wait::warp);
    return *me.lanes;
  }

  const LaneWords& warp_exchange_words(const Words& words, Site site) {
    fibers_[current_].words = words;
    warp_exchange(WarpOp::matrix, 0xffffffffu, 0, site);
    return *fibers_[current_].lane_words;
  }

  void* static_shared(std::size_t bytes, std::size_t align, Site site) {
    const Quiet quiet(quiet_);
    auto [it, fresh] = shared_.try_emplace({site.file, site.line, bytes});
    if (fresh) it->second = allocate_shared(bytes, align);
    return it->second.storage.get();
  }
  void* dynamic_shared() {
    if (config_.dynamic_shared == 0) throw Error("simt: launched without dynamic shared memory");
    return dynamic_.storage.get();
  }

  [[nodiscard]] unsigned current() const { return current_; }
  [[nodiscard]] bool in_fiber() const { return in_fiber_; }

  void access(const void* address, std::size_t bytes, Racecheck::Kind kind) {
    if (!in_fiber_ || quiet_ || !config_.check_races) return;
    if (fibers_[current_].fiber.contains(address)) return;
    const Quiet quiet(quiet_);
    races_.access(current_, address, bytes, kind);
  }

  void fiber_main() {
    try {
      kernel_();
    } catch (...) {
      failure_ = std::current_exception();
    }
    fibers_[current_].wait = Wait::done;
  }

 private:
  /// While the emulator itself works on a fiber: the linker may have given it an instrumented copy
  /// of some inline function of the standard library, whose accesses are not the kernel's.
  struct Quiet {
    explicit Quiet(bool& f) : flag(f) { flag = true; }
    ~Quiet() { flag = false; }
    bool& flag;
  };

  bool reached(Site site) {
    const Quiet quiet(quiet_);
    std::string name = name_of(site);
    const bool left_out = name == config_.without_barrier;
    barriers_.insert(std::move(name));
    return !left_out;
  }

  SharedBuffer allocate_shared(std::size_t bytes, std::size_t align) {
    if (align > alignof(std::max_align_t)) throw Error("simt: shared memory over-aligned");
    SharedBuffer buffer{std::unique_ptr<char[]>(new char[bytes]), bytes};
    std::memset(buffer.storage.get(), 0xFF, bytes);  // NaN as float, half and double
    races_.add_shared(buffer.storage.get(), bytes);
    return buffer;
  }

  static void entry() { g_launch->fiber_main(); }

  void run_block(std::uint32_t block) {
    const dim3 g = config_.grid;
    blockIdx = {block % g.x, block / g.x % g.y, block / g.x / g.y};
    const auto n = static_cast<unsigned>(fibers_.size());
    races_.begin_block(block, n);
    shared_.clear();
    if (config_.dynamic_shared) dynamic_ = allocate_shared(config_.dynamic_shared, 16);
    for (Thread& thread : fibers_) prepare(thread);
    alive_ = n;
    std::vector<unsigned> order(n);
    std::iota(order.begin(), order.end(), 0u);
    while (alive_ > 0) {
      if (config_.seed) std::shuffle(order.begin(), order.end(), rng_);
      bool progress = false;
      for (const unsigned t : order) {
        if (fibers_[t].wait != Wait::ready) continue;
        resume(t);
        progress = true;
      }
      progress |= release_warps();
      progress |= release_named();
      progress |= release_block();
      if (!progress && alive_ > 0) throw Error(describe_deadlock());
    }
  }

  static void prepare(Thread& thread) {
    thread.fiber.prepare(&Launch::entry);
    thread.wait = Wait::ready;
    thread.lanes.reset();
    thread.lane_words.reset();
  }

  void resume(unsigned t) {
    Thread& thread = fibers_[t];
    current_ = t;
    const dim3 b = config_.block;
    threadIdx = {t % b.x, t / b.x % b.y, t / b.x / b.y};
    ++report_.switches;
    in_fiber_ = true;
    thread.fiber.resume();
    in_fiber_ = false;
    if (thread.wait == Wait::done) --alive_;
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    if (!races_.hazards().empty()) throw Error("simt: " + races_.hazards().front());
  }

  void suspend(Wait wait) {
    fibers_[current_].wait = wait;
    Fiber::suspend();
  }

  // Releases every group of lanes that all wait at the same warp operation. Threads that have
  // returned do not count, as in CUDA.
  bool release_warps() {
    bool any = false;
    const auto n = static_cast<unsigned>(fibers_.size());
    for (unsigned t = 0; t < n; ++t) {
      if (fibers_[t].wait != Wait::warp) continue;
      const Thread& leader = fibers_[t];
      const unsigned warp = t / 32 * 32;
      std::vector<unsigned> group;
      bool complete = true;
      for (unsigned lane = 0; lane < 32; ++lane) {
        if (!(leader.mask >> lane & 1u)) continue;
        const unsigned other = warp + lane;
        if (other >= n || fibers_[other].wait == Wait::done) continue;
        const Thread& f = fibers_[other];
        if (f.wait == Wait::warp && (f.mask != leader.mask || f.warp_op != leader.warp_op)) {
          throw Error("simt: divergent warp operation: thread " + std::to_string(t) + " at " +
                      name_of(leader.site) + ", thread " + std::to_string(other) + " at " +
                      name_of(f.site) + " with another operation or mask");
        }
        complete &= f.wait == Wait::warp;
        group.push_back(other);
      }
      if (!complete) continue;
      auto lanes = std::make_shared<Lanes>();
      lanes->value.fill(~std::uint64_t{0});  // an absent lane's value is undefined: NaN bytes
      for (const unsigned other : group) {
        lanes->value[other % 32] = fibers_[other].value;
        lanes->present |= 1u << (other % 32);
      }
      if (leader.warp_op == WarpOp::sync) races_.join(group, false);
      if (leader.warp_op == WarpOp::matrix) share_words(group);
      for (const unsigned other : group) {
        fibers_[other].lanes = lanes;
        fibers_[other].wait = Wait::ready;
      }
      any = true;
    }
    return any;
  }

  void share_words(const std::vector<unsigned>& group) {
    if (group.size() != 32) throw Error("simt: a matrix product needs all 32 lanes of its warp");
    auto words = std::make_shared<LaneWords>();
    for (const unsigned t : group) (*words)[t % 32] = fibers_[t].words;
    for (const unsigned t : group) fibers_[t].lane_words = words;
  }

  bool release_named() {
    std::map<int, std::vector<unsigned>> waiting;
    for (unsigned t = 0; t < fibers_.size(); ++t) {
      if (fibers_[t].wait == Wait::named) waiting[fibers_[t].barrier_id].push_back(t);
    }
    bool any = false;
    for (const auto& [id, group] : waiting) {
      const auto need = static_cast<std::size_t>(fibers_[group.front()].barrier_threads);
      for (const unsigned t : group) {
        if (static_cast<std::size_t>(fibers_[t].barrier_threads) != need) {
          throw Error("simt: named barrier " + std::to_string(id) +
                      " with different thread counts");
        }
      }
      if (group.size() < need) continue;
      if (group.size() > need) {
        throw Error("simt: more threads than expected at named barrier " + std::to_string(id));
      }
      races_.join(group, true);
      for (const unsigned t : group) fibers_[t].wait = Wait::ready;
      any = true;
    }
    return any;
  }

  bool release_block() {
    if (alive_ == 0) return false;
    const Thread* first = nullptr;
    std::uint64_t sum = 0;
    for (const Thread& f : fibers_) {
      if (f.wait == Wait::done) continue;
      if (f.wait != Wait::block) return false;
      if (!first) first = &f;
      if (f.site.line != first->site.line || std::strcmp(f.site.file, first->site.file) != 0) {
        throw Error("simt: divergent block barrier: some threads wait at " + name_of(first->site) +
                    ", others at " + name_of(f.site));
      }
      sum += f.value;
    }
    switch (first->block_op) {
      case BlockOp::barrier:
        block_result_ = 0;
        break;
      case BlockOp::count:
        block_result_ = static_cast<int>(sum);
        break;
      case BlockOp::all:
        block_result_ = sum == alive_;
        break;
      case BlockOp::any:
        block_result_ = sum > 0;
        break;
    }
    races_.block_barrier();
    for (Thread& f : fibers_) {
      if (f.wait == Wait::block) f.wait = Wait::ready;
    }
    return true;
  }

  [[nodiscard]] std::string describe_deadlock() const {
    std::map<std::string, std::pair<unsigned, unsigned>> places;  // count, first thread
    for (unsigned t = 0; t < fibers_.size(); ++t) {
      const Thread& f = fibers_[t];
      if (f.wait == Wait::done) continue;
      const char* kind = f.wait == Wait::block   ? "a block barrier"
                         : f.wait == Wait::named ? "a named barrier"
                                                 : "a warp operation";
      auto& [count, first] = places[std::string(kind) + " at " + name_of(f.site)];
      if (count++ == 0) first = t;
    }
    std::string text = "simt: deadlock in block " + std::to_string(blockIdx.x) + ":";
    for (const auto& [place, threads] : places) {
      text += " " + std::to_string(threads.first) + " thread(s), the first " +
              std::to_string(threads.second) + ", wait for ever at " + place + ";";
    }
    text += " " + std::to_string(fibers_.size() - alive_) + " have returned";
    return text;
  }

  const Config& config_;
  const std::function<void()>& kernel_;
  std::mt19937_64 rng_;
  std::vector<Thread> fibers_;
  unsigned current_ = 0;
  std::size_t alive_ = 0;
  bool in_fiber_ = false;
  bool quiet_ = false;
  int block_result_ = 0;
  std::map<std::tuple<std::string, int, std::size_t>, SharedBuffer> shared_;
  SharedBuffer dynamic_;
  Racecheck races_;
  std::set<std::string> barriers_;
  std::exception_ptr failure_;
  Report report_;
  const Lanes none_{};
};

Launch& here(const char* what) {
  if (!g_launch || !g_launch->in_fiber()) {
    throw Error(std::string("simt: ") + what + " outside a kernel");
  }
  return *g_launch;
}

}  // namespace

Report launch(const Config& config, const std::function<void()>& kernel) {
  return Launch(config, kernel).run();
}

namespace detail {

int block_barrier(BlockOp op, int predicate, Site site) {
  return here("a block barrier").block_barrier(op, predicate, site);
}
void named_barrier(int id, int threads, Site site) {
  here("a named barrier").named_barrier(id, threads, site);
}
const Lanes& warp_exchange(WarpOp op, std::uint32_t mask, std::uint64_t value, Site site) {
  return here("a warp operation").warp_exchange(op, mask, value, site);
}
const LaneWords& warp_exchange_words(const Words& words, Site site) {
  return here("a warp operation").warp_exchange_words(words, site);
}
unsigned lane_id() { return here("a warp operation").current() % 32; }

void* static_shared(std::size_t bytes, std::size_t align, Site site) {
  return here("shared memory").static_shared(bytes, align, site);
}
void* dynamic_shared() { return here("shared memory").dynamic_shared(); }

void note_atomic(const void* address, std::size_t bytes) {
  Launch& launch = here("an atomic");
#if defined(SMOOTHCERT_SIMT_RACECHECK)
  launch.access(address, bytes, Racecheck::Kind::atomic);
#else  // plain accesses are not reported either: the words would seem never written
  static_cast<void>(launch), static_cast<void>(address), static_cast<void>(bytes);
#endif
}
std::uint32_t raw_load32(const void* address) {
  std::uint32_t value;
  std::memcpy(&value, address, sizeof value);
  return value;
}
std::uint64_t raw_load64(const void* address) {
  std::uint64_t value;
  std::memcpy(&value, address, sizeof value);
  return value;
}
void raw_store32(void* address, std::uint32_t value) { std::memcpy(address, &value, sizeof value); }
void raw_store64(void* address, std::uint64_t value) { std::memcpy(address, &value, sizeof value); }

void on_access(const void* address, std::size_t bytes, bool write) {
  if (!g_launch) return;
  g_launch->access(address, bytes, write ? Racecheck::Kind::write : Racecheck::Kind::read);
}

}  // namespace detail
}  // namespace simt
