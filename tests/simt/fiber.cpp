#include "fiber.hpp"

#include <sys/mman.h>

#include <stdexcept>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif
#if defined(SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

/// With an inaccessible page below it.
class FiberStack {
 public:
  static constexpr std::size_t kBytes = 256 * 1024, kGuardBytes = 4096;

  FiberStack() {
    base_ = mmap(nullptr, kBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) throw std::runtime_error("simt: no memory for a fiber's stack");
    mprotect(base_, kGuardBytes, PROT_NONE);
  }
  ~FiberStack() { munmap(base_, kBytes + kGuardBytes); }
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;
  [[nodiscard]] char* begin() const { return static_cast<char*>(base_) + kGuardBytes; }

 private:
  void* base_ = nullptr;
};

namespace {

thread_local std::vector<std::unique_ptr<FiberStack>> spare_stacks;
thread_local Fiber* running = nullptr;
// Where resume() waits.
#if defined(SIMT_ASAN)
thread_local ucontext_t scheduler;
thread_local void* scheduler_fake = nullptr;
thread_local const void* scheduler_stack = nullptr;
thread_local std::size_t scheduler_stack_bytes = 0;
#else
thread_local jmp_buf scheduler;
#endif

std::unique_ptr<FiberStack> take_stack() {
  if (spare_stacks.empty()) return std::make_unique<FiberStack>();
  auto stack = std::move(spare_stacks.back());
  spare_stacks.pop_back();
  return stack;
}

}  // namespace

Fiber::Fiber() : stack_(take_stack()) {}
Fiber::Fiber(Fiber&&) noexcept = default;
Fiber::~Fiber() {
  if (stack_) spare_stacks.push_back(std::move(stack_));
}

bool Fiber::contains(const void* address) const {
  return address >= stack_->begin() && address < stack_->begin() + FiberStack::kBytes;
}

void Fiber::prepare(void (*body)()) {
  body_ = body;
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(stack_->begin(), FiberStack::kBytes);
  fake_stack_ = nullptr;
  started_ = false;
#else
  if (!done_) started_ = false;  // it was given up half way
#endif
  done_ = false;
  if (started_) return;  // it waits in trampoline() for its next body
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_->begin();
  context_.uc_stack.ss_size = FiberStack::kBytes;
  context_.uc_link = nullptr;
  makecontext(&context_, &Fiber::trampoline, 0);
}

#if defined(SIMT_ASAN)

void Fiber::resume() {
  running = this;
  __sanitizer_start_switch_fiber(&scheduler_fake, stack_->begin(), FiberStack::kBytes);
  swapcontext(&scheduler, &context_);
  __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
}

void Fiber::leave(bool last) {
  __sanitizer_start_switch_fiber(last ? nullptr : &fake_stack_, scheduler_stack,
                                 scheduler_stack_bytes);
  swapcontext(&context_, &scheduler);
  __sanitizer_finish_switch_fiber(fake_stack_, &scheduler_stack, &scheduler_stack_bytes);
}

void Fiber::trampoline() {
  __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_stack_bytes);
  running->body_();
  running->done_ = true;
  running->leave(true);
}

#else

// swapcontext() also saves and restores the signal mask, by two system calls; longjmp does not.
void Fiber::resume() {
  running = this;
  if (_setjmp(scheduler) != 0) return;
  if (started_) _longjmp(place_, 1);
  started_ = true;
  setcontext(&context_);
}

void Fiber::leave(bool) {
  if (_setjmp(place_) == 0) _longjmp(scheduler, 1);
}

void Fiber::trampoline() {
  for (;;) {
    running->body_();
    running->done_ = true;
    running->leave(true);
  }
}

#endif

void Fiber::suspend() { running->leave(false); }

}  // namespace simt
