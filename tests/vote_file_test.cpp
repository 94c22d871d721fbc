// Votes of other programs, as text.
#include "smoothcert/vote_file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "store_support.hpp"

namespace smoothcert {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class VoteFiles : public testing::Test {
 protected:
  VoteFile read(const std::string& text) {
    test::write_text(folder_.path("v"), text);
    return read_vote_file(folder_.path("v"));
  }
  std::string refused(const std::string& text) {
    return test::error_of([&] { read(text); });
  }
  test::TemporaryFolder folder_;
};

TEST_F(VoteFiles, SplitVotes) {
  const VoteFile file = read("idx,k,n\r\n7, 990 ,1000\r\n\r\n8,500,1000");
  ASSERT_EQ(file.rows.size(), 2u);
  EXPECT_FALSE(file.has_second);
  EXPECT_EQ(file.rows[0].cells, (std::vector<std::string>{"7", "990", "1000"}));
  EXPECT_EQ(file.rows[0].votes.a, 990u);
  EXPECT_EQ(file.rows[1].votes.n, 1000u);
  EXPECT_EQ(read("\xef\xbb\xbfk\tsecond\tn\n900\t90\t1000\n").rows[0].votes.second, 90u);
}

TEST_F(VoteFiles, CountsOfEveryClass) {
  const VoteFile file = read("counts\tselected\tinvalid\n[10,80,5]\t1\t5\n[60,40,0]\t1\t0\n");
  EXPECT_TRUE(file.has_second);
  EXPECT_EQ(file.rows[0].votes.a, 80u);
  EXPECT_EQ(file.rows[0].votes.second, 10u);
  EXPECT_EQ(file.rows[0].votes.n, 100u);
  EXPECT_EQ(file.rows[1].votes.a, 40u) << "the class selected, not the one with the most votes";
  EXPECT_EQ(file.rows[1].votes.second, 60u);
}

TEST_F(VoteFiles, RefusesWhatIsNoVotes) {
  EXPECT_THAT(refused(""), HasSubstr("line 1: no columns 'k' and 'n'"));
  EXPECT_THAT(refused("k,n\n"), HasSubstr("holds no votes"));
  EXPECT_THAT(refused("k,n\n1001,1000\n"), AllOf(HasSubstr("line 2"), HasSubstr("than samples")));
  EXPECT_THAT(refused("k,n,second\n900,1000,101\n"), HasSubstr("than samples"));
  EXPECT_THAT(refused("k,n\n-1,1000\n"), HasSubstr("k is '-1'"));
  EXPECT_THAT(refused("k,n\n1.5,1000\n"), HasSubstr("k is '1.5'"));
  EXPECT_THAT(refused("k,n\n1,4294967296\n"), HasSubstr("n is '4294967296'"));
  EXPECT_THAT(refused("k,n\n0,0\n"), HasSubstr("0 samples"));
  EXPECT_THAT(refused("k,n\n1\n"), HasSubstr("1 values under 2 columns"));
  EXPECT_THAT(refused("k,k,n\n1,1,2\n"), HasSubstr("two columns"));
  EXPECT_THAT(refused("counts\tselected\n[1,2\t0\n"), HasSubstr("line 2"));
  EXPECT_THAT(refused("counts\tselected\n[1,2]\t2\n"), HasSubstr("selected is 2"));
  EXPECT_THAT(refused("counts\tselected\n[18446744073709551615,1]\t1\n"), HasSubstr("line 2"));
}

}  // namespace
}  // namespace smoothcert
