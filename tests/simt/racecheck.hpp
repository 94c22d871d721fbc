// Happens-before race detection for one launch: block barriers are epochs, warp and named barriers
// join vector clocks. Shuffles and votes order nothing, as in CUDA's memory model.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

namespace simt {

class Racecheck {
 public:
  enum class Kind { read, write, atomic };

  void begin_block(std::uint32_t block, unsigned threads);
  void add_shared(const void* base, std::size_t bytes);
  void access(unsigned thread, const void* address, std::size_t bytes, Kind kind);
  void block_barrier() { ++epoch_; }
  /// A barrier of some threads; `whole_block_clocks` where they may belong to several warps.
  void join(const std::vector<unsigned>& threads, bool several_warps);

  [[nodiscard]] const std::vector<std::string>& hazards() const { return hazards_; }
  [[nodiscard]] std::uint64_t accesses() const { return accesses_; }

 private:
  struct Access {
    std::uint32_t block = 0, epoch = 0, clock = 0;
    std::int32_t thread = -1;  ///< −1: none
    bool atomic = false;
  };
  /// One byte of memory. Of the reads since the last write it keeps the latest, the latest by
  /// another thread of that warp, and the latest by another warp.
  struct Cell {
    Access write, read, read_same_warp, read_other_warp;
  };
  static constexpr std::size_t kPage = 256;
  using Pages = std::unordered_map<std::uintptr_t, std::unique_ptr<Cell[]>>;
  struct Range {
    std::uintptr_t begin, end;
  };

  Cell& cell(Pages& pages, std::uintptr_t address);
  [[nodiscard]] bool ordered(const Access& earlier, unsigned thread) const;
  void check(const Access& earlier, const Access& now, const char* what, std::uintptr_t address,
             const Range* shared);
  void remember_read(Cell& cell, const Access& now) const;
  void report(std::string text);

  std::uint32_t block_ = 0, epoch_ = 1;
  unsigned threads_ = 0;
  bool clocks_span_warps_ = false;
  std::vector<std::uint32_t> clocks_;  ///< threads × threads
  std::vector<Range> shared_;
  Pages global_pages_, shared_pages_;
  Cell* last_page_ = nullptr;
  std::uintptr_t last_page_key_ = 0;
  const Pages* last_map_ = nullptr;
  std::vector<std::string> hazards_;
  std::uint64_t accesses_ = 0;
};

}  // namespace simt
