// NumPy's array files: .npy, and .npz, a ZIP of them (numpy.lib.format's description).
#include "data/npy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "smoothcert/error.hpp"
#include "util/printable.hpp"
#include "util/zip_archive.hpp"

namespace smoothcert {
namespace {

constexpr std::size_t kMostDimensions = 8;
constexpr std::uint64_t kMostArrayBytes = std::uint64_t{8} << 30;

/// The header: a Python dict literal of exactly three entries.
class Header {
 public:
  Header(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  void parse(NpyArray& array) {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        descr(array, quoted());
      } else if (key == "fortran_order") {
        const std::string order = word();
        if (order != "True" && order != "False") bad("a damaged header");
        column_major = order == "True";
        has_order_ = true;
      } else if (key == "shape") {
        shape(array);
      } else {
        bad("a header entry '" + printable(key) + "' that is not known");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    if (!has_descr_ || !has_order_ || !has_shape_)
      bad("a header without descr, fortran_order and shape");
  }
  bool column_major = false, big_endian = false;

 private:
  [[noreturn]] void bad(const std::string& what) const {
    throw Error(where_ + ": a NumPy array with " + what);
  }
  void skip() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  bool accept(char c) {
    skip();
    if (at_ >= text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) bad("a damaged header");
  }
  std::string quoted() {
    skip();
    const char quote = at_ < text_.size() ? text_[at_] : ' ';
    if (quote == '[') bad("named fields; save each field as an array of its own");
    const auto end = quote == '\'' || quote == '"' ? text_.find(quote, at_ + 1) : text_.npos;
    if (end == text_.npos) bad("a damaged header");
    const std::string word(text_.substr(at_ + 1, end - at_ - 1));
    at_ = end + 1;
    return word;
  }
  std::string word() {
    skip();
    const std::size_t from = at_;
    while (at_ < text_.size() && std::isalpha(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return std::string(text_.substr(from, at_ - from));
  }
  void descr(NpyArray& array, const std::string& type) {
    static constexpr std::array<std::string_view, 12> kTypes{"u1", "i1", "b1", "u2", "i2", "f2",
                                                             "u4", "i4", "f4", "u8", "i8", "f8"};
    if (type.find('O') != type.npos) bad("Python objects, which are never read; save numbers");
    if (type.size() != 3 || std::string_view("<>|=").find(type[0]) == std::string_view::npos ||
        std::find(kTypes.begin(), kTypes.end(), type.substr(1)) == kTypes.end())
      bad("elements of type '" + printable(type) + "'; save numbers of 1, 2, 4 or 8 bytes");
    big_endian = type[0] == '>';
    array.kind = type[1];
    array.width = type[2] - '0';
    has_descr_ = true;
  }
  void shape(NpyArray& array) {
    array.shape.clear();
    expect('(');
    while (!accept(')')) {
      skip();
      std::uint64_t extent = 0;
      const char* end = text_.data() + text_.size();
      const auto [next, status] = std::from_chars(text_.data() + at_, end, extent);
      if (status != std::errc() || array.shape.size() == kMostDimensions)
        bad("a shape that is none");
      at_ = static_cast<std::size_t>(next - text_.data());
      accept('L');  // Python 2 wrote long integers so
      array.shape.push_back(extent);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    has_shape_ = true;
  }

  std::string_view text_;
  const std::string& where_;
  std::size_t at_ = 0;
  bool has_descr_ = false, has_order_ = false, has_shape_ = false;
};

void swap_bytes(NpyArray& array) {
  const auto width = static_cast<std::ptrdiff_t>(array.width);
  for (auto at = array.data.begin(); at != array.data.end(); at += width)
    std::reverse(at, at + width);
}

/// The first index runs fastest in `array`, the last one shall.
void make_row_major(NpyArray& array) {
  const auto width = static_cast<std::size_t>(array.width);
  std::vector<std::uint8_t> out(array.data.size());
  std::vector<std::uint64_t> index(array.shape.size(), 0), stride(array.shape.size(), 1);
  for (std::size_t d = 1; d < stride.size(); ++d) stride[d] = stride[d - 1] * array.shape[d - 1];
  std::uint64_t from = 0;
  for (std::size_t to = 0; to < out.size(); to += width) {
    std::copy_n(array.data.begin() + static_cast<std::ptrdiff_t>(from * width), width,
                out.begin() + static_cast<std::ptrdiff_t>(to));
    for (std::size_t d = index.size(); d-- > 0;) {
      from += stride[d];
      if (++index[d] < array.shape[d]) break;
      from -= stride[d] * array.shape[d];
      index[d] = 0;
    }
  }
  array.data = std::move(out);
}

}  // namespace

NpyArray parse_npy(std::span<const std::uint8_t> bytes, const std::string& where) {
  static constexpr std::array<std::uint8_t, 6> kMagic{0x93, 'N', 'U', 'M', 'P', 'Y'};
  if (bytes.size() < 12 || !std::equal(kMagic.begin(), kMagic.end(), bytes.begin()))
    throw Error(where + ": not a NumPy file (.npy)");
  const int version = bytes[6];
  if (version < 1 || version > 3)
    throw Error(fmt::format("{}: a NumPy file of version {}, expected 1 to 3", where, version));
  const std::size_t length_size = version == 1 ? 2 : 4, data_at = 8 + length_size;
  std::size_t length = 0;
  for (std::size_t i = length_size; i-- > 0;) length = length << 8 | bytes[8 + i];
  if (length > bytes.size() - data_at || length > 65536)
    throw Error(where + ": a NumPy file with a damaged header (truncated?)");
  NpyArray array;
  Header header({reinterpret_cast<const char*>(bytes.data()) + data_at, length}, where);
  header.parse(array);
  const auto data = bytes.subspan(data_at + length);
  auto size = static_cast<std::uint64_t>(array.width);
  for (const std::uint64_t extent : array.shape) {
    if (extent != 0 && size > std::numeric_limits<std::uint64_t>::max() / extent)
      throw Error(where + ": a NumPy array of more bytes than any file holds");
    size *= extent;
  }
  if (size != data.size())
    throw Error(
        fmt::format("{}: {} bytes of data, but its shape [{}] of {} needs {}; save or copy "
                    "the file again",
                    where, data.size(), fmt::join(array.shape, ", "), dtype_name(array), size));
  array.data.assign(data.begin(), data.end());
  if (header.big_endian) swap_bytes(array);
  if (header.column_major) make_row_major(array);
  return array;
}

std::map<std::string, NpyArray> parse_npz(std::span<const std::uint8_t> bytes,
                                          const std::vector<std::string>& wanted,
                                          const std::string& where) {
  const ZipArchive archive(bytes, where);
  std::map<std::string, NpyArray> arrays;
  for (const std::string& name : wanted)
    if (const ZipEntry* entry = archive.find(name + ".npy"))
      arrays.emplace(name,
                     parse_npy(archive.read(*entry, kMostArrayBytes), where + ", array " + name));
  return arrays;
}

std::string dtype_name(const NpyArray& array) {
  if (array.kind == 'b') return "bool";
  return (array.kind == 'u'   ? "uint"
          : array.kind == 'i' ? "int"
                              : "float") +
         std::to_string(8 * array.width);
}

}  // namespace smoothcert
