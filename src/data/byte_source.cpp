// Bytes of a file, plain or gzip, pulled in order: nothing is allocated on the word of a header.
#include "data/byte_source.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "smoothcert/error.hpp"

namespace smoothcert {

struct ByteSource::Inflater {
  z_stream stream{};
  Inflater() {
    if (inflateInit2(&stream, 15 + 16) != Z_OK) throw Error("zlib: out of memory");
  }
  ~Inflater() { inflateEnd(&stream); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
};

namespace {
bool is_gzip(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b;
}
}  // namespace

ByteSource::ByteSource(std::span<const std::uint8_t> file, std::string where)
    : rest_(file), file_size_(file.size()), where_(std::move(where)) {
  if (is_gzip(file)) inflater_ = std::make_unique<Inflater>();
}

ByteSource::~ByteSource() = default;

std::uint64_t ByteSource::capacity() const { return compressed() ? file_size_ * 1032 : file_size_; }

std::size_t ByteSource::read(std::span<std::uint8_t> out) {
  if (compressed()) return inflate_some(out);
  const std::size_t count = std::min(out.size(), rest_.size());
  if (count > 0) std::memcpy(out.data(), rest_.data(), count);
  rest_ = rest_.subspan(count);
  return count;
}

bool ByteSource::at_end() {
  if (!compressed()) return rest_.empty();
  std::uint8_t probe = 0;
  return inflate_some({&probe, 1}) == 0;
}

std::size_t ByteSource::inflate_some(std::span<std::uint8_t> out) {
  z_stream& z = inflater_->stream;
  std::size_t done = 0;
  while (done < out.size() && !ended_) {
    const auto in = static_cast<uInt>(std::min<std::size_t>(rest_.size(), 1u << 30));
    const auto room = static_cast<uInt>(std::min<std::size_t>(out.size() - done, 1u << 30));
    z.next_in = const_cast<Bytef*>(rest_.data());  // zlib does not write through next_in
    z.avail_in = in;
    z.next_out = out.data() + done;
    z.avail_out = room;
    const int status = inflate(&z, Z_NO_FLUSH);
    rest_ = rest_.subspan(in - z.avail_in);
    done += room - z.avail_out;
    if (status == Z_STREAM_END) {
      if (rest_.empty()) {
        ended_ = true;
      } else if (is_gzip(rest_)) {  // gzip files may be concatenated
        inflateReset(&z);
      } else {
        throw Error(where_ + ": " + std::to_string(rest_.size()) +
                    " bytes follow the gzip stream; fetch the file again");
      }
    } else if (status == Z_BUF_ERROR || (status == Z_OK && rest_.empty() && z.avail_out > 0)) {
      throw Error(where_ + ": the gzip stream is cut short; fetch the file again");
    } else if (status != Z_OK) {
      throw Error(where_ + ": damaged gzip stream (" + (z.msg != nullptr ? z.msg : "zlib error") +
                  "); fetch the file again");
    }
  }
  return done;
}

}  // namespace smoothcert
