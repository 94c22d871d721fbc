// The files of the smoothing literature, one command each: a checkpoint of PyTorch before 1.6 with
// DataParallel and an arch entry, CIFAR-10 as torchvision leaves it, certify, report.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "checkpoint_support.hpp"
#include "cli_support.hpp"
#include "data_support.hpp"
#include "layer_cases.hpp"
#include "places_support.hpp"
#include "smoothcert/network_file.hpp"

namespace smoothcert {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class CliLiterature : public testing::Test, public test::CliTest {
 protected:
  void SetUp() override {
    if (test::program().empty()) GTEST_SKIP() << "built without the program";
  }

  static std::vector<std::uint8_t> bytes_of(const std::string& text) {
    return {text.begin(), text.end()};
  }

  /// torch.save({'epoch', 'arch', 'state_dict', 'optimizer'}) of 2019: keys after `prefix`, the
  /// batch counters of BatchNorm, an optimiser whose buffers are tensors as well.
  void write_checkpoint(const Network& net, const std::string& prefix) const {
    std::vector<std::string> storages;
    const std::string state_dict = test::pickled_state_dict(net, prefix, storages);
    const std::string buffer =
        test::pickled_tensor({"FloatStorage", std::to_string(storages.size()), 2, 0, {2}, {1}});
    storages.push_back(test::floats({1, 2}));
    const std::string root =
        test::pickled_dict({{"epoch", test::pickled_int(90)},
                            {"arch", test::pickled_text("cifar_resnet20")},
                            {"state_dict", state_dict},
                            {"optimizer", test::pickled_dict({{"momentum_buffer", buffer}})}});
    test::write_bytes(path("checkpoint.pth.tar"),
                      test::legacy_checkpoint_bytes(test::pickled(root), storages));
  }

  void write_cifar() const {
    const auto folder = path("sets") / "cifar-10-batches-py";
    std::filesystem::create_directories(folder);
    for (int i = 1; i <= 5; ++i)
      test::write_bytes(folder / ("data_batch_" + std::to_string(i)),
                        bytes_of(test::pickled_cifar_batch(2, "labels", i)));
    test::write_bytes(folder / "test_batch", bytes_of(test::pickled_cifar_batch(6, "labels", 3)));
  }
};

TEST_F(CliLiterature, CertifiesACheckpointOf2019OnTorchvisionsCifar) {
  const Network net = formula_network(builtin_network("resnet20"));
  write_checkpoint(net, "1.module.");
  write_cifar();
  const test::Outcome certify =
      run("certify checkpoint.pth.tar --data sets --sigma 0.5 --n0 20 --n 64 --alpha 0.01 --store "
          "results.sqlite --skip 2");
  ASSERT_EQ(certify.code, 0) << certify.err;
  EXPECT_THAT(certify.err,
              AllOf(HasSubstr("arch 'cifar_resnet20' is network 'resnet20' with 10 classes"),
                    HasSubstr("0.4914,0.4822,0.4465"),
                    HasSubstr("clamping: none, as checkpoint.pth.tar does not say")));
  const auto exported = nlohmann::json::parse(ok("export results.sqlite --run 1 --json"));
  const auto& rows = exported.at("certificates");
  ASSERT_EQ(rows.size(), 3u);
  for (const auto& row : rows) EXPECT_EQ(row.at("label"), 3);
  ok("report results.sqlite --out report");
  std::ifstream page(path("report/report.html"));
  const std::string text{std::istreambuf_iterator<char>(page), {}};
  EXPECT_THAT(text, AllOf(HasSubstr("checkpoint"), HasSubstr("</html>")));

  // The file's network is that of the tensors it was written from, behind its normalisation.
  ok("convert checkpoint.pth.tar --out ours.safetensors");
  const Network ours = load_network(path("ours.safetensors"));
  EXPECT_EQ(ours.spec.layers.front().kind, LayerKind::normalize);
  EXPECT_EQ(ours.tensors.at("layer3.0.conv2.weight").data,
            net.tensors.at("layer3.0.conv2.weight").data);
}

TEST_F(CliLiterature, DataParallelAroundTheWholeModelIsTheSame) {
  write_checkpoint(formula_network(builtin_network("resnet20")), "module.1.");
  write_cifar();
  EXPECT_THAT(
      run("predict checkpoint.pth.tar --data sets --sigma 0.25 --n 64 --alpha 0.01 --max 1").err,
      HasSubstr("0.4914,0.4822,0.4465"));
}

}  // namespace
}  // namespace smoothcert
