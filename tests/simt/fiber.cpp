// Fibers: a stack and a switch, for the emulator's threads.
#include "fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

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
// Clang has __builtin_setjmp() on few architectures.
#if defined(__clang__) && !defined(__x86_64__)
#define SIMT_SWAPCONTEXT 1
#endif
#if defined(SIMT_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace simt {

/// With an inaccessible page below it.
class FiberStack {
 public:
  static constexpr std::size_t kBytes = 256 * 1024;

  FiberStack() {
    base_ = mmap(nullptr, kBytes + guard_, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base_ == MAP_FAILED) throw std::runtime_error("simt: no memory for a fiber's stack");
    if (mprotect(base_, guard_, PROT_NONE) != 0) throw std::runtime_error("simt: mprotect");
  }
  ~FiberStack() { munmap(base_, kBytes + guard_); }
  FiberStack(const FiberStack&) = delete;
  FiberStack& operator=(const FiberStack&) = delete;
  [[nodiscard]] char* begin() const { return static_cast<char*>(base_) + guard_; }

 private:
  std::size_t guard_ = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  void* base_ = nullptr;
};

namespace {

thread_local std::vector<std::unique_ptr<FiberStack>> spare_stacks;
thread_local Fiber* running = nullptr;
// Where resume() waits.
#if defined(SIMT_SWAPCONTEXT)
thread_local ucontext_t scheduler;
#else
thread_local void* scheduler[5];
#endif
#if defined(SIMT_ASAN)
thread_local void* scheduler_fake = nullptr;
thread_local const void* scheduler_stack = nullptr;
thread_local std::size_t scheduler_stack_bytes = 0;
#endif

#if !defined(SIMT_SWAPCONTEXT)
/// Must not be inlined where __builtin_setjmp() is called.
[[noreturn, gnu::no_sanitize_address, gnu::noinline]] void jump(void** place) {
  __builtin_longjmp(place, 1);
}
#endif

// What AddressSanitizer must be told of a switch.
void leave_scheduler([[maybe_unused]] const FiberStack& stack) {
#if defined(SIMT_ASAN)
  __sanitizer_start_switch_fiber(&scheduler_fake, stack.begin(), FiberStack::kBytes);
#endif
}
void enter_scheduler() {
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(scheduler_fake, nullptr, nullptr);
#endif
}
void leave_fiber([[maybe_unused]] void** fake_stack) {
#if defined(SIMT_ASAN)
  __sanitizer_start_switch_fiber(fake_stack, scheduler_stack, scheduler_stack_bytes);
#endif
}
void enter_fiber([[maybe_unused]] void* fake_stack) {
#if defined(SIMT_ASAN)
  __sanitizer_finish_switch_fiber(fake_stack, &scheduler_stack, &scheduler_stack_bytes);
#endif
}

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
  if (!done_) started_ = false;  // it was given up half way
  done_ = false;
  if (started_) return;  // it waits in trampoline() for its next body
#if defined(SIMT_ASAN)
  __asan_unpoison_memory_region(stack_->begin(), FiberStack::kBytes);
  fake_stack_ = nullptr;
#endif
  getcontext(&context_);
  context_.uc_stack.ss_sp = stack_->begin();
  context_.uc_stack.ss_size = FiberStack::kBytes;
  context_.uc_link = nullptr;
  makecontext(&context_, &Fiber::trampoline, 0);
}

// swapcontext() and longjmp() would also save signal masks, and under AddressSanitizer clear whole
// stacks, by system calls.
[[gnu::no_sanitize_address, gnu::noinline]] void Fiber::resume() {
  running = this;
  leave_scheduler(*stack_);
#if defined(SIMT_SWAPCONTEXT)
  started_ = true;
  swapcontext(&scheduler, &context_);
#else
  if (__builtin_setjmp(scheduler) == 0) {
    if (started_) jump(place_);
    started_ = true;
    setcontext(&context_);
    __builtin_unreachable();  // or a compiler may give up this frame before the call
  }
#endif
  enter_scheduler();
}

[[gnu::no_sanitize_address, gnu::noinline]] void Fiber::leave() {
  leave_fiber(&fake_stack_);
#if defined(SIMT_SWAPCONTEXT)
  swapcontext(&context_, &scheduler);
#else
  if (__builtin_setjmp(place_) == 0) jump(scheduler);
#endif
  enter_fiber(fake_stack_);
}

void Fiber::trampoline() {
  enter_fiber(nullptr);
  running->run_bodies();
}

void Fiber::run_bodies() {
  for (;;) {
    body_();
    done_ = true;
    leave();
  }
}

void Fiber::suspend() { running->leave(); }

}  // namespace simt
