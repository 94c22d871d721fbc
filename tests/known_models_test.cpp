// Checkpoints of the field: their arch entry chooses the network, the data set or that entry the
// normalisation, and a line says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint_support.hpp"
#include "layer_cases.hpp"
#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// As torch.save({'arch': …, 'state_dict': …}) of nn.Sequential(NormalizeLayer, network).
std::vector<std::uint8_t> checkpoint_of(const Network& net, const std::string& prefix,
                                        const std::string& arch) {
  std::vector<std::string> storages;
  const std::string state_dict = test::pickled_state_dict(net, prefix, storages);
  std::vector<std::pair<std::string, std::string>> root{{"state_dict", state_dict}};
  if (!arch.empty()) root.emplace_back("arch", test::pickled_text(arch));
  return test::checkpoint_bytes(test::pickled(test::pickled_dict(root)), storages);
}

class KnownModels : public testing::Test {
 protected:
  std::filesystem::path write(const Network& net, const std::string& prefix,
                              const std::string& arch) {
    const auto path =
        std::filesystem::path(testing::TempDir()) /
        (std::string(testing::UnitTest::GetInstance()->current_test_info()->name()) + ".pth.tar");
    const auto bytes = checkpoint_of(net, prefix, arch);
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
    return path;
  }
  std::vector<std::string> notes;
};

TEST_F(KnownModels, ArchChoosesNetworkAndNormalisation) {
  const Network net = formula_network(builtin_network("resnet20"));
  const auto file = write(net, "module.1.", "cifar_resnet20");
  const Network loaded = load_model(file, "", &notes);
  EXPECT_EQ(loaded.spec.name, "resnet20");
  EXPECT_EQ(loaded.tensors.size(), net.tensors.size());
  EXPECT_EQ(loaded.tensors.at("layer2.0.downsample.0.weight").data,
            net.tensors.at("layer2.0.downsample.0.weight").data);
  ASSERT_EQ(loaded.spec.layers.front().kind, LayerKind::normalize);
  EXPECT_THAT(loaded.spec.layers.front().mean, ElementsAre(0.4914f, 0.4822f, 0.4465f));
  EXPECT_THAT(loaded.spec.layers.front().stddev, ElementsAre(0.2023f, 0.1994f, 0.2010f));
  EXPECT_THAT(notes, testing::Contains(AllOf(HasSubstr("arch 'cifar_resnet20'"),
                                             HasSubstr("network 'resnet20' with 10 classes"))));
  EXPECT_THAT(notes, testing::Contains(AllOf(HasSubstr("0.4914,0.4822,0.4465"),
                                             HasSubstr("usual for CIFAR-10"),
                                             HasSubstr("chosen by its arch"))));
}

TEST_F(KnownModels, DataSetComesBeforeArch) {
  const auto file = write(formula_network(builtin_network("resnet20")), "1.", "cifar_resnet20");
  const Network loaded = load_model(file, "resnet20", &notes, "cifar100");
  EXPECT_THAT(loaded.spec.layers.front().mean, ElementsAre(0.5071f, 0.4867f, 0.4408f));
  EXPECT_THAT(notes, testing::Contains(AllOf(HasSubstr("CIFAR-100"), HasSubstr("the data set"))));
}

TEST_F(KnownModels, OneChannelForThreeIsRefused) {
  const auto file = write(formula_network(builtin_network("lenet")), "1.", "");
  EXPECT_EQ(load_model(file, "lenet", &notes, "mnist").spec.layers.size(),
            builtin_network("lenet").layers.size());
  EXPECT_THAT(notes, testing::Contains(HasSubstr("no normalisation")));
  try {
    load_model(file, "lenet", nullptr, "cifar10");
    ADD_FAILURE();
  } catch (const UsageError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("3 channels"), HasSubstr("--normalize")));
  }
}

/// MACER's are the bare network on images as they are; nothing is put in front of those.
TEST_F(KnownModels, NamesWithoutANormalisationGetNone) {
  const auto file = write(formula_network(builtin_network("resnet20")), "module.", "");
  const Network loaded = load_model(file, "resnet20", &notes, "cifar10");
  EXPECT_EQ(loaded.spec.layers.front().kind, LayerKind::conv2d);
}

TEST_F(KnownModels, HundredClassesAndUnknownEntries) {
  NetworkSpec spec = builtin_network("resnet20");
  spec.classes = spec.layers.back().out_channels = 100;
  const Network net = formula_network(spec);
  EXPECT_EQ(load_model(write(net, "1.", "cifar100_resnet20"), "", &notes).spec.classes, 100);
  try {
    load_model(write(net, "1.", "cifar_resnet21"), "");
    ADD_FAILURE();
  } catch (const UsageError& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("cifar_resnet20"), HasSubstr("--network")));
  }
}

}  // namespace
}  // namespace smoothcert
