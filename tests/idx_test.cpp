// The IDX reader: what it accepts, and one clear line for everything it does not.
#include "data/idx.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "data_support.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using test::Bytes;
using test::gzip;
using test::idx_bytes;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string parse_error(const Bytes& bytes) {
  const std::string message = message_of<Error>([&] { parse_idx(bytes, "FILE"); });
  EXPECT_THAT(message, HasSubstr("FILE: "));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  return message;
}

const Bytes kSix{1, 2, 3, 4, 5, 255};

TEST(Idx, ReadsPlainAndGzip) {
  const Bytes plain = idx_bytes({1, 2, 3}, kSix);
  for (const Bytes& file : {plain, gzip(plain)}) {
    const IdxArray array = parse_idx(file, "FILE");
    EXPECT_EQ(array.dims, (std::vector<std::uint32_t>{1, 2, 3}));
    EXPECT_EQ(array.data, kSix);
  }
}

TEST(Idx, ReadsGzipInSeveralMembers) {
  const Bytes plain = idx_bytes({6}, kSix);
  Bytes file = gzip(std::span(plain).first(5));
  const Bytes second = gzip(std::span(plain).subspan(5));
  file.insert(file.end(), second.begin(), second.end());
  EXPECT_EQ(parse_idx(file, "FILE").data, kSix);
}

TEST(Idx, RefusesEveryTruncation) {
  for (const bool packed : {false, true}) {
    const Bytes plain = idx_bytes({1, 2, 3}, kSix);
    const Bytes whole = packed ? gzip(plain) : plain;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_THROW(parse_idx(cut, "FILE"), Error) << size;
    }
  }
  Bytes cut = idx_bytes({1, 2, 3}, kSix);
  cut.pop_back();
  EXPECT_THAT(parse_error(cut), AllOf(HasSubstr("1×2×3 = 6 bytes"), HasSubstr("only 5")));
}

TEST(Idx, RefusesTrailingBytes) {
  Bytes longer = idx_bytes({1, 2, 3}, kSix);
  longer.push_back(0);
  EXPECT_THAT(parse_error(longer), HasSubstr("more data than the header announces"));
  EXPECT_THAT(parse_error(gzip(longer)), HasSubstr("more data than the header announces"));
  Bytes after = gzip(idx_bytes({1, 2, 3}, kSix));
  after.push_back(0);
  EXPECT_THAT(parse_error(after), HasSubstr("1 bytes follow the gzip stream"));
}

TEST(Idx, RefusesAWrongMagicNumber) {
  Bytes bytes = idx_bytes({6}, kSix);
  bytes[0] = 0x89;
  EXPECT_THAT(parse_error(bytes), AllOf(HasSubstr("0x89000801"), HasSubstr("0x00000803")));
  bytes = idx_bytes({6}, kSix);
  bytes[2] = 0x0d;
  EXPECT_THAT(parse_error(bytes), HasSubstr("element type 0x0d"));
  bytes = idx_bytes({6}, kSix);
  bytes[3] = 5;
  EXPECT_THAT(parse_error(bytes), HasSubstr("magic number"));
}

TEST(Idx, RefusesAHeaderLargerThanTheFileWithoutAllocating) {
  // 2³²−1 images of 65,535 bytes would be 256 TiB; five dimensions of 2³²−1 would overflow.
  EXPECT_THAT(parse_error(idx_bytes({0xffffffffu, 255, 257}, kSix)), HasSubstr("only 6"));
  EXPECT_THAT(parse_error(idx_bytes({0xffffffffu, 0xffffffffu, 0xffffffffu}, kSix)),
              HasSubstr("more than any file holds"));
  EXPECT_THAT(parse_error(gzip(idx_bytes({0xffffffffu, 255, 257}, kSix))),
              HasSubstr("the file holds at most"));
  EXPECT_THAT(parse_error(idx_bytes({0, 28, 28}, {})), HasSubstr("dimension 0 is 0"));
}

TEST(Idx, RefusesADamagedGzipStream) {
  Bytes bytes = gzip(idx_bytes({1, 2, 3}, kSix));
  bytes[bytes.size() - 5] ^= 1;  // the CRC
  EXPECT_THAT(parse_error(bytes), HasSubstr("damaged gzip stream"));
}

TEST(Idx, AGzipBombCostsNoMoreThanItsHeaderAnnounces) {
  // 64 MiB of zeros behind a header that announces six bytes.
  Bytes plain = idx_bytes({6}, Bytes(std::size_t{64} << 20, 0));
  EXPECT_THAT(parse_error(gzip(plain)), HasSubstr("more data than the header announces"));
}

IdxArray array(std::vector<std::uint32_t> dims, Bytes data) { return {std::move(dims), data}; }

TEST(Idx, BuildsGreyAndColourData) {
  const Dataset grey = dataset_from_idx(array({2, 1, 3}, kSix), "I", array({2}, {0, 9}), "L", 10);
  EXPECT_EQ(grey.shape, (ImageShape{1, 1, 3}));
  EXPECT_EQ(grey.image(1)[2], 255);
  const Dataset colour = dataset_from_idx(array({1, 3, 1, 2}, kSix), "I", array({1}, {1}), "L", 2);
  EXPECT_EQ(colour.shape, (ImageShape{3, 1, 2}));
  EXPECT_EQ(colour.sha256, dataset_hash(colour));
  EXPECT_NE(colour.sha256, grey.sha256);
}

TEST(Idx, RefusesPairsThatDoNotBelongTogether) {
  const auto error = [](IdxArray images, IdxArray labels, int classes = 10) {
    return message_of<Error>([&] {
      dataset_from_idx(std::move(images), "IMAGES", std::move(labels), "LABELS", classes);
    });
  };
  EXPECT_THAT(error(array({2, 1, 3}, kSix), array({3}, {0, 1, 2})),
              AllOf(HasSubstr("LABELS: 3 labels"), HasSubstr("IMAGES holds 2 images")));
  EXPECT_THAT(error(array({2, 1, 3}, kSix), array({2}, {0, 10})),
              AllOf(HasSubstr("LABELS: label 10 at index 1"), HasSubstr("expected 0 to 9")));
  EXPECT_THAT(error(array({6}, kSix), array({6}, kSix)), HasSubstr("is this the label file?"));
  EXPECT_THAT(error(array({2, 1, 3}, kSix), array({2, 1, 3}, kSix)),
              HasSubstr("is this the image file?"));
}

TEST(Idx, TheHashSeesEveryPart) {
  Dataset data = dataset_from_idx(array({2, 1, 3}, kSix), "I", array({2}, {0, 1}), "L", 10);
  const std::string before = data.sha256;
  data.labels[1] = 2;
  EXPECT_NE(dataset_hash(data), before);
  data.labels[1] = 1;
  data.pixels[5] = 254;
  EXPECT_NE(dataset_hash(data), before);
  data.pixels[5] = 255;
  data.shape = {1, 3, 1};
  EXPECT_NE(dataset_hash(data), before);
  data.shape = {1, 1, 3};
  EXPECT_EQ(dataset_hash(data), before);
  data.name = data.origin = "elsewhere";
  EXPECT_EQ(dataset_hash(data), before) << "the identity is the content";
}

TEST(Idx, MissingFileAndFolder) {
  const test::TemporaryFolder folder;
  EXPECT_THAT(message_of<Error>([&] { read_idx(folder.path() / "absent"); }), HasSubstr("absent"));
  EXPECT_THROW(read_idx(folder.path()), Error);
}

}  // namespace
}  // namespace smoothcert
