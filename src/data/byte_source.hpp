// Bytes of a file, plain or gzip, pulled in order: nothing is allocated on the word of a header.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace smoothcert {

class ByteSource {
 public:
  /// `file` must outlive the source; gzip is recognised by its magic number. `where` names the file
  /// in errors.
  ByteSource(std::span<const std::uint8_t> file, std::string where);
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  /// Fills `out` as far as the data goes; returns the number of bytes written. Throws Error where
  /// the gzip stream is damaged, cut short or followed by something else.
  std::size_t read(std::span<std::uint8_t> out);
  /// Whether nothing follows what was read (for gzip, checks the stream's own CRC and length).
  bool at_end();
  /// An upper bound on how many bytes the whole file can hold: deflate expands at most 1032-fold.
  [[nodiscard]] std::uint64_t capacity() const;
  [[nodiscard]] bool compressed() const { return inflater_ != nullptr; }
  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  struct Inflater;
  std::size_t inflate_some(std::span<std::uint8_t> out);

  std::span<const std::uint8_t> rest_;
  std::uint64_t file_size_;
  std::string where_;
  std::unique_ptr<Inflater> inflater_;
  bool ended_ = false;
};

}  // namespace smoothcert
