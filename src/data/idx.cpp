// The IDX format of MNIST (yann.lecun.com/exdb/mnist): a magic number, big-endian sizes, bytes.
#include "data/idx.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "data/byte_source.hpp"
#include "data/labelled.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert {
namespace {

constexpr std::uint8_t kUnsignedByte = 0x08;
constexpr std::size_t kMostDims = 4;

std::uint32_t big_endian(const std::uint8_t* b) {
  return std::uint32_t{b[0]} << 24 | std::uint32_t{b[1]} << 16 | std::uint32_t{b[2]} << 8 | b[3];
}

std::string dims_text(const std::vector<std::uint32_t>& dims) {
  return fmt::format("{}", fmt::join(dims, "×"));
}

/// The magic number; returns the number of dimensions.
int read_magic(ByteSource& source, const std::string& where) {
  std::uint8_t header[4];
  if (const std::size_t got = source.read(header); got != 4) {
    throw Error(
        fmt::format("{}: not an IDX file: {} bytes, expected a header of at least 8; fetch "
                    "the file again",
                    where, got));
  }
  if (header[0] != 0 || header[1] != 0 || header[3] == 0 || header[3] > kMostDims) {
    throw Error(
        fmt::format("{}: not an IDX file: magic number 0x{:08x}, expected 0x00000801 "
                    "(labels), 0x00000803 or 0x00000804 (images); check the file",
                    where, big_endian(header)));
  }
  if (header[2] != kUnsignedByte) {
    throw Error(
        fmt::format("{}: IDX element type 0x{:02x}, expected 0x08 (unsigned byte); convert "
                    "the images to 8 bits",
                    where, header[2]));
  }
  return header[3];
}

/// The dimensions, whose product is `size`: no more than the file can hold.
std::vector<std::uint32_t> read_dims(ByteSource& source, const std::string& where,
                                     std::uint64_t& size) {
  const int count = read_magic(source, where);
  std::vector<std::uint32_t> dims;
  size = 1;
  for (int d = 0; d < count; ++d) {
    std::uint8_t word[4];
    if (source.read(word) != 4) {
      throw Error(
          fmt::format("{}: the IDX header is cut short: {} dimensions announced, {} found; "
                      "fetch the file again",
                      where, count, d));
    }
    dims.push_back(big_endian(word));
    if (dims.back() == 0) {
      throw Error(
          fmt::format("{}: IDX dimension {} is 0, expected at least 1; check the file", where, d));
    }
    if (size > std::numeric_limits<std::uint64_t>::max() / dims.back()) {
      throw Error(
          fmt::format("{}: the IDX header announces {}… bytes, more than any file holds; "
                      "check the file",
                      where, dims_text(dims)));
    }
    size *= dims.back();
  }
  const std::uint64_t header_size = 4 + 4 * std::uint64_t{dims.size()};
  const std::uint64_t room = source.capacity() > header_size ? source.capacity() - header_size : 0;
  if (size > room) {
    throw Error(
        fmt::format("{}: the IDX header announces {} = {} bytes, but the file holds {} {}; "
                    "it is truncated or its header is damaged: fetch the file again",
                    where, dims_text(dims), size, source.compressed() ? "at most" : "only", room));
  }
  return dims;
}

}  // namespace

IdxArray parse_idx(std::span<const std::uint8_t> file, const std::string& where) {
  ByteSource source(file, where);
  IdxArray array;
  std::uint64_t size = 0;
  array.dims = read_dims(source, where, size);
  array.data.resize(size);
  if (const std::size_t got = source.read(array.data); got != size) {
    throw Error(
        fmt::format("{}: truncated: {} bytes of data, expected {} = {}; fetch the file "
                    "again",
                    where, got, dims_text(array.dims), size));
  }
  if (!source.at_end()) {
    throw Error(
        fmt::format("{}: more data than the header announces ({} = {} bytes); fetch the "
                    "file again",
                    where, dims_text(array.dims), size));
  }
  return array;
}

IdxArray read_idx(const std::filesystem::path& file) {
  return parse_idx(read_file(file), file.string());
}

Dataset dataset_from_idx(IdxArray images, const std::string& images_where, IdxArray labels,
                         const std::string& labels_where, int classes) {
  if (images.dims.size() < 3) {
    throw Error(
        fmt::format("{}: {} dimension(s), expected images of 3 (N×H×W) or 4 (N×C×H×W); is "
                    "this the label file?",
                    images_where, images.dims.size()));
  }
  if (labels.dims.size() != 1) {
    throw Error(fmt::format("{}: {} dimensions, expected 1 (labels); is this the image file?",
                            labels_where, labels.dims.size()));
  }
  const bool grey = images.dims.size() == 3;
  const std::uint32_t channels = grey ? 1 : images.dims[1];
  const std::uint32_t height = images.dims[grey ? 1 : 2], width = images.dims[grey ? 2 : 3];
  return labelled(
      LabelledImages{channels, height, width, images.dims[0], std::move(images.data), images_where,
                     std::vector<Label>(labels.data.begin(), labels.data.end()), labels_where},
      classes);
}

Dataset dataset_from_idx(const std::filesystem::path& images, const std::filesystem::path& labels,
                         int classes) {
  return dataset_from_idx(read_idx(images), images.string(), read_idx(labels), labels.string(),
                          classes);
}

}  // namespace smoothcert
