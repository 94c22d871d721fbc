// Layers that training runs in one kernel give the bits of those they stand for.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>

#include "cuda/train/launch_train.hpp"
#include "gpu/slices.hpp"
#include "kernel_support.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::random_floats;
using simt_test::Shape;

constexpr std::uint32_t kImages = 3;
const std::vector<float> kBias{0.25f, -0.5f, 0.0f};

/// Values on a grid, with ties, zeros and a NaN.
std::vector<float> values(std::size_t count) {
  std::vector<float> in = random_floats(count, -1, 1, 3);
  for (float& v : in) v = std::round(v * 4) / 4;
  in[count / 2] = NAN;
  return in;
}

void expect_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!std::isnan(a[i]) || !std::isnan(b[i])) {
      ASSERT_EQ(a[i], b[i]) << i;
    }
  }
}

void for_shapes(const std::function<void()>& body) {
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    body();
  }
}

TEST(JoinedLayers, BiasAndRelu) {
  const ActivationShape shape{3, 2, 5};
  const std::size_t count = shape.size() * kImages;
  const std::vector<float> in = values(count);
  for_shapes([&] {
    std::vector<float> apart = in, expected(count), got(count);
    add_bias(nullptr, kBias.data(), shape, kImages, apart.data());
    relu(nullptr, apart.data(), count, expected.data());
    bias_relu(nullptr, in.data(), kBias.data(), shape, kImages, got.data());
    expect_bits(got, expected);
  });
}

TEST(JoinedLayers, BiasReluAndPoolingForwardAndBackward) {
  for (const Pooling& p :
       {Pooling{{3, 6, 8}, {3, 3, 4}, 2, 2, 0}, Pooling{{3, 7, 6}, {3, 4, 3}, 3, 2, 1}}) {
    const std::size_t in_count = p.in.size() * kImages, out_count = p.out.size() * kImages;
    const std::vector<float> in = values(in_count), gradient = random_floats(out_count, -1, 1, 4);
    for (const bool with_bias : {true, false}) {
      for_shapes([&] {
        std::vector<float> apart = in, middle(in_count), expected(out_count), got(out_count);
        std::vector<int> winner(out_count), same(out_count);
        if (with_bias) add_bias(nullptr, kBias.data(), p.in, kImages, apart.data());
        relu(nullptr, apart.data(), in_count, middle.data());
        maxpool(nullptr, p, kImages, middle.data(), expected.data(), winner.data());
        relu_maxpool(nullptr, p, kImages, in.data(), with_bias ? kBias.data() : nullptr, got.data(),
                     same.data());
        expect_bits(got, expected);
        EXPECT_EQ(same, winner);
        for (const bool add : {false, true}) {
          std::vector<float> at_relu(in_count), below(in_count, 0.5f), joined(in_count, 0.5f);
          maxpool_backward(nullptr, p, kImages, winner.data(), nullptr, gradient.data(), false,
                           at_relu.data());
          relu_backward(nullptr, middle.data(), at_relu.data(), in_count, add, below.data());
          maxpool_backward(nullptr, p, kImages, same.data(), got.data(), gradient.data(), add,
                           joined.data());
          expect_bits(joined, below);
        }
      });
    }
  }
}

TEST(JoinedLayers, ReluAndBatchNormBackward) {
  TrainLayer layer;
  layer.kind = LayerKind::batchnorm;
  layer.in_shape = layer.out_shape = {3, 4, 5};
  layer.eps = 1e-3f;
  layer.momentum = 0.1f;
  const std::size_t count = layer.in_shape.size() * kImages;
  const std::vector<float> below = random_floats(count, -1, 1, 5),
                           gradient = random_floats(count, -1, 1, 6), gamma{1.5f, -0.5f, 1.0f},
                           beta(3, 0.1f);
  for (const ForwardMode mode : {ForwardMode::train, ForwardMode::eval}) {
    for_shapes([&] {
      std::vector<float> in(count), out(count), saved(6), statistics{0, 0, 0, 1, 1, 1};
      std::vector<float> scratch(2 * 3 * slice_count(kImages * 20));
      relu(nullptr, below.data(), count, in.data());
      batchnorm(nullptr, layer, mode, kImages, in.data(), gamma.data(), beta.data(),
                statistics.data(), saved.data(), scratch.data(), out.data());
      std::vector<float> dgamma(3), dbeta(3), at_relu(count), expected(count), got(count);
      batchnorm_backward(nullptr, layer, mode, kImages, in.data(), gamma.data(), saved.data(),
                         gradient.data(), scratch.data(), dgamma.data(), dbeta.data(), false,
                         at_relu.data(), false, false);
      relu_backward(nullptr, in.data(), at_relu.data(), count, false, expected.data());
      std::vector<float> dgamma2(3), dbeta2(3);
      batchnorm_backward(nullptr, layer, mode, kImages, in.data(), gamma.data(), saved.data(),
                         gradient.data(), scratch.data(), dgamma2.data(), dbeta2.data(), false,
                         got.data(), false, true);
      expect_bits(got, expected);
      EXPECT_EQ(dgamma2, dgamma);
      EXPECT_EQ(dbeta2, dbeta);
    });
  }
}

/// Few values are summed by one block, straight into the gradient; many in slices.
TEST(JoinedLayers, BiasGradientsOfFewAndOfManyValues) {
  for (const std::uint32_t images : {3u, 70u}) {
    const ActivationShape shape{2, 12, 12};
    const std::vector<float> gradient = random_floats(shape.size() * images, -1, 1, 7);
    std::vector<double> sums(2);
    for (std::size_t i = 0; i < gradient.size(); ++i) sums[i / 144 % 2] += gradient[i];
    for_shapes([&] {
      std::vector<float> scratch(2 * kMaxSlices, NAN), got{9.0f, 9.0f};
      bias_gradient(nullptr, gradient.data(), shape, images, false, scratch.data(), got.data());
      for (std::size_t c = 0; c < 2; ++c) EXPECT_NEAR(got[c], sums[c], 1e-3);
      bias_gradient(nullptr, gradient.data(), shape, images, true, scratch.data(), got.data());
      for (std::size_t c = 0; c < 2; ++c) EXPECT_NEAR(got[c], 2 * sums[c], 2e-3);
      EXPECT_EQ(std::isnan(scratch[0]), images == 3);
    });
  }
}

}  // namespace
}  // namespace smoothcert::gpu
