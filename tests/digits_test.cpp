// The built-in data set: reproducible, well framed, learnable, and never taken for MNIST.
#include "data/digits.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "data_support.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(Digits, AreTheSameEverywhere) {
  // Golden: changes only where the drawing is changed on purpose.
  const DataPair pair = draw_digits(0, 10000, 2000);
  EXPECT_EQ(pair.train.sha256, "c66b6f36aa13619205f6f234af597eb7ce65274b59e17267817e2e6f29dfe52b");
  EXPECT_EQ(pair.test.sha256, "99777cb3ee57b2eebce5799e981eee0fbc2cdff9d77e3d0a2f06c52300a79845");
  EXPECT_EQ(pair.train.shape, (ImageShape{1, 28, 28}));
  EXPECT_EQ(pair.train.classes, 10);
}

TEST(Digits, AnImageDependsOnItsIndexSplitAndSeedOnly) {
  const DataPair few = draw_digits(5, 3, 3), many = draw_digits(5, 9, 3),
                 other = draw_digits(6, 3, 3);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::ranges::equal(few.train.image(i), many.train.image(i)));
    EXPECT_FALSE(std::ranges::equal(few.train.image(i), few.test.image(i)));
    EXPECT_FALSE(std::ranges::equal(few.train.image(i), other.train.image(i)));
  }
}

TEST(Digits, AreFramedAsMnistIs) {
  const DataPair pair = draw_digits(1, 2000, 1);
  std::array<int, 10> count{};
  for (std::size_t i = 0; i < pair.train.size(); ++i) {
    ++count[pair.train.labels[i]];
    const auto image = pair.train.image(i);
    const long total = std::accumulate(image.begin(), image.end(), 0L);
    EXPECT_GT(total, 255 * 20) << i;
    EXPECT_LT(total, 255 * 300) << i;
    EXPECT_GE(*std::max_element(image.begin(), image.end()), 200) << i;
    double x = 0, y = 0;
    for (int p = 0; p < 784; ++p) {
      x += image[static_cast<std::size_t>(p)] * (p % 28);
      y += image[static_cast<std::size_t>(p)] * (p / 28);
    }
    EXPECT_NEAR(x / static_cast<double>(total), 13.5, 2.5) << i;
    EXPECT_NEAR(y / static_cast<double>(total), 13.5, 2.5) << i;
  }
  for (int digit = 0; digit < 10; ++digit)
    EXPECT_NEAR(count[static_cast<std::size_t>(digit)], 200, 60);
}

TEST(Digits, LabelsBelongToTheirImages) {
  // One nearest neighbour in pixel space; wrong labels or unreadable images would end near 10 %.
  const DataPair pair = draw_digits(2, 1500, 150);
  int right = 0;
  for (std::size_t i = 0; i < pair.test.size(); ++i) {
    const auto image = pair.test.image(i);
    long best = -1;
    int label = -1;
    for (std::size_t j = 0; j < pair.train.size(); ++j) {
      const auto other = pair.train.image(j);
      long distance = 0;
      for (std::size_t p = 0; p < image.size(); ++p) {
        const long d = long{image[p]} - other[p];
        distance += d * d;
      }
      if (best < 0 || distance < best) {
        best = distance;
        label = pair.train.labels[j];
      }
    }
    right += label == pair.test.labels[i];
  }
  EXPECT_GE(right, 138);  // 92 %
}

class DigitsAsData : public ::testing::Test {
 protected:
  test::TemporaryFolder folder_;
  test::ScopedEnvironment no_data_{"SMOOTHCERT_DATA", std::nullopt};
  test::ScopedEnvironment cache_{"XDG_CACHE_HOME", folder_.path("cache").string()};

  static DataRequest small(std::string name) {
    DataRequest request;
    request.name = std::move(name);
    request.allow_download = false;
    request.digits_train = 4;
    request.digits_test = 3;
    return request;
  }
};

TEST_F(DigitsAsData, OnRequest) {
  const DataPair pair = load_data(small("digits"));
  EXPECT_EQ(pair.train.size(), 4u);
  EXPECT_EQ(pair.test.name, "digits");
  EXPECT_FALSE(pair.stand_in);
  EXPECT_THAT(pair.note, AllOf(HasSubstr("data: digits"), HasSubstr("drawn by the program")));
  DataRequest contradiction = small("digits");
  contradiction.dir = folder_.path();
  EXPECT_THROW(load_data(contradiction), UsageError);
}

TEST_F(DigitsAsData, StandInOnlyWhereNothingWasAskedFor) {
  DataRequest request = small("");
  EXPECT_THROW(load_data(request), Error) << "a caller has to allow it";
  request.allow_digits = true;
  const DataPair pair = load_data(request);
  EXPECT_TRUE(pair.stand_in);
  EXPECT_EQ(pair.train.name, "digits");
  EXPECT_THAT(pair.note, HasSubstr("WARNING"));
  EXPECT_THAT(pair.note, HasSubstr("not MNIST's"));

  request.explicitly_requested = true;
  EXPECT_THROW(load_data(request), Error);
  request = small("mnist");
  request.allow_digits = true;
  EXPECT_THROW(load_data(request), Error);
  request = small("");
  request.allow_digits = true;
  request.dir = folder_.path();
  EXPECT_THROW(load_data(request), Error);
}

}  // namespace
}  // namespace smoothcert
