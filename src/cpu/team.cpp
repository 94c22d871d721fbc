// Threads that walk through the same steps together for a whole epoch: a step is shorter than it
// takes to wake a sleeping thread, so they wait for each other by spinning (and sleep only when
// another has been away for long).
#include "cpu/team.hpp"

#include <algorithm>
#include <utility>
#include <vector>

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

Team::Team(ThreadPool& pool, std::size_t max_items, std::size_t max_threads)
    : pool_(pool),
      size_(std::clamp<std::size_t>(max_threads, 1, static_cast<std::size_t>(pool.threads()))),
      phases_(new Padded<std::uint64_t>[size_]),
      claims_(new Padded<std::atomic<std::uint64_t>>[max_items]) {}

void Team::run(const std::function<void(int)>& body) {
  // Every thread of the team holds a task until all of them have one. The pool's other threads hold
  // theirs until then too, or they would take those meant for the team; and a thread that is done
  // may find one left over.
  started_.store(0);
  std::vector<char> has_run(size_, 0);
  pool_.parallel_for(static_cast<std::size_t>(pool_.threads()), [&](std::size_t, int worker) {
    const auto all = static_cast<std::uint32_t>(size_), index = static_cast<std::uint32_t>(worker);
    if (index >= all) {
      wait_until(started_, [&](std::uint32_t now) { return now == all; });
    } else if (has_run[index] == 0) {
      has_run[index] = 1;
      if (started_.fetch_add(1) + 1 == all) started_.notify_all();
      body(worker);
    }
  });
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
