// JSON from files nobody vouches for: nesting and names that would exhaust the stack or the clock.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "network/safetensors.hpp"
#include "smoothcert/sweep_file.hpp"
#include "store/canonical_dump.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::error_of;
using ::testing::HasSubstr;

constexpr std::size_t kDeep = 1'000'000;

std::string nested(const std::string& around) {
  return around + std::string(kDeep, '[') + std::string(kDeep, ']') + "}";
}

TEST(HostileJson, DeepNestingIsRefusedEverywhere) {
  EXPECT_THAT(error_of([] { parse_network_spec(nested(R"({"name":)"), "F"); }),
              HasSubstr("F: nested more than 64 deep"));
  EXPECT_THAT(error_of([] { parse_sweep(nested(R"({"n":)"), "", "F"); }),
              HasSubstr("F: nested more than 64 deep"));
  EXPECT_THAT(error_of([] { store::canonical_document(nested(R"({"n":)")); }),
              HasSubstr("nested more than 64 deep"));
  std::string header = nested(R"({"__metadata__":)");
  std::vector<std::uint8_t> bytes(8 + header.size());
  for (std::size_t i = 0; i < 8; ++i)
    bytes[i] = static_cast<std::uint8_t>(header.size() >> (8 * i));
  std::copy(header.begin(), header.end(), bytes.begin() + 8);
  EXPECT_THAT(error_of([&] { parse_safetensors(bytes, "F"); }),
              HasSubstr("F: nested more than 64 deep"));
}

TEST(HostileJson, NumbersBeyondEveryRange) {
  EXPECT_THAT(error_of([] { parse_sweep(R"({"models":"a","n":1e999})", "", "F"); }),
              HasSubstr("F holds a number that is too large"));
  EXPECT_THAT(error_of([] { parse_network_spec(R"({"classes":1e999})", "F"); }),
              HasSubstr("F: not valid JSON"));
}

TEST(HostileJson, LongUnknownNamesAreCutShort) {
  const std::string message =
      error_of([] { parse_network_spec(R"({")" + std::string(kDeep * 10, 'a') + R"(":1})", "F"); });
  EXPECT_THAT(message, HasSubstr("F: "));
  EXPECT_LT(message.size(), 500u);
  const std::string op = error_of([] {
    parse_network_spec(R"({"name":"x","input":[1,1,1],"classes":2,"layers":[{"op":")" +
                           std::string(kDeep * 10, 'a') + R"("}]})",
                       "F");
  });
  EXPECT_LT(op.size(), 500u);
}

}  // namespace
}  // namespace smoothcert
