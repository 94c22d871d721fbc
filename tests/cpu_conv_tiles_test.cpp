// Convolutions on a CPU in every shape that their tiles distinguish: widths and strips that leave
// columns over, borders, strides, blocks of channels, residuals in place.
#include <gtest/gtest.h>

#include <cmath>

#include "cpu/forward.hpp"
#include "cpu_engine_support.hpp"
#include "layer_cases.hpp"

namespace smoothcert::cpu {
namespace {

std::string conv_json(const std::string& name, int channels, int kernel, int stride, int padding,
                      const std::string& input) {
  return R"({"op":"conv2d","name":")" + name + R"(","out_channels":)" + std::to_string(channels) +
         R"(,"kernel":)" + std::to_string(kernel) + R"(,"stride":)" + std::to_string(stride) +
         R"(,"padding":)" + std::to_string(padding) + R"(,"inputs":[")" + input + R"("]})";
}

class ConvTilesOnIsa : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (GetParam() > detected_isa()) GTEST_SKIP() << "this machine lacks " << isa_name(GetParam());
    isa_.emplace(GetParam());
  }
  /// A convolution with BatchNorm, a residual and a relu, then the head.
  void expect_reference(ImageShape input, int channels, int kernel, int stride, int padding) {
    const std::string layers =
        "[" + conv_json("a", channels, kernel, stride, padding, "input") + "," +
        R"({"op":"relu"},)" + conv_json("b", channels, kernel, stride, padding, "input") +
        R"(,{"op":"batchnorm","name":"n"},{"op":"add","inputs":["n","a"]},{"op":"relu"}])";
    SCOPED_TRACE(std::to_string(input.channels) + "x" + std::to_string(input.height) + "x" +
                 std::to_string(input.width) + " " + layers);
    const InferencePlan plan =
        make_inference_plan(formula_network(case_network({"tile", input, layers, 0})));
    std::vector<float> images;
    for (int i = 0; i < 2; ++i) {
      const auto image = formula_image(input, i);
      images.insert(images.end(), image.begin(), image.end());
    }
    ThreadPool pool(1);
    std::vector<float> logits(2 * static_cast<std::size_t>(plan.classes));
    forward(plan, pool, images, logits);
    for (std::size_t i = 0; i < 2; ++i) {
      const auto expected = reference_forward(
          plan, std::span(images).subspan(i * plan.input.size(), plan.input.size()));
      for (std::size_t c = 0; c < expected.size(); ++c)
        ASSERT_EQ(logits[i * expected.size() + c], expected[c]);
    }
  }
  std::optional<ForcedIsa> isa_;
};

TEST_P(ConvTilesOnIsa, HaveTheBitsOfTheReference) {
  int channels = 0;
  for (int width = 3; width <= 14; ++width)
    for (const int height : {3, 4})
      for (const int stride : {1, 2, 3})
        for (const int padding : {0, 1, 2}) {
          channels = channels % 13 + 1;
          expect_reference({2, height, width}, channels, 3, stride, padding);
        }
  for (const int size : {1, 2})
    for (int outputs = 1; outputs <= 7; ++outputs)
      expect_reference({3, size, size + outputs % 2}, outputs, 3, 1, 1);
}

TEST_P(ConvTilesOnIsa, OfOnePixelWindowsToo) {
  for (int width = 1; width <= 9; ++width)
    for (const int stride : {1, 2, 3}) expect_reference({5, 3, width}, 1 + width % 7, 1, stride, 0);
}

TEST_P(ConvTilesOnIsa, InStripsOfARow) {
  // So many channels that a row's inputs exceed what stays in the cache.
  expect_reference({300, 2, 13}, 2, 3, 1, 1);
  expect_reference({300, 2, 19}, 1, 3, 2, 1);
  expect_reference({700, 3, 11}, 2, 1, 1, 0);
  expect_reference({60, 5, 40}, 1, 5, 1, 2);
}

INSTANTIATE_TEST_SUITE_P(Isa, ConvTilesOnIsa,
                         testing::Values(Isa::baseline, Isa::avx2, Isa::avx512),
                         [](const auto& test) { return isa_name(test.param); });

}  // namespace
}  // namespace smoothcert::cpu
