// Ctrl-C, SIGTERM, SIGUSR1 and a closed terminal: the first asks to stop, the second ends at once.
#include "signals.hpp"

#include <pthread.h>
#include <unistd.h>

#include <cstring>

namespace smoothcert::cli {
namespace {

// SIGUSR1 is what batch systems send before the time is up (sbatch --signal=USR1@120).
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};
constexpr int kFinish = SIGUSR2;  // the destructor's way to wake the thread

void write_line(const char* line) {
  // Past the progress bar, and without stdio: the main thread may hold its lock.
  [[maybe_unused]] const auto written = write(STDERR_FILENO, line, std::strlen(line));
}

}  // namespace

StopSignals::StopSignals() {
  sigemptyset(&signals_);
  sigaddset(&signals_, kFinish);
  for (const int signal : kSignals) {
    struct sigaction old {};
    sigaction(signal, nullptr, &old);
    if (old.sa_handler != SIG_IGN) sigaddset(&signals_, signal);
  }
  pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  pthread_create(
      &thread_, nullptr,
      [](void* self) -> void* {
        static_cast<StopSignals*>(self)->wait();
        return nullptr;
      },
      this);
}

StopSignals::~StopSignals() {
  pthread_kill(thread_, kFinish);
  pthread_join(thread_, nullptr);
}

void StopSignals::wait() {
  for (;;) {
    int signal = 0;
    if (sigwait(&signals_, &signal) != 0) continue;
    if (signal == kFinish) return;
    if (source_.stop_requested()) {
      write_line("\nsmoothcert: ended at once\n");
      _exit(130);
    }
    if (isatty(STDERR_FILENO) == 1)
      write_line("\nstopping cleanly; press Ctrl-C again to end at once\n");
    source_.request_stop();
  }
}

}  // namespace smoothcert::cli
