// ZIP as PKWARE's APPNOTE.TXT describes it: sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.14 to 4.3.16 (its end records), 4.5.3 (ZIP64 extra field).
#include "util/zip_archive.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <set>
#include <utility>

#include "smoothcert/error.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50,
                        kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::uint64_t kLocalSize = 30, kCentralSize = 46, kEndSize = 22, kEnd64Size = 56,
                        kLocatorSize = 20;
constexpr std::uint64_t kMostEntries = 100000;
constexpr std::uint16_t kEncrypted = 1u << 0 | 1u << 6 | 1u << 13;

/// Little-endian numbers at a position that the caller has checked.
std::uint64_t number(std::span<const std::uint8_t> bytes, std::uint64_t at, int width) {
  std::uint64_t value = 0;
  for (int i = width - 1; i >= 0; --i)
    value = value << 8 | bytes[at + static_cast<std::uint64_t>(i)];
  return value;
}
std::uint32_t u32(std::span<const std::uint8_t> bytes, std::uint64_t at) {
  return static_cast<std::uint32_t>(number(bytes, at, 4));
}
std::uint16_t u16(std::span<const std::uint8_t> bytes, std::uint64_t at) {
  return static_cast<std::uint16_t>(number(bytes, at, 2));
}

/// Whether [at, at + size) lies in the first `room` bytes.
bool inside(std::uint64_t at, std::uint64_t size, std::uint64_t room) {
  return at <= room && size <= room - at;
}

/// Replaces each of `values` that reads "see the ZIP64 extra field" by what stands there.
bool take_zip64(std::span<const std::uint8_t> extra,
                const std::vector<std::pair<std::uint64_t*, bool>>& values) {
  const bool wanted =
      std::any_of(values.begin(), values.end(), [](const auto& value) { return value.second; });
  for (std::uint64_t at = 0; wanted && inside(at, 4, extra.size());) {
    const std::uint64_t size = u16(extra, at + 2);
    if (!inside(at + 4, size, extra.size())) return false;
    if (u16(extra, at) == 1) {
      std::uint64_t from = at + 4;
      for (const auto& [value, replaced] : values) {
        if (!replaced) continue;
        if (!inside(from, 8, at + 4 + size)) return false;
        *value = number(extra, from, 8);
        from += 8;
      }
      return true;
    }
    at += 4 + size;
  }
  return !wanted;
}

}  // namespace

bool ZipArchive::looks_like_zip(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 4 && (u32(bytes, 0) == kLocal || u32(bytes, 0) == kEnd);
}

ZipArchive::ZipArchive(std::span<const std::uint8_t> bytes, std::string where)
    : bytes_(bytes), where_(std::move(where)) {
  read_directory(find_directory());
}

void ZipArchive::refuse(const std::string& problem) const { throw Error(where_ + ": " + problem); }

ZipArchive::Directory ZipArchive::find_directory() const {
  if (bytes_.size() < kEndSize) refuse("not a ZIP file: it is too short");
  // The end record is last; only a comment of at most 65,535 bytes may follow it.
  const std::uint64_t last = bytes_.size() - kEndSize;
  const std::uint64_t first = last > 65535 ? last - 65535 : 0;
  std::uint64_t at = last;
  while (!(u32(bytes_, at) == kEnd && at + kEndSize + u16(bytes_, at + 20) == bytes_.size())) {
    if (at == first) refuse("not a whole ZIP file: its directory is missing (truncated?)");
    --at;
  }
  Directory directory{u32(bytes_, at + 16), u32(bytes_, at + 12), u16(bytes_, at + 10)};
  std::uint64_t disks = u16(bytes_, at + 4) | std::uint64_t{u16(bytes_, at + 6)} << 16;
  std::uint64_t end = at;
  if (at >= kLocatorSize && u32(bytes_, at - kLocatorSize) == kLocator64) {
    const std::uint64_t at64 = number(bytes_, at - kLocatorSize + 8, 8);
    if (!inside(at64, kEnd64Size, at - kLocatorSize) || u32(bytes_, at64) != kEnd64)
      refuse("damaged ZIP file: its ZIP64 end record is not where it should be");
    directory = {number(bytes_, at64 + 48, 8), number(bytes_, at64 + 40, 8),
                 number(bytes_, at64 + 32, 8)};
    disks = u32(bytes_, at64 + 16) | std::uint64_t{u32(bytes_, at64 + 20)} << 32;
    end = at64;
  }
  if (disks != 0 && disks != 0xffffffff) refuse("a ZIP file in several volumes is not supported");
  if (!inside(directory.at, directory.size, end))
    refuse("damaged ZIP file: its directory leaves the file (truncated?)");
  if (directory.entries > kMostEntries)
    refuse(fmt::format("a ZIP file of {} entries; at most {} are read", directory.entries,
                       kMostEntries));
  return directory;
}

void ZipArchive::read_directory(const Directory& directory) {
  const auto central = bytes_.subspan(directory.at, directory.size);
  std::set<std::string> names;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;
  std::uint64_t at = 0;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    if (!inside(at, kCentralSize, central.size()) || u32(central, at) != kCentral)
      refuse(fmt::format("damaged ZIP file: entry {} of its directory is missing", i + 1));
    const std::uint64_t name_size = u16(central, at + 28), extra_size = u16(central, at + 30),
                        comment_size = u16(central, at + 32);
    if (!inside(at + kCentralSize, name_size + extra_size + comment_size, central.size()))
      refuse(fmt::format("damaged ZIP file: entry {} leaves the directory", i + 1));
    ZipEntry entry;
    const auto name = central.subspan(at + kCentralSize, name_size);
    entry.name.assign(name.begin(), name.end());
    const std::string shown = printable(entry.name);
    if (!names.insert(entry.name).second)
      refuse(fmt::format("damaged ZIP file: '{}' is there twice", shown));
    if ((u16(central, at + 8) & kEncrypted) != 0)
      refuse(fmt::format("'{}' in it is encrypted; save it without a password", shown));
    const std::uint16_t method = u16(central, at + 10);
    if (method != 0 && method != 8)
      refuse(
          fmt::format("'{}' in it is compressed by method {}; only stored and deflated "
                      "entries are read",
                      shown, method));
    entry.deflated = method == 8;
    entry.crc32 = u32(central, at + 16);
    entry.packed_size = u32(central, at + 20);
    entry.size = u32(central, at + 24);
    std::uint64_t header_at = u32(central, at + 42);
    if (!take_zip64(central.subspan(at + kCentralSize + name_size, extra_size),
                    {{&entry.size, entry.size == 0xffffffff},
                     {&entry.packed_size, entry.packed_size == 0xffffffff},
                     {&header_at, header_at == 0xffffffff}}))
      refuse(fmt::format("damaged ZIP file: '{}' has a bad ZIP64 field", shown));
    if (!entry.deflated && entry.size != entry.packed_size)
      refuse(fmt::format("damaged ZIP file: '{}' is stored, but its two sizes differ", shown));
    const std::uint64_t end = check_local_header(entry, header_at);
    if (end > directory.at)
      refuse(fmt::format("damaged ZIP file: '{}' leaves the file (truncated?)", shown));
    extents.emplace_back(header_at, end);
    entries_.push_back(std::move(entry));
    at += kCentralSize + name_size + extra_size + comment_size;
  }
  if (at != central.size()) refuse("damaged ZIP file: its directory holds more than its entries");
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i)
    if (extents[i].first < extents[i - 1].second) refuse("damaged ZIP file: its entries overlap");
}

/// Fills data_at; returns where the entry ends.
std::uint64_t ZipArchive::check_local_header(ZipEntry& entry, std::uint64_t header_at) const {
  const auto bad = [&](const char* what) {
    refuse(fmt::format("damaged ZIP file: '{}' {}", printable(entry.name), what));
  };
  if (!inside(header_at, kLocalSize, bytes_.size()) || u32(bytes_, header_at) != kLocal)
    bad("has no header where the directory says");
  const std::uint64_t name_size = u16(bytes_, header_at + 26),
                      extra_size = u16(bytes_, header_at + 28);
  if (!inside(header_at + kLocalSize, name_size + extra_size, bytes_.size()))
    bad("leaves the file (truncated?)");
  const auto name = bytes_.subspan(header_at + kLocalSize, name_size);
  if (!std::equal(name.begin(), name.end(), entry.name.begin(), entry.name.end(),
                  [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); }))
    bad("has another name in its own header");
  if ((u16(bytes_, header_at + 8) == 8) != entry.deflated)
    bad("has another compression method in its own header");
  entry.data_at = header_at + kLocalSize + name_size + extra_size;
  if (!inside(entry.data_at, entry.packed_size, bytes_.size())) bad("leaves the file (truncated?)");
  return entry.data_at + entry.packed_size;
}

const ZipEntry* ZipArchive::find(const std::string& name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(),
                                  [&](const ZipEntry& entry) { return entry.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

std::vector<std::uint8_t> ZipArchive::read(const ZipEntry& entry, std::uint64_t limit) const {
  const std::string shown = printable(entry.name);
  if (entry.size > limit)
    refuse(
        fmt::format("'{}' in it has {} bytes; at most {} are expected", shown, entry.size, limit));
  // Deflate expands at most 1032-fold: a larger claim is a lie that must not cost memory.
  if (entry.deflated && entry.size / 1032 > entry.packed_size)
    refuse(fmt::format("'{}' in it claims {} bytes from {}", shown, entry.size, entry.packed_size));
  const auto packed = bytes_.subspan(entry.data_at, entry.packed_size);
  std::vector<std::uint8_t> content;
  if (!entry.deflated) {
    content.assign(packed.begin(), packed.end());
  } else {
    content.resize(entry.size);
    z_stream z{};
    if (inflateInit2(&z, -15) != Z_OK) refuse("zlib: out of memory");
    int status = Z_OK;
    std::uint64_t in = 0, out = 0;
    while (status == Z_OK) {
      const auto more_in = static_cast<uInt>(std::min<std::uint64_t>(packed.size() - in, 1u << 30));
      const auto room = static_cast<uInt>(std::min<std::uint64_t>(content.size() - out, 1u << 30));
      z.next_in = const_cast<Bytef*>(packed.data() + in);  // zlib does not write through next_in
      z.avail_in = more_in;
      std::uint8_t nothing = 0;
      z.next_out = room == 0 ? &nothing : content.data() + out;
      z.avail_out = room;
      status = inflate(&z, Z_NO_FLUSH);
      in += more_in - z.avail_in;
      out += room - z.avail_out;
    }
    inflateEnd(&z);
    if (status != Z_STREAM_END || out != content.size() || in != packed.size())
      refuse(fmt::format("'{}' in it is damaged (deflate)", shown));
  }
  std::uint32_t sum = static_cast<std::uint32_t>(::crc32(0, nullptr, 0));
  for (std::uint64_t at = 0; at < content.size();) {
    const auto count = static_cast<uInt>(std::min<std::uint64_t>(content.size() - at, 1u << 30));
    sum = static_cast<std::uint32_t>(::crc32(sum, content.data() + at, count));
    at += count;
  }
  if (sum != entry.crc32)
    refuse(
        fmt::format("'{}' in it is damaged: its CRC-32 is {:08x}, expected {:08x}; copy or "
                    "save the file again",
                    shown, sum, entry.crc32));
  return content;
}

}  // namespace smoothcert
