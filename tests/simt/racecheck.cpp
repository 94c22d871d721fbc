// Finds two threads of a block that touch the same memory with no barrier between.
#include "racecheck.hpp"

#include <algorithm>

namespace simt {

void Racecheck::begin_block(std::uint32_t block, unsigned threads) {
  block_ = block;
  threads_ = threads;
  epoch_ = 1;
  clocks_span_warps_ = false;
  clocks_.assign(std::size_t{threads} * threads, 0);
  for (unsigned t = 0; t < threads; ++t) clocks_[std::size_t{t} * threads + t] = 1;
  shared_.clear();
  shared_pages_.clear();
  last_map_ = nullptr;
}

void Racecheck::add_shared(const void* base, std::size_t bytes) {
  const auto begin = reinterpret_cast<std::uintptr_t>(base);
  shared_.push_back({begin, begin + bytes});
}

void Racecheck::join(const std::vector<unsigned>& threads, bool several_warps) {
  if (threads.empty()) return;
  clocks_span_warps_ |= several_warps;
  const unsigned warp = threads.front() / 32 * 32;
  const unsigned first = clocks_span_warps_ ? 0 : warp;
  const unsigned last = clocks_span_warps_ ? threads_ : std::min(warp + 32, threads_);
  std::vector<std::uint32_t> joined(last - first, 0);
  for (const unsigned t : threads) {
    const std::uint32_t* row = &clocks_[std::size_t{t} * threads_];
    for (unsigned i = first; i < last; ++i) joined[i - first] = std::max(joined[i - first], row[i]);
  }
  for (const unsigned t : threads) {
    std::uint32_t* row = &clocks_[std::size_t{t} * threads_];
    std::copy(joined.begin(), joined.end(), row + first);
    ++row[t];
  }
}

Racecheck::Cell& Racecheck::cell(Pages& pages, std::uintptr_t address) {
  const std::uintptr_t key = address / kPage;
  if (last_map_ != &pages || last_page_key_ != key) {
    auto& page = pages[key];
    if (!page) page = std::make_unique<Cell[]>(kPage);
    last_map_ = &pages;
    last_page_key_ = key;
    last_page_ = page.get();
  }
  return last_page_[address % kPage];
}

bool Racecheck::ordered(const Access& earlier, unsigned thread) const {
  if (earlier.block != block_) return false;  // nothing orders two blocks of one launch
  if (earlier.thread == static_cast<std::int32_t>(thread) || earlier.epoch < epoch_) return true;
  const auto by = static_cast<unsigned>(earlier.thread);
  return earlier.clock <= clocks_[std::size_t{thread} * threads_ + by];
}

void Racecheck::report(std::string text) {
  constexpr std::size_t kEnough = 8;
  if (hazards_.size() < kEnough) hazards_.push_back(std::move(text));
}

void Racecheck::check(const Access& earlier, const Access& now, const char* what,
                      std::uintptr_t address, const Range* shared) {
  if (earlier.thread < 0 || (earlier.atomic && now.atomic)) return;
  if (ordered(earlier, static_cast<unsigned>(now.thread))) return;
  std::string text = "race (" + std::string(what) + ") on ";
  text +=
      shared ? "shared memory, byte " + std::to_string(address - shared->begin) : "global memory";
  text += ": thread " + std::to_string(earlier.thread) + " of block " +
          std::to_string(earlier.block) + ", then thread " + std::to_string(now.thread) +
          " of block " + std::to_string(block_) + ", with no barrier between";
  report(std::move(text));
}

void Racecheck::remember_read(Cell& cell, const Access& now) const {
  const Access& last = cell.read;
  if (last.thread >= 0 && last.thread != now.thread) {
    const bool same_warp = last.block == now.block && last.thread / 32 == now.thread / 32;
    if (same_warp) {
      cell.read_same_warp = last;
    } else {
      cell.read_other_warp = last;
      cell.read_same_warp = Access{};
    }
  }
  cell.read = now;
}

void Racecheck::access(unsigned thread, const void* address, std::size_t bytes, Kind kind) {
  ++accesses_;
  const auto first = reinterpret_cast<std::uintptr_t>(address);
  const Range* shared = nullptr;
  for (const Range& range : shared_) {
    if (first >= range.begin && first < range.end) shared = &range;
  }
  const Access now{block_, epoch_, clocks_[std::size_t{thread} * threads_ + thread],
                   static_cast<std::int32_t>(thread), kind == Kind::atomic};
  Pages& pages = shared ? shared_pages_ : global_pages_;
  for (std::uintptr_t at = first; at < first + bytes; ++at) {
    Cell& c = cell(pages, at);
    if (shared && kind != Kind::write && c.write.thread < 0) {
      report("thread " + std::to_string(thread) + " of block " + std::to_string(block_) +
             " reads shared memory that was never written, byte " +
             std::to_string(at - shared->begin));
    }
    if (kind == Kind::read) {
      check(c.write, now, "read after write", at, shared);
      remember_read(c, now);
    } else {
      check(c.write, now, "write after write", at, shared);
      check(c.read, now, "write after read", at, shared);
      check(c.read_same_warp, now, "write after read", at, shared);
      check(c.read_other_warp, now, "write after read", at, shared);
      c = Cell{};
      c.write = now;
    }
  }
}

}  // namespace simt
