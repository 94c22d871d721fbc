#include "cpu/team.hpp"

#include <utility>

namespace smoothcert::cpu {
namespace {

constexpr int kSpins = 4000;  // some 50 µs: longer than a phase of a small network

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

/// Until `value` is no longer (or becomes) what it is compared with: spin first, then sleep.
template <class Done>
void wait_until(const std::atomic<std::uint32_t>& value, const Done& done) {
  for (int i = 0; i < kSpins; ++i) {
    if (done(value.load(std::memory_order_acquire))) return;
    pause();
  }
  for (;;) {
    const std::uint32_t now = value.load(std::memory_order_acquire);
    if (done(now)) return;
    value.wait(now, std::memory_order_acquire);
  }
}

}  // namespace

Team::Team(ThreadPool& pool, std::size_t max_items)
    : pool_(pool),
      size_(static_cast<std::size_t>(pool.threads())),
      phases_(new Padded<std::uint64_t>[size_]),
      claims_(new Padded<std::atomic<std::uint64_t>>[max_items]) {}

void Team::run(const std::function<void(int)>& body) {
  // A task ends with the epoch, so that every thread of the pool takes exactly one.
  pool_.parallel_for(size_, [&](std::size_t, int worker) { body(worker); });
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Team::fail(std::exception_ptr error) {
  if (!recorded_.exchange(true)) error_ = std::move(error);
  failed_.store(true, std::memory_order_release);
}

void Team::arrive_and_wait() {
  const std::uint32_t before = generation_.load(std::memory_order_relaxed);
  arrived_.fetch_add(1, std::memory_order_acq_rel);
  arrived_.notify_one();
  wait_until(generation_, [&](std::uint32_t now) { return now != before; });
}

void Team::wait_for_all() {
  const auto others = static_cast<std::uint32_t>(size_ - 1);
  wait_until(arrived_, [&](std::uint32_t now) { return now == others; });
}

void Team::release() {
  arrived_.store(0, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_release);
  generation_.notify_all();
}

}  // namespace smoothcert::cpu
