// Device memory of simulated GPUs: guarded pages, NaN at first.
#include "memory.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

#include "queue.hpp"

namespace simulated {
namespace {

constexpr std::size_t kAlignment = 256;
const auto kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

/// pages: [guard][........array][guard]; the array ends at most 255 bytes before the second guard.
struct Array {
  int gpu;
  char* pages;
  std::size_t page_bytes, bytes;
};

struct Memory {
  std::map<char*, Array> live;         // by first byte
  std::map<char*, std::size_t> freed;  // regions, inaccessible until the machine is replaced
  std::map<char*, std::size_t> pinned;
  std::map<int, std::size_t> used;
};

Memory& memory() {
  static auto* m = new Memory;
  return *m;
}

std::size_t padded(std::size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

void protect(const Array& array, int how) {
  if (mprotect(array.pages + kPage, array.page_bytes, how) != 0) std::abort();
}

struct sigaction before {};

/// Says what a segmentation fault means here, then dies of it.
void explain(int, siginfo_t* info, void*) {
  const char* at = static_cast<const char*>(info->si_addr);
  const char* text = nullptr;
  for (const auto& [first, array] : memory().live) {
    if (at >= array.pages && at < array.pages + array.page_bytes + 2 * kPage) {
      text = at >= first && at < first + array.bytes
                 ? "simulated GPU: the host, or another GPU, touched device memory\n"
                 : "simulated GPU: access beyond a device array\n";
    }
  }
  for (const auto& [first, bytes] : memory().freed) {
    if (at >= first && at < first + bytes) text = "simulated GPU: access to a freed device array\n";
  }
  if (text) [[maybe_unused]]
    const auto written = write(2, text, std::strlen(text));
  signal(SIGSEGV, SIG_DFL);
}

[[maybe_unused]] const bool explaining = [] {
  struct sigaction action {};
  action.sa_sigaction = explain;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &before);
  return true;
}();

void unmap(char* pages, std::size_t bytes) { munmap(pages, bytes); }

}  // namespace

Opened::Opened(int gpu) : gpu_(gpu) {
  for (const auto& [first, array] : memory().live) {
    if (array.gpu == gpu_) protect(array, PROT_READ | PROT_WRITE);
  }
}

Opened::~Opened() {
  for (const auto& [first, array] : memory().live) {
    if (array.gpu == gpu_) protect(array, PROT_NONE);
  }
}

void* allocate_on(int gpu, std::size_t bytes) {
  Memory& m = memory();
  const std::size_t need = padded(bytes);
  if (need > free_on(gpu)) return nullptr;
  const std::size_t page_bytes = (need + kPage - 1) / kPage * kPage;
  void* pages = mmap(nullptr, page_bytes + 2 * kPage, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
  Array array{gpu, static_cast<char*>(pages), page_bytes, bytes};
  char* first = array.pages + kPage + page_bytes - need;
  protect(array, PROT_READ | PROT_WRITE);
  std::memset(array.pages + kPage, 0xFF, page_bytes);  // NaN
  protect(array, PROT_NONE);
  m.live.emplace(first, array);
  m.used[gpu] += need;
  return first;
}

bool release(void* at) {
  Memory& m = memory();
  const auto found = m.live.find(static_cast<char*>(at));
  if (found == m.live.end()) return false;
  const Array array = found->second;
  protect(array, PROT_READ);
  const char* end = array.pages + kPage + array.page_bytes;
  for (const char* p = array.pages + kPage; p < end; ++p) {
    if (p == found->first) p += array.bytes;  // the array itself
    if (p < end && *p != '\xFF') {
      complain("the bytes around a device array of " + std::to_string(array.bytes) +
               " bytes were written");
      break;
    }
  }
  m.used[array.gpu] -= padded(array.bytes);
  m.live.erase(found);
  madvise(array.pages + kPage, array.page_bytes, MADV_DONTNEED);
  protect(array, PROT_NONE);
  m.freed.emplace(array.pages, array.page_bytes + 2 * kPage);
  return true;
}

std::size_t free_on(int gpu) {
  return machine().gpus.at(static_cast<std::size_t>(gpu)).memory - memory().used[gpu];
}

bool check_array(int gpu, const void* at, std::size_t bytes, const char* what) {
  if (bytes == 0) return true;
  char* p = static_cast<char*>(const_cast<void*>(at));
  auto found = memory().live.upper_bound(p);
  if (found != memory().live.begin()) {
    --found;
    const Array& array = found->second;
    if (p + bytes <= found->first + array.bytes) {
      if (array.gpu == gpu) return true;
      complain(std::string(what) + ": the memory of another GPU");
      return false;
    }
  }
  complain(std::string(what) + ": " + std::to_string(bytes) + " bytes not within a device array");
  return false;
}

void* allocate_pinned(std::size_t bytes) {
  auto* at = static_cast<char*>(std::malloc(bytes));
  std::memset(at, 0xFF, bytes);
  memory().pinned.emplace(at, bytes);
  return at;
}

bool release_pinned(void* at) {
  if (memory().pinned.erase(static_cast<char*>(at)) == 0) return false;
  std::free(at);
  return true;
}

std::vector<std::string> clear_memory() {
  Memory& m = memory();
  std::vector<std::string> left;
  for (const auto& [first, array] : m.live) {
    left.push_back("a device array of " + std::to_string(array.bytes) + " bytes");
    unmap(array.pages, array.page_bytes + 2 * kPage);
  }
  for (const auto& [first, bytes] : m.freed) unmap(first, bytes);
  for (const auto& [first, bytes] : m.pinned) {
    left.push_back("pinned memory of " + std::to_string(bytes) + " bytes");
  }
  m = {};
  return left;
}

std::size_t memory_in_use() {
  std::size_t sum = 0;
  for (const auto& [gpu, bytes] : memory().used) sum += bytes;
  for (const auto& [first, bytes] : memory().pinned) sum += bytes;
  return sum;
}

}  // namespace simulated
