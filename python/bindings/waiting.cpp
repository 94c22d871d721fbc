// Ctrl-C, progress and the caller's forward passes while the library works on another thread.
#include "waiting.hpp"

#include <chrono>
#include <thread>
#include <utility>

namespace smoothcert::python {

namespace nb = nanobind;

void CallerThread::run(const std::function<void()>& task) {
  std::unique_lock lock(mutex_);
  task_ = &task;
  wake_.notify_one();
  served_.wait(lock, [&] { return task_ == nullptr; });
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void CallerThread::serve() {
  mutex_.unlock();
  std::exception_ptr failure;
  try {
    (*task_)();
  } catch (...) {
    failure = std::current_exception();
  }
  mutex_.lock();
  failure_ = failure;
  task_ = nullptr;
  served_.notify_one();
}

void wait_for(CallerThread& caller, const nb::object& on_progress, const Work& work) {
  using Clock = std::chrono::steady_clock;
  constexpr auto kLook = std::chrono::milliseconds(200);
  std::stop_source stop;
  bool done = false;
  Told latest;
  std::exception_ptr failure, raised;
  {
    const nb::gil_scoped_release release;
    std::thread worker([&] {
      try {
        work(stop.get_token(), [&](Told told) {
          const std::lock_guard lock(caller.mutex_);
          latest = std::move(told);
        });
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(caller.mutex_);
      done = true;
      caller.wake_.notify_one();
    });
    std::unique_lock lock(caller.mutex_);
    auto next_look = Clock::now() + kLook;
    for (bool last = false; !last;) {
      caller.wake_.wait_until(lock, next_look, [&] { return done || caller.task_ != nullptr; });
      if (caller.task_ != nullptr) caller.serve();
      last = done;
      if (!last && Clock::now() < next_look) continue;
      next_look = Clock::now() + kLook;
      const Told told = std::exchange(latest, nullptr);
      lock.unlock();
      try {
        const nb::gil_scoped_acquire acquire;
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        if (told && !on_progress.is_none()) told(on_progress);
      } catch (...) {
        if (!raised) raised = std::current_exception();
        stop.request_stop();
      }
      lock.lock();
    }
    lock.unlock();
    worker.join();
  }
  if (raised) std::rethrow_exception(raised);
  if (failure) std::rethrow_exception(failure);
}

void wait_for(const nb::object& on_progress, const Work& work) {
  CallerThread caller;
  wait_for(caller, on_progress, work);
}

}  // namespace smoothcert::python
