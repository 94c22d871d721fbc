// Ctrl-C and progress while the library works on another thread.
#include "waiting.hpp"

#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

namespace smoothcert::python {

namespace nb = nanobind;

void wait_for(const nb::object& on_progress,
              const std::function<void(const std::stop_token& stop, const Tell& tell)>& work) {
  std::stop_source stop;
  std::mutex mutex;
  std::condition_variable ended;
  bool done = false;
  Told latest;
  std::exception_ptr failure, raised;
  {
    const nb::gil_scoped_release release;
    std::thread worker([&] {
      try {
        work(stop.get_token(), [&](Told told) {
          const std::lock_guard lock(mutex);
          latest = std::move(told);
        });
      } catch (...) {
        failure = std::current_exception();
      }
      const std::lock_guard lock(mutex);
      done = true;
      ended.notify_all();
    });
    std::unique_lock lock(mutex);
    for (bool last = false; !last;) {
      last = ended.wait_for(lock, std::chrono::milliseconds(200), [&] { return done; });
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

}  // namespace smoothcert::python
