// Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal: the first asks to stop, the second ends at once.
#pragma once

#include <csignal>
#include <stop_token>

namespace smoothcert::cli {

/// A thread that waits for the signals, so that no handler has to be async-signal-safe. Construct
/// before any other thread starts: they inherit the blocked mask. A signal that was ignored when
/// the program started (nohup, a background job) stays ignored.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  [[nodiscard]] std::stop_token token() const { return source_.get_token(); }

 private:
  void wait();
  std::stop_source source_;
  sigset_t signals_{};
  pthread_t thread_{};
};

}  // namespace smoothcert::cli
