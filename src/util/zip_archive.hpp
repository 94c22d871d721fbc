// A strict reader of ZIP archives in memory, for files nobody vouches for: what the central
// directory says must agree with the local headers, and entries may neither overlap nor leave the
// file.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace smoothcert {

struct ZipEntry {
  std::string name;
  bool deflated = false;
  std::uint32_t crc32 = 0;
  std::uint64_t size = 0;  ///< uncompressed, as announced
  std::uint64_t packed_size = 0;
  std::uint64_t data_at = 0;  ///< where its bytes begin in the file
};

class ZipArchive {
 public:
  /// `bytes` must outlive the archive; `where` names it in errors. Reads the directory (ZIP64 as
  /// well), no content. Throws Error: not a ZIP file, truncated, overlapping entries, a name given
  /// twice, encryption, a compression method other than stored and deflate.
  ZipArchive(std::span<const std::uint8_t> bytes, std::string where);

  [[nodiscard]] static bool looks_like_zip(std::span<const std::uint8_t> bytes);
  [[nodiscard]] const std::vector<ZipEntry>& entries() const { return entries_; }
  /// nullptr where there is none of that name.
  [[nodiscard]] const ZipEntry* find(const std::string& name) const;

  /// The content, its CRC-32 checked. Throws Error: damaged, or larger than `limit` bytes.
  [[nodiscard]] std::vector<std::uint8_t> read(const ZipEntry& entry, std::uint64_t limit) const;

 private:
  struct Directory {
    std::uint64_t at = 0, size = 0, entries = 0;
  };
  [[nodiscard]] Directory find_directory() const;
  void read_directory(const Directory& directory);
  std::uint64_t check_local_header(ZipEntry& entry, std::uint64_t header_at) const;
  [[noreturn]] void refuse(const std::string& problem) const;

  std::span<const std::uint8_t> bytes_;
  std::string where_;
  std::vector<ZipEntry> entries_;
};

}  // namespace smoothcert
