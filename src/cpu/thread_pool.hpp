// The CPU backend's threads. Work is handed out by index, so results that are stored by index do
// not depend on the number of threads.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace smoothcert {

class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  [[nodiscard]] int threads() const;

  /// Runs task(index, worker) for index in [0, count), handed out dynamically in ascending order;
  /// worker is in [0, threads()). The caller works too (as worker 0). Rethrows the first exception
  /// after all running tasks have ended; remaining indices are skipped then. One parallel_for at a
  /// time; not reentrant.
  void parallel_for(std::size_t count, const std::function<void(std::size_t, int)>& task);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Processors this process may run on (affinity mask, cgroup quota rounded up), at least 1.
int usable_processors();

}  // namespace smoothcert
