// Long work of the library, for an interpreter that waits.
#pragma once

#include <nanobind/nanobind.h>

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>

namespace smoothcert::python {

/// Calls the caller's progress callback; with the GIL, on the waiting thread.
using Told = std::function<void(const nanobind::object& on_progress)>;
/// From any thread of the work: the latest one is told, a few times a second.
using Tell = std::function<void(Told)>;
using Work = std::function<void(const std::stop_token& stop, const Tell& tell)>;

/// The thread that called, while it waits. A model's forward pass belongs there: frameworks keep
/// allocators, thread teams, streams and the user's own settings by the thread, and another one
/// would start without them.
class CallerThread {
 public:
  /// From a thread of the work: runs `task` on the caller's thread, without the GIL, and returns
  /// when it is done. Rethrows what it throws. One task at a time.
  void run(const std::function<void()>& task);

 private:
  friend void wait_for(CallerThread& caller, const nanobind::object& on_progress, const Work& work);
  void serve();  ///< with mutex_ held by the caller's thread

  std::mutex mutex_;
  std::condition_variable wake_, served_;
  const std::function<void()>* task_ = nullptr;
  std::exception_ptr failure_;
};

/// Runs `work(stop, tell)` on a thread of its own. The caller's thread waits without the GIL, runs
/// what the work hands to `caller`, and looks about itself five times a second: for signals, so
/// that Ctrl-C stops the run, and for progress. An exception of Python ends the run cleanly and is
/// raised when it has ended.
void wait_for(CallerThread& caller, const nanobind::object& on_progress, const Work& work);
/// Of work that hands nothing back.
void wait_for(const nanobind::object& on_progress, const Work& work);

}  // namespace smoothcert::python
