// Long work of the library, for an interpreter that waits.
#pragma once

#include <nanobind/nanobind.h>

#include <functional>
#include <stop_token>

namespace smoothcert::python {

/// Calls the caller's progress callback; with the GIL, on the waiting thread.
using Told = std::function<void(const nanobind::object& on_progress)>;
/// From any thread of the work: the latest one is told, a few times a second.
using Tell = std::function<void(Told)>;

/// Runs `work(stop, tell)` on a thread of its own. The caller's thread waits without the GIL and
/// takes it five times a second: for signals, so that Ctrl-C stops the run, and for progress. An
/// exception of Python ends the run cleanly and is raised when it has ended.
void wait_for(const nanobind::object& on_progress,
              const std::function<void(const std::stop_token& stop, const Tell& tell)>& work);

}  // namespace smoothcert::python
