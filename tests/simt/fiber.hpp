// One fiber: a function on a stack of its own, which gives control back before it is done. Only the
// first start of a fiber is a system call; stacks are used again.
#pragma once

#include <ucontext.h>

#include <cstddef>
#include <memory>

namespace simt {

class FiberStack;

class Fiber {
 public:
  Fiber();
  ~Fiber();
  Fiber(Fiber&&) noexcept;  ///< before prepare() only
  Fiber& operator=(Fiber&&) = delete;

  /// The next resume() calls `body` from its beginning.
  void prepare(void (*body)());
  /// Runs the fiber until it suspends or its body returns.
  void resume();
  /// Called by the fiber that runs: back to resume().
  static void suspend();

  /// Whether the address lies on the fiber's stack.
  [[nodiscard]] bool contains(const void* address) const;

 private:
  static void trampoline();
  void run_bodies();
  void leave();

  std::unique_ptr<FiberStack> stack_;
  void (*body_)() = nullptr;
  bool started_ = false, done_ = true;
  ucontext_t context_{};
  void* place_[5] = {};
  void* fake_stack_ = nullptr;  // AddressSanitizer's
};

}  // namespace simt
