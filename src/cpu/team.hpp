// Threads that walk through the same steps together for a whole epoch: a step is shorter than it
// takes to wake a sleeping thread, so they wait for each other by spinning (and sleep only when
// another has been away for long).
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>

#include "cpu/thread_pool.hpp"

namespace smoothcert::cpu {

class Team {
 public:
  /// max_items: the most that any for_each() hands out; max_threads: more would find nothing to do.
  Team(ThreadPool& pool, std::size_t max_items, std::size_t max_threads);

  /// Runs body(worker) on every thread of the team; all of them make the same calls of for_each()
  /// and together(). Rethrows the first exception any call threw.
  void run(const std::function<void(int worker)>& body);

  /// item(index) once for each index in [0, count), on whichever thread is free; a thread starts
  /// with the same share every time, since that is what its cache holds. No thread waits here.
  template <class Item>
  void for_each(int worker, std::size_t count, const Item& item) {
    std::uint64_t& phase = phases_[static_cast<std::size_t>(worker)].value;
    ++phase;
    const std::size_t start = count * static_cast<std::size_t>(worker) / size_;
    for (std::size_t i = 0; i < count && !failed(); ++i) {
      const std::size_t index = start + i < count ? start + i : start + i - count;
      std::atomic<std::uint64_t>& claim = claims_[index].value;
      if (claim.load(std::memory_order_relaxed) == phase) continue;
      if (claim.exchange(phase, std::memory_order_relaxed) == phase) continue;
      guard([&] { item(index); });
    }
  }

  /// Waits for all threads; then `work` runs once, on the thread that called run(), while the
  /// others wait for it. False once anything has thrown: time to leave the body.
  template <class Work>
  bool together(int worker, const Work& work) {
    if (worker != 0) {
      arrive_and_wait();
    } else {
      wait_for_all();
      if (!failed()) guard(work);
      going_ = !failed();
      release();
    }
    // Not failed() itself: a thread may fail in its next item before another has come this far,
    // and all of them must leave at the same meeting.
    return going_;
  }

 private:
  template <class T>
  struct alignas(64) Padded {
    T value{};
  };

  template <class F>
  void guard(const F& f) {
    try {
      f();
    } catch (...) {
      fail(std::current_exception());
    }
  }
  [[nodiscard]] bool failed() const { return failed_.load(std::memory_order_acquire); }
  void fail(std::exception_ptr error);
  void arrive_and_wait();
  void wait_for_all();
  void release();

  ThreadPool& pool_;
  const std::size_t size_;
  std::unique_ptr<Padded<std::uint64_t>[]> phases_;
  std::unique_ptr<Padded<std::atomic<std::uint64_t>>[]> claims_;
  std::atomic<std::uint32_t> started_{0};
  alignas(64) std::atomic<std::uint32_t> arrived_{0};
  alignas(64) std::atomic<std::uint32_t> generation_{0};
  alignas(64) std::atomic<bool> failed_{false};
  bool going_ = true;  ///< decided at a meeting, while all threads are there
  std::atomic<bool> recorded_{false};
  std::exception_ptr error_;
};

}  // namespace smoothcert::cpu
