// The functions that code compiled with -fsanitize=thread calls. The tests are compiled that way
// but not linked with the ThreadSanitizer runtime: these definitions take its place and hand every
// memory access of a kernel to the race checker. The host side of a test passes through unseen.
#include <cstddef>
#include <cstdint>

#include "engine.hpp"

#if defined(SMOOTHCERT_SIMT_RACECHECK)

namespace simt {
bool race_checker_available() { return true; }
}  // namespace simt

#define SIMT_ACCESS(bytes)                                                                 \
  void __tsan_read##bytes(void* p) { simt::detail::on_access(p, bytes, false); }           \
  void __tsan_write##bytes(void* p) { simt::detail::on_access(p, bytes, true); }           \
  void __tsan_unaligned_read##bytes(void* p) { simt::detail::on_access(p, bytes, false); } \
  void __tsan_unaligned_write##bytes(void* p) { simt::detail::on_access(p, bytes, true); } \
  void __tsan_volatile_read##bytes(void* p) { simt::detail::on_access(p, bytes, false); }  \
  void __tsan_volatile_write##bytes(void* p) { simt::detail::on_access(p, bytes, true); }

// C++ atomics, as the standard library's headers use them on the host.
#define SIMT_ATOMIC(bits)                                                                          \
  std::uint##bits##_t __tsan_atomic##bits##_load(const volatile std::uint##bits##_t* p, int) {     \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile std::uint##bits##_t* p, std::uint##bits##_t v, int) {  \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  std::uint##bits##_t __tsan_atomic##bits##_exchange(volatile std::uint##bits##_t* p,              \
                                                     std::uint##bits##_t v, int) {                 \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  std::uint##bits##_t __tsan_atomic##bits##_fetch_add(volatile std::uint##bits##_t* p,             \
                                                      std::uint##bits##_t v, int) {                \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  std::uint##bits##_t __tsan_atomic##bits##_fetch_sub(volatile std::uint##bits##_t* p,             \
                                                      std::uint##bits##_t v, int) {                \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile std::uint##bits##_t* p,               \
                                                    std::uint##bits##_t* expected,                 \
                                                    std::uint##bits##_t v, int, int) {             \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile std::uint##bits##_t* p,                 \
                                                  std::uint##bits##_t* expected,                   \
                                                  std::uint##bits##_t v, int, int) {               \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }

extern "C" {
SIMT_ACCESS(1)
SIMT_ACCESS(2)
SIMT_ACCESS(4)
SIMT_ACCESS(8)
SIMT_ACCESS(16)
void __tsan_read_range(void* p, std::size_t bytes) { simt::detail::on_access(p, bytes, false); }
void __tsan_write_range(void* p, std::size_t bytes) { simt::detail::on_access(p, bytes, true); }
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_init() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
SIMT_ATOMIC(8)
SIMT_ATOMIC(16)
SIMT_ATOMIC(32)
SIMT_ATOMIC(64)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
}

#else

namespace simt {
bool race_checker_available() { return false; }
}  // namespace simt

#endif
