// .npy and .npz: what is read, in which layout, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "checkpoint_support.hpp"
#include "data/cifar.hpp"
#include "data/numpy_set.hpp"
#include "data_support.hpp"
#include "smoothcert/data_source.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using test::Bytes;
using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using namespace std::string_literals;

std::string npy(const std::string& header, const std::string& data, char version = 1) {
  std::string text = header;
  text.append((64 - (text.size() + 11) % 64) % 64, ' ');
  text += '\n';
  std::string length{static_cast<char>(text.size()), static_cast<char>(text.size() >> 8)};
  if (version > 1) length += std::string(2, '\0');
  return std::string("\x93NUMPY", 6) + version + '\0' + length + text + data;
}
std::string npy_of(const std::string& type, const std::string& shape, const std::string& data) {
  return npy("{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }", data);
}
Bytes bytes_of(const std::string& text) { return {text.begin(), text.end()}; }
NpyArray array(const std::string& text) { return parse_npy(bytes_of(text), "F"); }
std::string npy_error(const std::string& text) {
  return message_of<Error>([&] { parse_npy(bytes_of(text), "F"); });
}

const std::string kSix = "\1\2\3\4\5\6";

TEST(Npy, ReadsArrays) {
  const NpyArray six = array(npy_of("|u1", "2, 3", kSix));
  EXPECT_EQ(six.shape, (std::vector<std::uint64_t>{2, 3}));
  EXPECT_EQ(six.data, bytes_of(kSix));
  EXPECT_EQ(array(npy_of("<i2", "3,", kSix)).elements(), 3u);
  EXPECT_EQ(array(npy_of("|u1", "", "x")).shape.size(), 0u);
  EXPECT_EQ(array(npy_of("|u1", "6L,", kSix)).elements(), 6u);
  EXPECT_EQ(array(npy(R"({"shape":(6,),"fortran_order":False,"descr":"|u1"})", kSix, 2)).elements(),
            6u);
}

TEST(Npy, RefusesTheRest) {
  EXPECT_THAT(npy_error("hello, world"), HasSubstr("F: not a NumPy file"));
  EXPECT_THAT(npy_error(npy_of("|u1", "7,", kSix)),
              HasSubstr("6 bytes of data, but its shape [7]"));
  EXPECT_THAT(npy_error(npy_of("|u1", "5,", kSix)), HasSubstr("needs 5"));
  EXPECT_THAT(npy_error(npy_of("|O", "1,", "x")), HasSubstr("never read"));
  EXPECT_THAT(npy_error(npy_of("<c8", "1,", "12345678")), HasSubstr("type '<c8'"));
  EXPECT_THAT(npy_error(npy("{'descr': '|u1', 'fortran_order': Maybe, 'shape': (6,)}", kSix)),
              HasSubstr("damaged header"));
  EXPECT_THAT(
      npy_error(npy("{'descr': [('a','|u1')], 'fortran_order': False, 'shape': (6,)}", kSix)),
      HasSubstr("named fields"));
  EXPECT_THAT(npy_error(npy("{'descr': '|u1'}", kSix)), HasSubstr("without descr"));
  EXPECT_THAT(npy_error(npy_of("|u1", "4294967296, 4294967296, 4294967296", kSix)),
              HasSubstr("more bytes than any file holds"));
  EXPECT_THAT(npy_error(npy_of("|u1", "-1,", kSix)), HasSubstr("shape that is none"));
  const std::string whole = npy_of("|u1", "2, 3", kSix);
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(npy_error(whole.substr(0, size)), "") << size;
}

TEST(Npy, TurnsEveryOrderIntoOne) {
  EXPECT_EQ(array(npy_of(">i2", "3,", std::string("\0\1\0\2\1\0", 6))).data,
            (Bytes{1, 0, 2, 0, 0, 1}));
  const auto fortran = [](const std::string& type, const std::string& shape,
                          const std::string& data) {
    return array(npy("{'descr': '" + type + "', 'fortran_order': True, 'shape': (" + shape + ")}",
                     data))
        .data;
  };
  EXPECT_EQ(fortran("|u1", "2, 3", kSix), (Bytes{1, 3, 5, 2, 4, 6}));
  EXPECT_EQ(fortran("|u1", "6,", kSix), bytes_of(kSix));
  EXPECT_EQ(fortran("<u2", "1, 3", kSix), bytes_of(kSix));
  EXPECT_EQ(fortran(">u2", "3, 1", kSix), (Bytes{2, 1, 4, 3, 6, 5}));
  EXPECT_EQ(fortran("|u1", "1, 2, 3", kSix), (Bytes{1, 3, 5, 2, 4, 6}));
}

Dataset images(const NpyArray& images, bool round = false) {
  return dataset_from_arrays(
      images, "I", array(npy_of("<i8", "1,", std::string("\2\0\0\0\0\0\0\0", 8))), "L", 10, round);
}
std::string images_error(const std::string& text, bool round = false) {
  return message_of<Error>([&] { images(array(text), round); });
}

TEST(NumpySet, LayoutsGiveTheSameImage) {
  // A 2-channel image of 1×3: channel 0 is 1 2 3, channel 1 is 4 5 6.
  const Dataset first = images(array(npy_of("|u1", "1, 2, 1, 3", kSix)));
  EXPECT_EQ(first.shape, (ImageShape{2, 1, 3}));
  EXPECT_EQ(first.labels, std::vector<Label>{2});
  const Dataset last = images(array(npy_of("|u1", "1, 3, 1, 2", "\1\4\2\5\3\6")));
  EXPECT_EQ(last.shape, (ImageShape{2, 3, 1}));
  EXPECT_EQ(last.pixels, first.pixels);
  EXPECT_EQ(images(array(npy_of("|u1", "1, 2, 3", kSix))).shape, (ImageShape{1, 2, 3}));
  EXPECT_EQ(images(array(npy_of("|u1", "1, 1, 6, 1", kSix))).shape, (ImageShape{1, 6, 1}));
  EXPECT_THAT(images_error(npy_of("|u1", "1, 2, 2, 2", "\1\2\3\4\5\6\7\10")),
              HasSubstr("which dimension is the channels"));
  EXPECT_THAT(images_error(npy_of("|u1", "6,", kSix)), HasSubstr("expected N×H×W"));
  EXPECT_THAT(images_error(npy_of("|u1", "1, 0, 6", "")), HasSubstr("holds none"));
}

TEST(NumpySet, FloatsLeaveTheLatticeOnlyWhenAsked) {
  // n/255 as float32 has it, and a zero that went through somebody's arithmetic.
  const std::string exact = npy_of("<f4", "1, 1, 3", test::floats({-3e-8f, 100 / 255.0f, 1.0f}));
  for (const bool round : {false, true}) {
    EXPECT_EQ(images(array(exact), round).pixels, (Bytes{0, 100, 255}));
    EXPECT_FALSE(images(array(exact), round).rounded_to_lattice);
  }
  const std::string between = npy_of("<f4", "1, 1, 2", test::floats({0.5f, 0.25f}));
  EXPECT_THAT(images_error(between),
              AllOf(HasSubstr("float32"), HasSubstr("off by up to 0.5 of a step, at index 0"),
                    HasSubstr("--round")));
  EXPECT_EQ(images(array(between), true).pixels, (Bytes{128, 64}));
  EXPECT_TRUE(images(array(between), true).rounded_to_lattice);
  for (const float bad : {-0.1f, 1.5f, std::nanf("")})
    EXPECT_THAT(images_error(npy_of("<f4", "1, 1, 1", test::floats({bad})), true),
                HasSubstr("expected [0,1]"));
}

TEST(NumpySet, IntegersOfAnyTypeArePixels) {
  const std::string values("\1\0\0\0\0\0\0\0\377\0\0\0\0\0\0\0", 16);
  EXPECT_EQ(images(array(npy_of("<i8", "1, 1, 2", values))).pixels, (Bytes{1, 255}));
  EXPECT_EQ(images(array(npy_of(">u2", "1, 1, 2", std::string("\0\7\0\10", 4)))).pixels,
            (Bytes{7, 8}));
  EXPECT_THAT(images_error(npy_of("|i1", "1, 1, 1", "\377")), HasSubstr("the value -1"));
  EXPECT_THAT(images_error(npy_of("<u2", "1, 1, 1", std::string("\0\1", 2))),
              HasSubstr("the value 256"));
  EXPECT_THAT(images_error(npy_of("|b1", "1, 1, 1", "\1")), HasSubstr("bool"));
}

TEST(NumpySet, Labels) {
  const NpyArray image = array(npy_of("|u1", "1, 1, 6", kSix));
  const auto error = [&](const std::string& text) {
    return message_of<Error>([&] { dataset_from_arrays(image, "I", array(text), "L", 10, false); });
  };
  EXPECT_EQ(error(npy_of("|u1", "1, 1", "\7")), "");
  EXPECT_THAT(error(npy_of("<i2", "1,", "\xff\xff")), HasSubstr("negative or above 65534"));
  EXPECT_THAT(error(npy_of("|i1", "1,", "\xff")), HasSubstr("negative"));
  EXPECT_THAT(error(npy_of("|u1", "1,", "\12")), HasSubstr("label 10 at index 0"));
  EXPECT_THAT(error(npy_of("<f4", "1,", "1234")), HasSubstr("expected integers"));
  EXPECT_THAT(error(npy_of("|u1", "2,", "\1\2")), HasSubstr("2 labels"));
  EXPECT_THAT(error(npy_of("|u1", "1, 2", "\1\2")), HasSubstr("expected [N]"));
}

TEST(NumpySet, FoldersAndSingleFiles) {
  const test::TemporaryFolder folder;
  const std::string pixels = npy_of("<f4", "1, 1, 2", test::floats({0.5f, 0.25f}));
  const std::string label = npy_of("|u1", "1,", "\3");
  test::write_bytes(folder.path("train.npz"),
                    test::zip_bytes({{"x.npy", pixels, true}, {"y.npy", label}}));
  test::write_bytes(folder.path("test-images.npy"), bytes_of(pixels));
  test::write_bytes(folder.path("test-labels.npy"), bytes_of(label));
  DataRequest request;
  request.dir = folder.path();
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }), HasSubstr("--round"));
  request.round_to_lattice = true;
  request.need_test = false;
  EXPECT_EQ(load_data(request).train.labels, std::vector<Label>{3});
  request = {};
  request.round_to_lattice = true;
  request.need_train = false;
  request.name = folder.path().string();
  const DataPair pair = load_data(request);
  EXPECT_TRUE(pair.test.rounded_to_lattice);
  EXPECT_THAT(pair.note, HasSubstr("rounded to multiples of 1/255"));

  const auto single = folder.path("own.npz");
  test::write_bytes(single, test::zip_bytes({{"x_train.npy", pixels},
                                             {"y_train.npy", label},
                                             {"x_test.npy", pixels},
                                             {"y_test.npy", label}}));
  request.need_train = true;
  request.name = single.string();
  EXPECT_EQ(load_data(request).test.name, "own");
  // MedMNIST's names.
  const std::string pixel = npy_of("|u1", "1, 1, 2", "\1\2");
  test::write_bytes(folder.path("path.npz"), test::zip_bytes({{"train_images.npy", pixel},
                                                              {"train_labels.npy", label},
                                                              {"val_images.npy", pixel},
                                                              {"val_labels.npy", label},
                                                              {"test_images.npy", pixel},
                                                              {"test_labels.npy", label}}));
  request.name = folder.path("path.npz").string();
  EXPECT_EQ(load_data(request).test.labels, std::vector<Label>{3});
  request.name = single.string();
  test::write_bytes(single, test::zip_bytes({{"x_train.npy", pixels}}));
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }),
              HasSubstr("expected arrays x_train and y_train"));
}

// What torchvision leaves on every disk.
TEST(Cifar, ReadsThePythonVersions) {
  const test::TemporaryFolder folder;
  const auto ten = folder.path("cifar-10-batches-py"), hundred = folder.path("cifar-100-python");
  std::filesystem::create_directories(ten);
  std::filesystem::create_directories(hundred);
  for (int i = 1; i <= 5; ++i)
    test::write_bytes(ten / ("data_batch_" + std::to_string(i)),
                      bytes_of(test::pickled_cifar_batch(2, "labels", i)));
  test::write_bytes(ten / "test_batch", bytes_of(test::pickled_cifar_batch(3, "labels", 9)));
  test::write_bytes(hundred / "train", bytes_of(test::pickled_cifar_batch(2, "fine_labels", 99)));
  test::write_bytes(hundred / "test", bytes_of(test::pickled_cifar_batch(1, "fine_labels", 98)));
  DataRequest request;
  request.name = "cifar10";
  request.dir = folder.path();
  const DataPair pair = load_data(request);
  EXPECT_EQ(pair.train.labels, (std::vector<Label>{1, 1, 2, 2, 3, 3, 4, 4, 5, 5}));
  EXPECT_EQ(pair.test.size(), 3u);
  EXPECT_EQ(pair.test.image(2)[3071], 3);
  request.name = "cifar100";
  EXPECT_EQ(load_data(request).train.labels, (std::vector<Label>{99, 99}));
  request.name = ten.string();
  request.dir.clear();
  EXPECT_EQ(load_data(request).test.labels, (std::vector<Label>{9, 9, 9}));
  const std::string whole = test::pickled_cifar_batch(1, "labels", 3);
  const auto error = [&](const std::string& batch) {
    LabelledImages images{3, 32, 32, 0, {}, "I", {}, "I"};
    return message_of<Error>([&] { append_cifar_python(images, bytes_of(batch), 10, "I"); });
  };
  EXPECT_EQ(error(whole), "");
  EXPECT_THAT(error(test::pickled_cifar_batch(1, "fine_labels", 3)), HasSubstr("expected a dict"));
  EXPECT_THAT(error(test::pickled_cifar_batch(1, "labels", 10)),
              HasSubstr("a label that is not 0 to 9"));
  EXPECT_THAT(error(test::pickled(test::pickled_dict(
                  {{"data", test::pickled_call("os", "system", "N")}, {"labels", "]"}}))),
              HasSubstr("expected a dict"));
  for (std::size_t size = 0; size < whole.size(); size += 5)
    EXPECT_NE(error(whole.substr(0, size)), "") << size;
}

TEST(Cifar, ReadsBothBinaryVersions) {
  const test::TemporaryFolder folder;
  const auto record = [](int labels, int n) {
    Bytes bytes;
    for (int i = 0; i < labels; ++i) bytes.push_back(static_cast<Label>(n + i));
    for (int i = 0; i < 3072; ++i) bytes.push_back(static_cast<std::uint8_t>(i / 12 + n));
    return bytes;
  };
  const auto ten = folder.path("cifar-10-batches-bin"), hundred = folder.path("cifar-100-binary");
  std::filesystem::create_directories(ten);
  std::filesystem::create_directories(hundred);
  for (int i = 1; i <= 5; ++i)
    test::write_bytes(ten / ("data_batch_" + std::to_string(i) + ".bin"), record(1, i));
  test::write_bytes(ten / "test_batch.bin", record(1, 9));
  test::write_bytes(hundred / "train.bin", record(2, 40));
  test::write_bytes(hundred / "test.bin", record(2, 50));
  DataRequest request;
  request.dir = folder.path();
  request.name = "cifar10";
  DataPair pair = load_data(request);
  EXPECT_EQ(pair.train.labels, (std::vector<Label>{1, 2, 3, 4, 5}));
  EXPECT_EQ(pair.test.labels, std::vector<Label>{9});
  EXPECT_EQ(pair.test.shape, (ImageShape{3, 32, 32}));
  EXPECT_EQ(pair.train.image(2)[12], 4);
  request.name = "cifar100";
  pair = load_data(request);
  EXPECT_EQ(pair.test.labels, std::vector<Label>{51});  // the fine label
  EXPECT_EQ(pair.test.classes, 100);
  request.dir = ten;
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }), HasSubstr("train.bin, test.bin"));
  request.name = "";
  std::filesystem::remove(ten / "data_batch_3.bin");
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }), HasSubstr("data_batch_3.bin"));
  Bytes cut = record(1, 9);
  cut.pop_back();
  test::write_bytes(ten / "test_batch.bin", cut);
  request.need_train = false;
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }),
              HasSubstr("no whole number of CIFAR-10 records"));
}

}  // namespace
}  // namespace smoothcert
