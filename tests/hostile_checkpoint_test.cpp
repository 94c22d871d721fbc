// Checkpoints made to do harm: refused by name, never run, and never at the cost of memory or time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/pickle.hpp"
#include "checkpoint/torch_file.hpp"
#include "checkpoint_support.hpp"
#include "smoothcert/checkpoint.hpp"
#include "store_support.hpp"

namespace smoothcert {
namespace {

using test::checkpoint_bytes;
using test::error_of;
using test::pickled;
using test::pickled_call;
using test::pickled_dict;
using test::pickled_global;
using test::pickled_int;
using test::pickled_tensor;
using test::pickled_text;
using test::pickled_tuple;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string refusal(const std::string& pickle) {
  const auto bytes = checkpoint_bytes(pickle, {});
  const std::string message = error_of([&] { TorchFile(bytes, "F"); });
  EXPECT_THAT(message, ::testing::StartsWith("F: "));
  EXPECT_EQ(message.find('\n'), std::string::npos);
  EXPECT_LT(message.size(), 400u);
  return message;
}

TEST(HostilePickle, IsRefusedByTheNameOfWhatItAskedFor) {
  EXPECT_THAT(refusal(pickled(pickled_call("os", "system", pickled_text("touch /tmp/owned")))),
              AllOf(HasSubstr("asks for os.system"), HasSubstr("nothing of it was run")));
  EXPECT_THAT(refusal(pickled(pickled_call("builtins", "eval", pickled_text("1")))),
              HasSubstr("asks for builtins.eval"));
  EXPECT_THAT(refusal(pickled(pickled_call("torch._utils", "_rebuild_sparse_tensor", ""))),
              HasSubstr("asks for torch._utils._rebuild_sparse_tensor"));
  // STACK_GLOBAL, as protocol 4 writes it; INST and OBJ of protocol 0; NEWOBJ
  EXPECT_THAT(refusal(pickled(pickled_text("posix") + pickled_text("system") + "\x93")),
              HasSubstr("asks for posix.system"));
  EXPECT_THAT(refusal(pickled("(" + pickled_text("x") + "ios\nsystem\n")),
              HasSubstr("asks for os.system"));
  EXPECT_THAT(refusal(pickled("(" + pickled_global("collections", "OrderedDict") + "o")),
              HasSubstr("OBJ"));
  EXPECT_THAT(refusal(pickled(pickled_global("collections", "OrderedDict") + ")\x81")),
              HasSubstr("an object of collections.OrderedDict"));
  EXPECT_THAT(refusal(pickled("\x82\x01")), HasSubstr("extension registry"));
  EXPECT_THAT(refusal(pickled("Pos.system\n")), HasSubstr("PERSID"));
  // A name that would break the line, or hide behind a harmless module.
  EXPECT_THAT(refusal(pickled(pickled_text("o\ns") + pickled_text("sys\x1b[31mtem") + "\x93")),
              HasSubstr("asks for o?s.sys?[31mtem"));
  EXPECT_THAT(refusal(pickled(pickled_global("torch", "FloatStorage.__init__.__globals__"))),
              HasSubstr("__globals__"));
}

TEST(HostilePickle, CallsOfWhatIsNoFunction) {
  EXPECT_THAT(refusal(pickled(pickled_text("os.system") + ")R")), HasSubstr("no function"));
  EXPECT_THAT(refusal(pickled(pickled_global("torch", "FloatStorage") + ")R")),
              HasSubstr("arguments that do not fit"));
  EXPECT_THAT(refusal(pickled(pickled_text("x") + "}b")), HasSubstr("attributes"));
  EXPECT_THAT(refusal(pickled(pickled_call("torch._utils", "_rebuild_tensor_v2", "NNNN"))),
              HasSubstr("do not fit"));
  EXPECT_THAT(refusal(pickled(pickled_text("storage") + "Q")), HasSubstr("names no storage"));
}

TEST(HostilePickle, EveryTruncationIsAnError) {
  const std::string whole = pickled(pickled_dict(
      {{"a", pickled_tensor({"FloatStorage", "0", 2, 0, {2}, {1}})}, {"b", "(lp0\n"}}));
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(error_of([&] {
                const std::string cut = whole.substr(0, size);
                parse_pickle({reinterpret_cast<const std::uint8_t*>(cut.data()), cut.size()}, "F");
              }),
              "")
        << size;
}

TEST(HostilePickle, StackAndMemoAreBounded) {
  EXPECT_THAT(refusal(pickled("")), HasSubstr("too few values"));
  EXPECT_THAT(refusal(pickled("(0")), HasSubstr("too few values"));  // not below a mark
  EXPECT_THAT(refusal(pickled("t")), HasSubstr("a mark is missing"));
  EXPECT_THAT(refusal(pickled("NN")), HasSubstr("left over"));
  EXPECT_THAT(refusal(pickled("h\x07")), HasSubstr("memo 7 was never filled"));
  EXPECT_THAT(refusal(pickled("NNa")), HasSubstr("only a list"));
  EXPECT_THAT(refusal(pickled("NNNs")), HasSubstr("only a dict"));
  EXPECT_THAT(refusal(pickled("B\xff\xff\xff\x7f")), HasSubstr("cut short"));
  EXPECT_THAT(refusal(pickled(std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff", 9))),
              HasSubstr("cut short"));
  EXPECT_THAT(refusal(pickled("c" + std::string(100000, 'a'))), HasSubstr("without an end"));
  EXPECT_THAT(refusal(std::string("\x80\x7f.", 3)), HasSubstr("protocol 127"));
  // Memo 2³²−1 costs one entry, not a table of that size.
  EXPECT_THAT(refusal(pickled("}r\xff\xff\xff\xff")), HasSubstr("no state dict"));
}

TEST(HostilePickle, DeepNestingAndCyclesCostNothing) {
  std::string deep;
  for (int i = 0; i < 400'000; ++i) deep += "]";
  for (int i = 1; i < 400'000; ++i) deep += "a";
  EXPECT_THAT(refusal(pickled(deep)), HasSubstr("no state dict"));
  std::string tuples = "N";
  for (int i = 0; i < 400'000; ++i) tuples += "\x85";
  EXPECT_THAT(refusal(pickled(tuples)), HasSubstr("no state dict"));
  EXPECT_THAT(refusal(pickled("]q\1h\1a")), HasSubstr("no state dict"));  // holds itself
  EXPECT_THAT(refusal(pickled(std::string(2'000'000, ']'))), HasSubstr("too many values"));
}

TEST(HostilePickle, CopiesAreBounded) {
  // "Billion laughs": lists of lists are references, which cost four bytes each …
  std::string laughs = "]q\1";
  for (int i = 0; i < 50; ++i) laughs += "](h\1h\1h\1h\1h\1h\1h\1h\1h\1h\1eq\1";
  EXPECT_THAT(refusal(pickled("(" + laughs + "t")), HasSubstr("no state dict"));
  // … and a call that would copy a long list again and again is cut off.
  std::string pairs = "](";
  for (int i = 0; i < 20000; ++i) pairs += "NN\x86";
  pairs += "eq\1";
  for (int i = 0; i < 50000; ++i) pairs += pickled_global("collections", "OrderedDict") + "(h\1tR0";
  EXPECT_THAT(refusal(pickled(pairs)), HasSubstr("too many values"));
}

std::string tensor_error(const test::TensorSpec& tensor, const std::string& storage) {
  const auto bytes =
      checkpoint_bytes(pickled(pickled_dict({{"t", pickled_tensor(tensor)}})), {storage});
  return error_of([&] { (void)TorchFile(bytes, "F").read("t"); });
}

TEST(HostileTensor, ViewsStayInTheirStorage) {
  const std::string four = test::floats({1, 2, 3, 4});
  EXPECT_EQ(tensor_error({"FloatStorage", "0", 4, 0, {2, 2}, {1, 2}}, four), "");
  EXPECT_EQ(tensor_error({"FloatStorage", "0", 4, 1, {3}, {1}}, four), "");
  EXPECT_EQ(tensor_error({"FloatStorage", "0", 4, 4, {0}, {1}}, four), "");
  const std::int64_t huge = std::int64_t{1} << 62;
  EXPECT_EQ(tensor_error({"FloatStorage", "0", 4, 3, {1, 1}, {huge, huge - 1 + huge}}, four), "");
  for (const test::TensorSpec& bad :
       std::vector<test::TensorSpec>{{"FloatStorage", "0", 4, 2, {3}, {1}},
                                     {"FloatStorage", "0", 4, 4, {1}, {1}},
                                     {"FloatStorage", "0", 4, 0, {2, 2}, {3, 1}},
                                     {"FloatStorage", "0", 4, huge, {1}, {1}}})
    EXPECT_THAT(tensor_error(bad, four), HasSubstr("leaves its storage of 4 elements"));
  for (const test::TensorSpec& bad :
       std::vector<test::TensorSpec>{{"FloatStorage", "0", 4, 0, {huge, 4}, {0, 0}},
                                     {"FloatStorage", "0", 4, 0, {3}, {huge}}})
    EXPECT_THAT(tensor_error(bad, four), HasSubstr("sizes that no tensor has"));
  EXPECT_THAT(tensor_error({"FloatStorage", "0", 4, -1, {1}, {1}}, four), HasSubstr("do not fit"));
  EXPECT_THAT(tensor_error({"FloatStorage", "0", 4, 0, {2}, {-1}}, four), HasSubstr("do not fit"));
}

TEST(HostileTensor, StoragesAreWhatTheyClaim) {
  EXPECT_THAT(tensor_error({"FloatStorage", "0", 5, 0, {5}, {1}}, test::floats({1, 2, 3, 4})),
              HasSubstr("has 16 bytes, expected 5 × 4"));
  EXPECT_THAT(tensor_error({"FloatStorage", "7", 1, 0, {1}, {1}}, test::floats({1})),
              HasSubstr("its storage '7' is not in the file"));
  EXPECT_THAT(tensor_error({"FloatStorage", "0", std::int64_t{1} << 62, 0, {1}, {1}}, "1234"),
              HasSubstr("too large a storage"));
  EXPECT_THAT(tensor_error({"FloatStorage", "../../etc/passwd", 1, 0, {1}, {1}}, "1234"),
              HasSubstr("is not in the file"));
}

TEST(HostileTensor, ShapesAreComparedBeforeAnythingIsAllocated) {
  // One element, expanded to 2³¹ of them by strides of 0.
  const auto bytes = checkpoint_bytes(
      pickled(pickled_dict(
          {{"fc1.weight",
            pickled_tensor({"FloatStorage", "0", 1, 0, {1 << 16, 1 << 15}, {0, 0}})}})),
      {test::floats({1})});
  const NetworkSpec spec = parse_network_spec(
      R"({"name":"n","input":[1,1,1],"classes":2,"layers":[
          {"op":"linear","name":"fc1","out_features":2,"bias":false}]})",
      "spec");
  EXPECT_THAT(error_of([&] { checkpoint_from_bytes(bytes, "F", spec); }),
              HasSubstr("has shape [65536, 32768], network 'n' expects [2, 1]"));
}

TEST(HostileTensor, NamesOfOthersAndNotAtAll) {
  const std::string tensor = pickled_tensor({"FloatStorage", "0", 1, 0, {1}, {1}});
  EXPECT_THAT(refusal(pickled(pickled_dict(
                  {{"t", tensor}, {"t", pickled_call("os", "system", pickled_text("x"))}}))),
              HasSubstr("asks for os.system"));
  EXPECT_THAT(refusal(pickled("}(" + pickled_int(1) + tensor + "u")),
              HasSubstr("tensor without a name"));
  EXPECT_THAT(refusal(pickled(pickled_tuple({1, 2}))), HasSubstr("no state dict"));
}

TEST(HostileArchive, TorchScriptAndOthers) {
  const auto refusal_of = [](const std::vector<test::ZipItem>& items) {
    const auto bytes = test::zip_bytes(items);
    return error_of([&] { TorchFile(bytes, "F"); });
  };
  EXPECT_THAT(refusal_of({{"m/data.pkl", "N."}, {"m/code/__torch__.py", "x"}}),
              HasSubstr("TorchScript"));
  EXPECT_THAT(refusal_of({{"word/document.xml", "<x/>"}}), HasSubstr("no data.pkl in it"));
  EXPECT_THAT(refusal_of({{"a/data.pkl", "N."}, {"b/data.pkl", "N."}}), HasSubstr("two data.pkl"));
  EXPECT_THAT(refusal_of({{"a/data.pkl", "N."}, {"a/byteorder", "big"}}), HasSubstr("big-endian"));
}

}  // namespace
}  // namespace smoothcert
