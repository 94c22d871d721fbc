// Training kernels in the emulator, one by one, against plain loops.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "cuda/layers/layer_engine.hpp"
#include "cuda/train/launch_train.hpp"
#include "gpu/slices.hpp"
#include "kernel_support.hpp"
#include "mutation.hpp"
#include "reference_training.hpp"
#include "smoothcert/device/layers.hpp"
#include "smoothcert/device/losses.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/device/updates.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::random_bytes;
using simt_test::random_floats;
using simt_test::Shape;
using testing::Each;
using testing::FloatNear;
using testing::Pointwise;

struct Visits {
  std::vector<std::uint8_t> pixels = random_bytes(6 * 23, 5);
  std::vector<Label> labels{3, 1, 4, 1, 5, 9};
  std::vector<std::uint32_t> order{5, 0, 3, 2, 4, 1, 2};
  EpochState state{0x1122334455667788u, 1, 40};
  EpochData data{pixels.data(), labels.data(), order.data(), &state, 3, 23};
};

TEST(TrainKernels, GatherHasTheBitsOfTheLeaves) {
  const Visits v;
  for (const Shape& shape : simt_test::shapes()) {
    for (const float sigma : {0.0f, 0.8f}) {
      for (const bool clamp : {true, false}) {
        simt_test::use(shape);
        std::vector<float> images(4 * 23, -7.0f);
        std::vector<Label> labels(4, 77);
        std::vector<std::uint32_t> ids(4, 77);
        gather_batch(nullptr, v.data, sigma, clamp, 0, 3, images.data(), labels.data(), ids.data());
        EXPECT_THAT(ids, testing::ElementsAre(2, 4, 1, 77));
        EXPECT_THAT(labels, testing::ElementsAre(4, 5, 1, 77));
        for (std::uint32_t i = 0; i < 3; ++i) {
          for (std::uint32_t p = 0; p < 23; ++p) {
            const float x = static_cast<float>(v.pixels[ids[i] * 23 + p]) * device::kPixelScale;
            const float z = device::normal_at(
                v.state.seed, static_cast<std::uint32_t>(Purpose::train_noise), ids[i], 41, p);
            const float expected =
                sigma > 0 ? device::gaussian_pixel<device::ScalarMath>(x, sigma, z, clamp) : x;
            ASSERT_EQ(images[i * 23 + p], expected);
          }
        }
        for (std::size_t i = 3 * 23; i < images.size(); ++i) ASSERT_EQ(images[i], -7.0f);
      }
    }
  }
}

TEST(TrainKernels, GatherSplitsEachImageInOnePlace) {
  const Visits v;
  constexpr std::uint32_t kWidth = 300;
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    std::vector<float> images(4 * 23, -7.0f);
    std::vector<Label> labels(4, 77);
    std::vector<std::uint32_t> ids(4, 77);
    gather_batch(nullptr, v.data, 0.8f, true, kWidth, 3, images.data(), labels.data(), ids.data());
    for (std::uint32_t i = 0; i < 3; ++i) {
      const std::uint32_t split = device::training_split(v.state.seed, ids[i], 41, kWidth);
      for (std::uint32_t p = 0; p < 23; ++p)
        ASSERT_EQ(images[i * 23 + p],
                  device::split_input(device::split_code(
                      v.pixels[ids[i] * 23 + p], device::split_offset(v.state.seed, p, kWidth),
                      split, kWidth)));
    }
    for (std::size_t i = 3 * 23; i < images.size(); ++i) ASSERT_EQ(images[i], -7.0f);
  }
}

TEST(TrainKernels, LossesAreTheLeaves) {
  constexpr std::uint32_t kImages = 70;
  std::vector<float> logits = random_floats(kImages * 5, -3, 3, 8);
  logits[5 * 2 + 1] = NAN;
  const auto bytes = random_bytes(kImages, 3, 5);
  const std::vector<Label> labels(bytes.begin(), bytes.end());
  for (const Shape& shape : simt_test::shapes()) {
    for (const LossKind kind : {LossKind::cross_entropy, LossKind::margin}) {
      simt_test::use(shape);
      std::vector<float> gradient(kImages * 5);
      loss_and_gradient(nullptr, kind, logits.data(), labels.data(), kImages, 5, 0.25f,
                        gradient.data());
      for (std::size_t i = 0; i < kImages; ++i) {
        if (i == 2) continue;
        const simt_test::Values row(&logits[5 * i], &logits[5 * i] + 5);
        for (std::size_t c = 0; c < 5; ++c) {
          auto up = row, down = row;
          up[c] += 1e-5;
          down[c] -= 1e-5;
          const double slope = (simt_test::reference_loss(up, labels[i], kind) -
                                simt_test::reference_loss(down, labels[i], kind)) /
                               2e-5;
          ASSERT_NEAR(gradient[5 * i + c], 0.25 * slope, 1e-6);
        }
      }
    }
  }
}

bool training_loss_is_right() {
  constexpr std::uint32_t kImages = 150;
  std::vector<float> logits = random_floats(kImages * 5, -3, 3, 8);
  const auto bytes = random_bytes(kImages, 3, 5);
  const std::vector<Label> labels(bytes.begin(), bytes.end());
  double sum = 0, right = 0;
  for (std::size_t i = 0; i < kImages; ++i) {
    const simt_test::Values row(&logits[5 * i], &logits[5 * i] + 5);
    sum += simt_test::reference_loss(row, labels[i], LossKind::cross_entropy);
    right += std::max_element(row.begin(), row.end()) - row.begin() == labels[i];
  }
  EpochState state{0, 2, 0};
  std::vector<float> loss(4, 5.0f), accuracy(4, 5.0f), gradient(kImages * 5), expected = gradient;
  loss_and_gradient(nullptr, LossKind::cross_entropy, logits.data(), labels.data(), kImages, 5,
                    0.5f, expected.data());
  bool moves = true;
  for (const bool add : {false, true}) {
    training_loss(nullptr, logits.data(), labels.data(), kImages, 5, 0.5f, gradient.data(),
                  add ? 0.25f : 0.5f, add, add, &state, loss.data(), accuracy.data());
    moves = moves && state.step == (add ? 3u : 2u) && state.updating == (add ? 2u : 0u);
  }
  const auto near = [](double a, double b) { return std::abs(a - b) < 1e-5; };
  return moves && near(loss[2], 0.75 * sum / kImages) && near(accuracy[2], right / kImages) &&
         gradient == expected && loss[1] == 5.0f && loss[3] == 5.0f && accuracy[1] == 5.0f;
}

TEST(TrainKernels, StepsReportTheirMeans) {
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    EXPECT_TRUE(training_loss_is_right());
    // A NaN logit is wrong, and its loss is seen.
    const float logits[] = {1.0f, NAN, 2.0f, 1.0f};
    const Label labels[] = {0, 0};
    EpochState state{};
    float gradient[4], loss = 0, accuracy = 0;
    training_loss(nullptr, logits, labels, 2, 2, 1.0f, gradient, 1.0f, false, true, &state, &loss,
                  &accuracy);
    EXPECT_EQ(accuracy, 0.5f);
    EXPECT_TRUE(std::isnan(loss));
  }
}

bool optimisers_are_right() {
  constexpr std::size_t kCount = 131;
  const std::vector<float> gradient = random_floats(kCount, -1, 1, 1);
  std::vector<OptimizerStep> steps(3);
  steps[2].adam = {0.01f, 1.5f, 0.9f, 0.999f, 1e-8f, 0.1f};
  steps[2].sgd = {0.05f, 0.9f, 0.01f};
  const EpochState state{0, 1, 40, 2};
  std::vector<float> p = random_floats(kCount + 1, -1, 1, 2),
                     m = random_floats(kCount + 1, -1, 1, 3),
                     v = random_floats(kCount + 1, 0, 1, 4), q = p, b = m;
  auto p2 = p, m2 = m, v2 = v;
  for (std::size_t i = 0; i < kCount; ++i) {
    device::adam_update(steps[2].adam, gradient[i], p2[i], m2[i], v2[i]);
  }
  adam(nullptr, steps.data(), &state, kCount, gradient.data(), p.data(), m.data(), v.data());
  bool right = p == p2 && m == m2 && v == v2;
  auto q2 = q, b2 = b;
  for (std::size_t i = 0; i < kCount; ++i) {
    device::sgd_update(steps[2].sgd, gradient[i], q2[i], b2[i]);
  }
  sgd(nullptr, steps.data(), &state, kCount, gradient.data(), q.data(), b.data());
  return right && q == q2 && b == b2;
}

TEST(TrainKernels, OptimisersAreTheLeavesOfTheirStep) {
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    EXPECT_TRUE(optimisers_are_right());
  }
}

TEST(TrainKernels, AttackStepsOfEveryKind) {
  constexpr std::uint32_t kImages = 5, kSize = 75;
  std::vector<float> gradient = random_floats(kImages * kSize, -1e-12f, 1e-12f, 9);
  std::fill_n(gradient.begin() + kSize, kSize, 0.0f);           // image 1 stays where it is
  gradient[2 * kSize + 7] = gradient[2 * kSize + 60] = 5e-12f;  // a tie: the first one moves
  const std::vector<float> clean = random_floats(kImages * kSize, 0, 1, 10);
  const std::vector<float> start = random_floats(kImages * kSize, 0, 1, 11);
  for (const Shape& shape : simt_test::shapes()) {
    for (const AttackKind kind :
         {AttackKind::fgm_l1, AttackKind::fgm_l1_steepest, AttackKind::fgm_l2, AttackKind::fgm_linf,
          AttackKind::pgd_l2, AttackKind::pgd_linf}) {
      simt_test::use(shape);
      std::vector<float> x = start;
      attack_step(nullptr, kind, 0.4f, 0.3f, gradient.data(), clean.data(), kImages, kSize,
                  x.data());
      for (std::size_t i = 0; i < kImages; ++i) {
        const auto part = [&](const std::vector<float>& v) {
          return simt_test::Values(v.begin() + i * kSize, v.begin() + (i + 1) * kSize);
        };
        auto expected = part(start);
        simt_test::reference_attack_step(kind, part(gradient), 0.4f, 0.3f, part(clean), expected);
        EXPECT_THAT(part(x), Pointwise(testing::DoubleNear(1e-6), expected))
            << "kind " << static_cast<int>(kind) << " image " << i;
      }
    }
  }
}

TEST(TrainKernels, RandomStartsFillTheBall) {
  constexpr std::uint32_t kImages = 40, kSize = 22;
  const std::vector<float> clean(kImages * kSize, 0.5f);
  std::vector<std::uint32_t> ids(kImages);
  for (std::uint32_t i = 0; i < kImages; ++i) ids[i] = 1000 + i;
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    std::vector<float> l2(kImages * kSize), linf = l2, again = l2;
    random_start(nullptr, AttackKind::pgd_l2, 0.4f, 7, 3, nullptr, clean.data(), ids.data(),
                 kImages, kSize, l2.data());
    random_start(nullptr, AttackKind::pgd_linf, 0.4f, 7, 3, nullptr, clean.data(), ids.data(),
                 kImages, kSize, linf.data());
    int outer = 0;  // half of the volume lies beyond 0.5^(1/22) of the radius
    double largest = 0;
    for (std::size_t i = 0; i < kImages; ++i) {
      double sum = 0;
      for (std::size_t p = 0; p < kSize; ++p) {
        sum += std::pow(l2[i * kSize + p] - 0.5, 2);
        const double d = std::abs(linf[i * kSize + p] - 0.5);
        EXPECT_LE(d, 0.4 + 1e-6);
        largest = std::max(largest, d);
        // The counters: (group, sample, image, attack_start).
        const auto words = device::philox_at(7, 6, ids[i], 3, static_cast<std::uint32_t>(p / 4));
        EXPECT_FLOAT_EQ(linf[i * kSize + p],
                        0.5f + 0.4f * (2.0f * device::uniform01(words.v[p % 4]) - 1.0f));
      }
      EXPECT_LE(std::sqrt(sum), 0.4 + 1e-6);
      outer += std::sqrt(sum) > 0.4 * std::pow(0.5, 1.0 / 22) ? 1 : 0;
    }
    EXPECT_GT(largest, 0.39);
    EXPECT_GT(outer, 8);
    EXPECT_LT(outer, 32);
    const EpochState state{7, 1, 2};  // a training step: the same counters at its global step
    random_start(nullptr, AttackKind::pgd_l2, 0.4f, 99, 0, &state, clean.data(), ids.data(),
                 kImages, kSize, again.data());
    EXPECT_EQ(again, l2);
  }
}

/// Gradients that are added to what was there, and that are not.
template <class Run>
void expect_gradient(std::size_t count, const std::vector<double>& expected, double tolerance,
                     Run run) {
  for (const bool add : {false, true}) {
    std::vector<float> gradient(count + 3, 0.5f);
    run(add, gradient.data());
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_NEAR(gradient[i], expected[i] + (add ? 0.5 : 0.0), tolerance) << i << " add " << add;
    }
    for (std::size_t i = count; i < gradient.size(); ++i) ASSERT_EQ(gradient[i], 0.5f);
  }
}

/// A convolution in double and the derivatives of Σ out · out_gradient.
struct PlainConv {
  ConvShape s;
  std::vector<float> in, weights, bias, out_gradient;
  std::vector<double> out, in_gradient, weight_gradient, bias_gradient;

  explicit PlainConv(const ConvShape& shape) : s(shape) {
    const auto n = static_cast<std::size_t>(s.images);
    const auto is = static_cast<std::size_t>(s.in_channels * s.in_height * s.in_width);
    const auto os = static_cast<std::size_t>(s.out_channels * s.out_height * s.out_width);
    const auto ws = static_cast<std::size_t>(s.out_channels * s.in_channels * s.kernel * s.kernel);
    in = random_floats(n * is, -1, 1, 21);
    weights = random_floats(ws, -1, 1, 22);
    bias = random_floats(static_cast<std::size_t>(s.out_channels), -1, 1, 23);
    out_gradient = random_floats(n * os, -1, 1, 24);
    out.resize(n * os);
    in_gradient.resize(n * is);
    weight_gradient.resize(ws);
    bias_gradient.resize(bias.size());
    std::size_t at = 0;
    for (int i = 0; i < s.images; ++i)
      for (int o = 0; o < s.out_channels; ++o)
        for (int y = 0; y < s.out_height; ++y)
          for (int x = 0; x < s.out_width; ++x, ++at) {
            out[at] = bias[static_cast<std::size_t>(o)];
            bias_gradient[static_cast<std::size_t>(o)] += out_gradient[at];
            for (int c = 0; c < s.in_channels; ++c)
              for (int ky = 0; ky < s.kernel; ++ky)
                for (int kx = 0; kx < s.kernel; ++kx) {
                  const int iy = y * s.stride - s.padding + ky, ix = x * s.stride - s.padding + kx;
                  if (iy < 0 || ix < 0 || iy >= s.in_height || ix >= s.in_width) continue;
                  const auto a = static_cast<std::size_t>(
                      ((i * s.in_channels + c) * s.in_height + iy) * s.in_width + ix);
                  const auto w = static_cast<std::size_t>(
                      ((o * s.in_channels + c) * s.kernel + ky) * s.kernel + kx);
                  out[at] += double{in[a]} * weights[w];
                  in_gradient[a] += double{weights[w]} * out_gradient[at];
                  weight_gradient[w] += double{in[a]} * out_gradient[at];
                }
          }
  }
};

void check_engine(const PlainConv& c, bool linear) {
  const auto engine = make_direct_engine();
  LayerEngine& e = *engine;
  std::vector<float> scratch(scratch_floats(c.s), NAN);
  e.use_scratch(scratch.data());
  std::vector<float> out(c.out.size());
  (linear ? e.linear(nullptr, c.s, c.in.data(), c.weights.data(), c.bias.data(), out.data())
          : e.conv(nullptr, c.s, c.in.data(), c.weights.data(), c.bias.data(), out.data()));
  for (std::size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], c.out[i], 1e-5);
  expect_gradient(c.in.size(), c.in_gradient, 1e-5, [&](bool add, float* to) {
    linear ? e.linear_input_gradient(nullptr, c.s, c.out_gradient.data(), c.weights.data(), add, to)
           : e.conv_input_gradient(nullptr, c.s, c.out_gradient.data(), c.weights.data(), add, to);
  });
  expect_gradient(c.weights.size(), c.weight_gradient, 1e-4, [&](bool add, float* to) {
    linear ? e.linear_weight_gradient(nullptr, c.s, c.in.data(), c.out_gradient.data(), add, to,
                                      nullptr)
           : e.conv_weight_gradient(nullptr, c.s, c.in.data(), c.out_gradient.data(), add, to,
                                    nullptr);
  });
  expect_gradient(c.bias.size(), c.bias_gradient, 1e-4, [&](bool add, float* to) {
    std::vector<float> weights(c.weights.size());
    linear ? e.linear_weight_gradient(nullptr, c.s, c.in.data(), c.out_gradient.data(), add,
                                      weights.data(), to)
           : e.conv_weight_gradient(nullptr, c.s, c.in.data(), c.out_gradient.data(), add,
                                    weights.data(), to);
  });
}

TEST(TrainKernels, ConvolutionsForwardAndBackward) {
  const ConvShape shapes[] = {{3, 2, 7, 6, 3, 5, 4, 3, 1, 0}, {2, 1, 5, 5, 4, 5, 5, 3, 1, 1},
                              {2, 3, 9, 8, 2, 5, 4, 3, 2, 1}, {1, 2, 6, 6, 2, 2, 2, 2, 3, 0},
                              {2, 2, 8, 8, 2, 3, 3, 6, 1, 0},  // no kernel of its own
                              {2, 3, 4, 4, 2, 4, 4, 1, 1, 0}};
  for (const Shape& shape : simt_test::shapes()) {
    for (const ConvShape& s : shapes) {
      simt_test::use(shape);
      check_engine(PlainConv(s), false);
    }
    simt_test::use(shape);
    check_engine(PlainConv({5, 37, 1, 1, 3, 1, 1, 1, 1, 0}), true);
  }
}

TEST(TrainKernels, ConvolutionsOfSeveralSlices) {
  simt_test::use(simt_test::shapes()[1]);
  check_engine(PlainConv({4, 1, 27, 27, 1, 23, 23, 5, 1, 0}), false);
}

TEST(TrainKernels, PoolingForwardAndBackward) {
  for (const Pooling& p :
       {Pooling{{2, 6, 8}, {2, 3, 4}, 2, 2, 0}, Pooling{{3, 7, 6}, {3, 4, 3}, 3, 2, 1},
        Pooling{{1, 5, 5}, {1, 3, 3}, 3, 1, 0}, Pooling{{1, 7, 7}, {1, 3, 3}, 1, 3, 0}}) {
    for (const Shape& shape : simt_test::shapes()) {
      simt_test::use(shape);
      constexpr std::uint32_t kImages = 3;
      std::vector<float> in = random_floats(kImages * p.in.size(), -1, 1, 3);
      for (float& v : in) v = std::round(v * 3) / 3;  // ties
      const std::vector<float> out_gradient = random_floats(kImages * p.out.size(), -1, 1, 4);
      std::vector<double> expected(in.size());
      std::vector<float> expected_out;
      const auto planes = kImages * static_cast<std::size_t>(p.in.channels);
      for (std::size_t plane = 0; plane < planes; ++plane)
        for (int y = 0; y < p.out.height; ++y)
          for (int x = 0; x < p.out.width; ++x) {
            std::size_t best = 0;
            float top = -INFINITY;
            for (int ky = 0; ky < p.kernel; ++ky)
              for (int kx = 0; kx < p.kernel; ++kx) {
                const int iy = y * p.stride - p.padding + ky, ix = x * p.stride - p.padding + kx;
                if (iy < 0 || ix < 0 || iy >= p.in.height || ix >= p.in.width) continue;
                const auto at =
                    (plane * static_cast<std::size_t>(p.in.height) + static_cast<std::size_t>(iy)) *
                        static_cast<std::size_t>(p.in.width) +
                    static_cast<std::size_t>(ix);
                if (in[at] > top) top = in[at], best = at;
              }
            expected[best] += out_gradient[expected_out.size()];
            expected_out.push_back(top);
          }
      std::vector<float> out(expected_out.size());
      std::vector<int> winner(out.size());
      maxpool(nullptr, p, kImages, in.data(), out.data(), winner.data());
      EXPECT_EQ(out, expected_out);
      std::fill(out.begin(), out.end(), 0.0f);
      maxpool(nullptr, p, kImages, in.data(), out.data(), nullptr);
      EXPECT_EQ(out, expected_out);
      expect_gradient(in.size(), expected, 1e-6, [&](bool add, float* to) {
        maxpool_backward(nullptr, p, kImages, winner.data(), nullptr, out_gradient.data(), add, to);
      });
    }
  }
}

TEST(TrainKernels, ElementwiseLayersForwardAndBackward) {
  const ActivationShape shape{3, 2, 5};
  constexpr std::uint32_t kImages = 4;
  const std::size_t count = shape.size() * kImages;
  const std::vector<float> in = random_floats(count, -1, 1, 1),
                           grad = random_floats(count, -1, 1, 2);
  const std::vector<float> scale{0.5f, -2.0f, 3.0f}, shift{1.0f, 0.0f, -1.0f};
  for (const Shape& s : simt_test::shapes()) {
    simt_test::use(s);
    std::vector<float> out(count);
    relu(nullptr, in.data(), count, out.data());
    std::vector<double> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      ASSERT_EQ(out[i], std::max(in[i], 0.0f));
      expected[i] = in[i] > 0 ? grad[i] : 0.0;
    }
    expect_gradient(count, expected, 0, [&](bool a, float* to) {
      relu_backward(nullptr, out.data(), grad.data(), count, a, to);
    });
    affine(nullptr, in.data(), scale.data(), shift.data(), shape, kImages, out.data());
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t c = i / 10 % 3;
      ASSERT_EQ(out[i], std::fma(in[i], scale[c], shift[c]));
      expected[i] = grad[i] * scale[c];
    }
    expect_gradient(count, expected, 1e-6, [&](bool a, float* to) {
      affine_backward(nullptr, grad.data(), scale.data(), shape, kImages, a, to);
    });
    add(nullptr, in.data(), grad.data(), count, out.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], in[i] + grad[i]);
    expect_gradient(count, {grad.begin(), grad.end()}, 1e-6,
                    [&](bool a, float* to) { pass_gradient(nullptr, grad.data(), count, a, to); });
    std::vector<float> means(3 * kImages);
    average(nullptr, in.data(), shape, kImages, means.data());
    for (std::size_t i = 0; i < means.size(); ++i) {
      double sum = 0;
      for (std::size_t k = 0; k < 10; ++k) sum += in[10 * i + k];
      ASSERT_NEAR(means[i], sum / 10, 1e-6);
    }
    for (std::size_t i = 0; i < count; ++i) expected[i] = grad[i / 10] / 10;
    expect_gradient(count, expected, 1e-6, [&](bool a, float* to) {
      average_backward(nullptr, grad.data(), shape, kImages, a, to);
    });
    out = in;
    add_bias(nullptr, shift.data(), shape, kImages, out.data());
    for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(out[i], in[i] + shift[i / 10 % 3]);
    std::vector<float> a = in, b = grad;
    swap_values(nullptr, a.data(), b.data(), count);
    EXPECT_EQ(a, grad);
    EXPECT_EQ(b, in);
  }
}

TrainLayer norm_layer(int channels, int height, int width) {
  TrainLayer layer;
  layer.kind = LayerKind::batchnorm;
  layer.in_shape = layer.out_shape = {channels, height, width};
  layer.eps = 1e-3f;
  layer.momentum = 0.2f;
  return layer;
}

bool batchnorm_is_right(std::uint32_t kImages) {
  const TrainLayer layer = norm_layer(2, 5, 7);
  constexpr std::size_t kArea = 35, kSize = 70;
  const std::size_t kCount = kImages * kSize;
  std::vector<float> scratch(2 * 2 * slice_count(kImages * kArea), NAN);
  std::vector<float> in = random_floats(kCount, -1, 1, 31);
  for (std::size_t i = 0; i < kCount; ++i) in[i] = in[i] * 0.1f + (i / kArea % 2 ? 3.0f : -1.0f);
  const std::vector<float> grad = random_floats(kCount, -1, 1, 32), gamma{1.5f, -0.5f},
                           beta{0.1f, 0.2f};
  bool right = true;
  const auto near = [&](double a, double b, double tolerance) {
    right = right && std::abs(a - b) < tolerance;
  };
  for (const ForwardMode mode : {ForwardMode::train, ForwardMode::eval}) {
    const bool train = mode == ForwardMode::train;
    std::vector<float> statistics{0.5f, 0.6f, 2.0f, 3.0f}, saved(4, NAN), out(kCount, NAN);
    const auto before = statistics;
    batchnorm(nullptr, layer, mode, kImages, in.data(), gamma.data(), beta.data(),
              statistics.data(), saved.data(), scratch.data(), out.data());
    std::vector<float> dgamma(2, 9.0f), dbeta(2, 9.0f), dx(kCount, 0.5f);
    batchnorm_backward(nullptr, layer, mode, kImages, in.data(), gamma.data(), saved.data(),
                       grad.data(), scratch.data(), dgamma.data(), dbeta.data(), false, dx.data(),
                       true, false);
    batchnorm_backward(nullptr, layer, mode, kImages, in.data(), gamma.data(), saved.data(),
                       grad.data(), scratch.data(), dgamma.data(), dbeta.data(), true, nullptr,
                       false, false);
    for (std::size_t c = 0; c < 2; ++c) {
      std::vector<std::size_t> at;
      for (std::size_t i = 0; i < kCount; ++i) {
        if (i / kArea % 2 == c) at.push_back(i);
      }
      double mean = 0, var = 0;
      for (const auto i : at) mean += in[i];
      mean /= static_cast<double>(at.size());
      for (const auto i : at) var += std::pow(in[i] - mean, 2);
      const double unbiased = var / static_cast<double>(at.size() - 1);
      var /= static_cast<double>(at.size());
      near(statistics[c], train ? 0.8 * before[c] + 0.2 * mean : double{before[c]}, 1e-5);
      near(statistics[2 + c], train ? 0.8 * before[2 + c] + 0.2 * unbiased : double{before[2 + c]},
           1e-5);
      if (!train) mean = before[c], var = before[2 + c];
      const double scale = 1 / std::sqrt(var + 1e-3);
      double sum = 0, dot = 0;
      for (const auto i : at) {
        near(out[i], (in[i] - mean) * scale * gamma[c] + beta[c], 1e-4);
        sum += grad[i];
        dot += grad[i] * (in[i] - mean) * scale;
      }
      near(dbeta[c], 2 * sum, 1e-3);
      near(dgamma[c], 2 * dot, 1e-3);
      for (const auto i : at) {
        const double inner =
            train ? grad[i] - (sum + (in[i] - mean) * scale * dot) / static_cast<double>(at.size())
                  : double{grad[i]};
        near(dx[i], 0.5 + gamma[c] * scale * inner, 1e-4);
      }
    }
  }
  return right;
}

TEST(TrainKernels, BatchNormForwardAndBackward) {
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    EXPECT_TRUE(batchnorm_is_right(6));
    EXPECT_TRUE(batchnorm_is_right(61)) << "two slices";
  }
}

const simt::RegisterMutation kReport("training loss", [](auto& without, auto seed, auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, training_loss_is_right);
});
const simt::RegisterMutation kNorm("batchnorm", [](auto& without, auto seed, auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, [] { return batchnorm_is_right(6); });
});

bool linear_gradient_is_right() {
  const PlainConv c({9, 37, 1, 1, 2, 1, 1, 1, 1, 0});
  std::vector<float> gradient(c.weights.size());
  make_direct_engine()->linear_weight_gradient(nullptr, c.s, c.in.data(), c.out_gradient.data(),
                                               false, gradient.data(), nullptr);
  for (std::size_t i = 0; i < gradient.size(); ++i) {
    if (!(std::abs(gradient[i] - c.weight_gradient[i]) < 1e-4)) return false;
  }
  return true;
}

TEST(TrainKernels, LinearWeightGradient) {
  for (const Shape& shape : simt_test::shapes()) {
    simt_test::use(shape);
    EXPECT_TRUE(linear_gradient_is_right());
  }
}

const simt::RegisterMutation kLinear("linear", [](auto& without, auto seed, auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, linear_gradient_is_right);
});

}  // namespace
}  // namespace smoothcert::gpu
