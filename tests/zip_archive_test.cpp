// The ZIP reader: what it accepts, and one clear line for everything it does not.
#include "util/zip_archive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint_support.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using test::zip_bytes;
using test::ZipItem;
using ::testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

/// Opens the archive and reads everything in it.
std::string problem(const Bytes& bytes) {
  return error_of([&] {
    const ZipArchive archive(bytes, "F");
    for (const auto& entry : archive.entries()) (void)archive.read(entry, 1 << 20);
  });
}

TEST(ZipArchive, ReadsStoredAndDeflatedEntries) {
  const std::string text(1000, 'x');
  const Bytes bytes = zip_bytes({{"a", "one"}, {"b/c", text, true}, {"empty", ""}}, "a comment");
  const ZipArchive archive(bytes, "F");
  ASSERT_EQ(archive.entries().size(), 3u);
  const auto read = [&](const char* name) {
    const auto content = archive.read(*archive.find(name), 1000);
    return std::string(content.begin(), content.end());
  };
  EXPECT_EQ(read("a"), "one");
  EXPECT_EQ(read("b/c"), text);
  EXPECT_EQ(read("empty"), "");
  EXPECT_EQ(archive.find("absent"), nullptr);
  EXPECT_EQ(problem(zip_bytes({})), "");
  EXPECT_THAT(error_of([&] { (void)archive.read(*archive.find("b/c"), 999); }),
              HasSubstr("at most 999"));
}

TEST(ZipArchive, EveryTruncationIsAnError) {
  const Bytes whole = zip_bytes({{"a", "one"}, {"b", std::string(100, 'x'), true}});
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_THAT(problem(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))),
                HasSubstr("F: "))
        << size;
}

TEST(ZipArchive, EveryFlippedByteIsAnErrorOrHarmless) {
  const Bytes whole = zip_bytes({{"a", "one"}, {"b", std::string(100, 'x'), true}});
  for (std::size_t at = 0; at < whole.size(); ++at)
    for (const std::uint8_t flip : {0x01, 0x80, 0xff}) {
      Bytes bytes = whole;
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ flip);
      const std::string message = problem(bytes);
      EXPECT_TRUE(message.empty() || message.starts_with("F: ")) << at << ": " << message;
    }
}

TEST(ZipArchive, RefusesWhatLies) {
  EXPECT_THAT(problem(zip_bytes({{"a", "one"}, {"a", "two"}})), HasSubstr("'a' is there twice"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one"}, {"b", "two", false, {}, 0}})),
              HasSubstr("another name in its own header"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one", false, {}, {}, 7}})), HasSubstr("CRC-32"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one", false, 9}})), HasSubstr("two sizes differ"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one", true, 9}})), HasSubstr("damaged (deflate)"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one", true, 1}})), HasSubstr("damaged (deflate)"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one", false, {}, {}, {}, 12}})), HasSubstr("method 12"));
  ZipItem encrypted{"a", "one"};
  encrypted.flags = 1;
  EXPECT_THAT(problem(zip_bytes({encrypted})), HasSubstr("encrypted"));
  EXPECT_THAT(problem(zip_bytes({{"a", "one", false, {}, 70000}})), HasSubstr("has no header"));
  ZipItem line_break{"a\nb", "one", false, {}, {}, 7};
  EXPECT_THAT(problem(zip_bytes({line_break})), HasSubstr("'a?b'"));
}

TEST(ZipArchive, RefusesOverlappingEntries) {
  // A second header inside the first entry's content: the quine's and the bomb's trick.
  const Bytes inner = zip_bytes({{"b", "two"}});
  const std::string header(inner.begin(), inner.begin() + 34);
  EXPECT_THAT(problem(zip_bytes({{"a", "...." + header}, {"b", "two", false, {}, 35}})),
              HasSubstr("overlap"));
}

TEST(ZipArchive, ABombCostsNoMoreThanItsLimit) {
  const Bytes bomb = zip_bytes({{"a", std::string(std::size_t{32} << 20, '\0'), true}});
  EXPECT_LT(bomb.size(), 100'000u);
  EXPECT_THAT(problem(bomb), HasSubstr("at most 1048576"));
  // A claim that deflate cannot keep is refused before anything is allocated.
  const Bytes claim = zip_bytes({{"a", "one", true, 0xfffffff0u}});
  const ZipArchive archive(claim, "F");
  EXPECT_THAT(error_of([&] { (void)archive.read(archive.entries()[0], ~0ull); }),
              HasSubstr("claims 4294967280 bytes"));
}

}  // namespace
}  // namespace smoothcert
