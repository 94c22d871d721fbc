// Safetensors files: read, written, refused.
#include "network/safetensors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "smoothcert/error.hpp"
#include "smoothcert/network_file.hpp"
#include "util/atomic_file.hpp"
#include "util/half.hpp"

namespace smoothcert {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::vector<std::uint8_t> file_of(const std::string& header, std::size_t data_bytes) {
  std::vector<std::uint8_t> bytes(8 + header.size() + data_bytes);
  const std::uint64_t size = header.size();
  std::memcpy(bytes.data(), &size, 8);
  std::memcpy(bytes.data() + 8, header.data(), header.size());
  return bytes;
}

std::string parse_error(const std::vector<std::uint8_t>& bytes) {
  try {
    parse_safetensors(bytes, "m.safetensors");
  } catch (const UsageError&) {
    return "UsageError where Error is meant";
  } catch (const Error& e) {
    return e.what();
  }
  return "(no error)";
}

TEST(Safetensors, RoundTripIsExact) {
  SafetensorsFile file;
  file.tensors["a"] = {{2, 2}, {1.0f, -0.0f, 1e-45f, 3.4e38f}};
  file.tensors["b"] = {{0}, {}};
  file.integers["bn.num_batches_tracked"] = -7;
  file.metadata["note"] = "quotes \" and ü";
  const auto bytes = format_safetensors(file);
  const SafetensorsFile back = parse_safetensors(bytes, "x");
  EXPECT_EQ(std::memcmp(back.tensors.at("a").data.data(), file.tensors["a"].data.data(), 16), 0);
  EXPECT_EQ(back.tensors.at("a").shape, (std::vector<std::int64_t>{2, 2}));
  EXPECT_EQ(back.tensors.at("b").data.size(), 0u);
  EXPECT_EQ(back.integers.at("bn.num_batches_tracked"), -7);
  EXPECT_EQ(back.metadata, file.metadata);
  EXPECT_EQ(format_safetensors(back), bytes);
}

TEST(Safetensors, EveryTruncationIsRefused) {
  SafetensorsFile file;
  file.tensors["a"] = {{3}, {1, 2, 3}};
  const auto bytes = format_safetensors(file);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const std::vector<std::uint8_t> cut(bytes.begin(), bytes.begin() + static_cast<long>(size));
    EXPECT_THAT(parse_error(cut), HasSubstr("m.safetensors: ")) << size;
  }
}

TEST(Safetensors, BadFilesAreNamed) {
  EXPECT_THAT(parse_error({'P', 'K', 3, 4, 0, 0, 0, 0, 0, 0}), HasSubstr("not a safetensors file"));
  EXPECT_THAT(parse_error(file_of("{]", 0)), HasSubstr("not valid JSON"));
  const auto one = [](const std::string& entry, std::size_t bytes) {
    return parse_error(file_of("{\"w\":" + entry + "}", bytes));
  };
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 4), HasSubstr("only 4"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})", 12),
              HasSubstr("4 bytes after the last tensor"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})", 8), HasSubstr("need 12"));
  EXPECT_THAT(one(R"({"dtype":"I32","shape":[2],"data_offsets":[0,8]})", 8),
              HasSubstr("dtype I32"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", 8),
              HasSubstr("backwards"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})", 8), HasSubstr("no size"));
  EXPECT_THAT(one(R"({"dtype":"F32","shape":[2147483648,2147483648,4],"data_offsets":[0,8]})", 8),
              HasSubstr("too large"));
  EXPECT_THAT(one(R"({"dtype":"F32"})", 8), HasSubstr("needs dtype, shape and data_offsets"));
  EXPECT_THAT(parse_error(file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
                                  R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                  8)),
              HasSubstr("'b' overlaps"));
  EXPECT_THAT(parse_error(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8)),
              HasSubstr("hole of 4 bytes"));
  EXPECT_THAT(parse_error(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                  R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                                  4)),
              HasSubstr("'a' is given twice"));
}

TEST(Half, WidensEveryKindOfValue) {
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0xc000), -2.0f);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x83ff), -1023 * 0x1p-24f);
  EXPECT_TRUE(std::isinf(half_to_float(0x7c00)));
  EXPECT_TRUE(std::isnan(half_to_float(0x7e00)));
  EXPECT_EQ(bfloat16_to_float(0x3f80), 1.0f);
}

class NetworkFile : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("smoothcert-network-" + std::to_string(::getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(NetworkFile, KeepsNetworkAndRecord) {
  Network net = initialise(builtin_network("convnn"), 5);
  net.record = {"smoothing", "smoothing",           1.0,     0.6,   0,
                1,           18446744073709551615u, "mnist", "abc", "cpu"};
  net.clamp = false;
  save_network(net, folder_ / "n.safetensors");
  const Network back = load_network(folder_ / "n.safetensors");
  EXPECT_EQ(model_hash(back), model_hash(net));
  EXPECT_EQ(back.record.seed, net.record.seed);
  EXPECT_EQ(back.record.regime, "smoothing");
  EXPECT_EQ(back.record.sigma, 1.0);
  EXPECT_EQ(back.record.lambda, 0.6);
  EXPECT_FALSE(back.clamp);
}

TEST_F(NetworkFile, WrongShapeNaNAndMissingDescriptionAreErrors) {
  Network net = initialise(builtin_network("convnn"), 5);
  save_network(net, folder_ / "n.safetensors");
  SafetensorsFile file = parse_safetensors(read_file(folder_ / "n.safetensors"), "n");
  const auto load_error = [](const SafetensorsFile& f) -> std::string {
    try {
      network_from_safetensors(format_safetensors(f), "n");
    } catch (const Error& e) {
      return e.what();
    }
    return "(no error)";
  };
  SafetensorsFile bad = file;
  bad.tensors["fc1.weight"].shape = {80, 10};
  EXPECT_THAT(load_error(bad),
              HasSubstr("'fc1.weight' has shape [80, 10], network 'convnn' expects [10, 80]"));
  bad = file;
  bad.tensors["fc1.bias"].data[0] = std::nanf("");
  EXPECT_THAT(load_error(bad), HasSubstr("holds NaN"));
  bad = file;
  bad.metadata.erase("network");
  EXPECT_THAT(load_error(bad), HasSubstr("no network description"));
  EXPECT_THROW(load_network(folder_ / "absent.safetensors"), Error);
  // What its metadata promises is either kept or refused.
  EXPECT_EQ(load_error(file), "(no error)");
  for (const auto& [key, value, message] : std::vector<std::array<std::string, 3>>{
           {"format", "smoothcert-network-2", "format 'smoothcert-network-2'"},
           {"format", "pt", "format 'pt'"},
           {"input_range", "[0,255]", "input_range '[0,255]'"},
           {"clamp", "maybe", "clamp 'maybe'"}}) {
    bad = file;
    bad.metadata[key] = value;
    EXPECT_THAT(load_error(bad), HasSubstr(message)) << key;
  }
  bad = file;
  bad.metadata.erase("clamp");
  const Network unsaid = network_from_safetensors(format_safetensors(bad), "n");
  EXPECT_FALSE(unsaid.clamp);
  EXPECT_FALSE(unsaid.clamp_recorded);
}

TEST_F(NetworkFile, AnUnwritableFolderKeepsTheOldFile) {
  EXPECT_THROW(
      save_network(initialise(builtin_network("mlp"), 1), folder_ / "no" / "n.safetensors"), Error);
}

}  // namespace
}  // namespace smoothcert
