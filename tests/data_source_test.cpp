// Where images come from: the order of places, and what is said about it.
#include "smoothcert/data_source.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data_support.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::ScopedEnvironment;
using test::write_tiny_mnist;
using ::testing::AllOf;
using ::testing::HasSubstr;

/// No environment of the machine reaches these tests.
class DataSource : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  fs::path cache_ = folder_.path() / "cache";
  ScopedEnvironment no_data_{"SMOOTHCERT_DATA", std::nullopt};
  ScopedEnvironment xdg_{"XDG_CACHE_HOME", cache_.string()};

  static DataRequest offline(std::string name = "") {
    DataRequest request;
    request.name = std::move(name);
    request.allow_download = false;
    return request;
  }
};

TEST_F(DataSource, FindsTheFolderThenTheEnvironmentThenTheCache) {
  write_tiny_mnist(cache_ / "smoothcert" / "mnist", 3, 2);
  EXPECT_EQ(load_data(offline()).train.size(), 3u);

  const fs::path environment = folder_.path() / "environment";
  write_tiny_mnist(environment, 5, 2, true);
  const ScopedEnvironment set("SMOOTHCERT_DATA", environment.string());
  EXPECT_EQ(load_data(offline()).train.size(), 5u);

  const fs::path given = folder_.path() / "given";
  write_tiny_mnist(given, 7, 2);
  DataRequest request = offline();
  request.dir = given;
  const DataPair pair = load_data(request);
  EXPECT_EQ(pair.train.size(), 7u);
  EXPECT_EQ(pair.train.split, "train");
  EXPECT_EQ(pair.test.split, "test");
  EXPECT_EQ(pair.test.origin, given.string());
}

TEST_F(DataSource, SaysWhichPlacesItPassedOver) {
  write_tiny_mnist(cache_ / "smoothcert" / "mnist");
  fs::create_directories(folder_.path() / "empty");
  const ScopedEnvironment set("SMOOTHCERT_DATA", (folder_.path() / "empty").string());
  std::vector<std::string> said;
  DataRequest request = offline();
  request.say = [&](std::string_view line) { said.emplace_back(line); };
  const DataPair pair = load_data(request);
  EXPECT_EQ(pair.note, said.at(0) + "\n" + said.at(1));
  EXPECT_THAT(said[0], AllOf(HasSubstr("$SMOOTHCERT_DATA"), HasSubstr("has no mnist")));
  EXPECT_THAT(said[1], AllOf(HasSubstr("data: mnist from"), HasSubstr("6 training and 4 test")));
}

TEST_F(DataSource, AGivenFolderIsTheOnlyPlace) {
  write_tiny_mnist(cache_ / "smoothcert" / "mnist");
  DataRequest request = offline();
  request.dir = folder_.path() / "absent";
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }), HasSubstr("no such folder"));
  fs::create_directories(request.dir);
  EXPECT_THAT(message_of<Error>([&] { load_data(request); }),
              AllOf(HasSubstr(request.dir.string()), HasSubstr("train-images-idx3-ubyte")));
}

TEST_F(DataSource, ANameMayBeAFolder) {
  const fs::path given = folder_.path() / "letters";
  write_tiny_mnist(given, 7, 2);
  const DataPair pair = load_data(offline(given.string()));
  EXPECT_EQ(pair.train.size(), 7u);
  EXPECT_EQ(pair.train.name, "letters");
}

TEST_F(DataSource, KnowsTheSpellings) {
  const fs::path dir = folder_.path() / "MNIST" / "raw";
  write_tiny_mnist(dir);
  for (const char* stem : {"train", "t10k"}) {
    fs::rename(dir / (std::string(stem) + "-images-idx3-ubyte"),
               dir / (std::string(stem) + "-images.idx3-ubyte"));
  }
  DataRequest request = offline("mnist");
  request.dir = folder_.path();
  EXPECT_EQ(load_data(request).train.size(), 6u);
}

TEST_F(DataSource, OneSplitIsEnoughWhereOneIsNeeded) {
  write_tiny_mnist(folder_.path());
  for (const char* kind : {"images-idx3", "labels-idx1"})
    fs::remove(folder_.path() / (std::string("train-") + kind + "-ubyte"));
  DataRequest request = offline();
  request.dir = folder_.path();
  EXPECT_THROW(load_data(request), Error);
  request.need_train = false;
  EXPECT_EQ(load_data(request).test.size(), 4u);
  EXPECT_EQ(load_data(request).train.size(), 0u);
  request.need_test = false;
  EXPECT_THROW(load_data(request), UsageError);
}

TEST_F(DataSource, DamagedFilesAreNotPassedOver) {
  write_tiny_mnist(cache_ / "smoothcert" / "mnist");
  const fs::path environment = folder_.path() / "environment";
  write_tiny_mnist(environment);
  test::write_bytes(environment / "t10k-labels-idx1-ubyte", test::Bytes{0, 0, 8, 1});
  const ScopedEnvironment set("SMOOTHCERT_DATA", environment.string());
  EXPECT_THAT(message_of<Error>([&] { load_data(offline()); }), HasSubstr("t10k-labels"));
}

TEST_F(DataSource, UnknownNamesAndMissingData) {
  EXPECT_THAT(message_of<UsageError>([&] { load_data(offline("mnits")); }),
              HasSubstr("did you mean 'mnist'"));
  EXPECT_THAT(message_of<Error>([&] { load_data(offline("fashion-mnist")); }),
              AllOf(HasSubstr("no data set 'fashion-mnist'"),
                    HasSubstr("$SMOOTHCERT_DATA is not set"), HasSubstr(cache_.string())));
}

TEST_F(DataSource, RealMnist) {
  const auto folder = test::mnist_folder();
  if (!folder) GTEST_SKIP() << "no MNIST in $SMOOTHCERT_DATA or ../shared/data/mnist";
  DataRequest request = offline();
  request.dir = *folder;
  const DataPair pair = load_data(request);
  EXPECT_EQ(pair.train.size(), 60000u);
  EXPECT_EQ(pair.test.size(), 10000u);
  EXPECT_EQ(pair.test.shape, (ImageShape{1, 28, 28}));
  EXPECT_EQ(pair.test.labels[0], 7);
  EXPECT_EQ(std::count(pair.test.labels.begin(), pair.test.labels.end(), 8), 974);
}

}  // namespace
}  // namespace smoothcert
