// Names of models and of files made from them.
#include "util/model_name.hpp"

#include <gtest/gtest.h>

namespace smoothcert {
namespace {

TEST(ModelName, IsTheFilesWithoutItsEndings) {
  EXPECT_EQ(model_name("a/smoothing.safetensors"), "smoothing");
  EXPECT_EQ(model_name("noise_0.50.pth.tar"), "noise_0.50");
  EXPECT_EQ(model_name("resnet20"), "resnet20");
  EXPECT_EQ(model_name("m/noise_0.25/checkpoint.pth.tar"), "noise_0.25-checkpoint");
  EXPECT_EQ(model_name(".pt"), ".pt");
}

TEST(ModelName, ThreeCheckpointsAreToldApart) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(model_names({"r/noise_0.25/checkpoint.pth.tar", "r/noise_0.50/checkpoint.pth.tar",
                         "r/noise_1.00/checkpoint.pth.tar"}),
            (Names{"noise_0.25-checkpoint", "noise_0.50-checkpoint", "noise_1.00-checkpoint"}));
  EXPECT_EQ(model_names({"a/x/net.pt", "b/x/net.pt", "c.pt"}), (Names{"a-x-net", "b-x-net", "c"}));
  EXPECT_EQ(model_names({"a/one.pt", "b/one.safetensors", "two.pt"}),
            (Names{"a-one", "b-one", "two"}));
  const auto same = model_names({"a/one.pt", "a/one.pt"});
  EXPECT_EQ(same[0], same[1]);
  EXPECT_NE(model_names({"a/one.pt", "a/one.safetensors"}), (Names{}));
}

TEST(SafeFileName, HoldsWhatEverySystemTakes) {
  EXPECT_EQ(safe_file_name("macer, σ = 0.5 & more/../x"), "macer_0.5_more_.._x");
  EXPECT_EQ(safe_file_name("gaussian-0.50_v2"), "gaussian-0.50_v2");
  EXPECT_EQ(safe_file_name("../etc"), "_._etc");
  EXPECT_EQ(safe_file_name(""), "_");
  EXPECT_EQ(safe_file_name("-rf"), "_rf");
  EXPECT_EQ(safe_file_name(std::string(500, 'a')).size(), 120u);
}

}  // namespace
}  // namespace smoothcert
