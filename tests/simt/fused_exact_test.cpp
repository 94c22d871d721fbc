// The fused exact kernel in the emulator: votes equal to the reference's, for every network it
// takes, any block size and any cut of the batch.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "cpu/reference_forward.hpp"
#include "fused_support.hpp"
#include "gpu/exact_program.hpp"
#include "mutation.hpp"
#include "smoothcert/device/normal.hpp"

namespace smoothcert::gpu {
namespace {

using simt_test::FusedCase;

constexpr std::size_t kShared = 232448;

std::vector<float> noisy_image(const NoiseSpec& noise, const std::uint8_t* pixels, std::size_t size,
                               const VoteSegment& segment, std::uint32_t sample) {
  std::vector<float> image(size);
  for (std::uint32_t p = 0; p < size; ++p) {
    if (noise.law == NoiseLaw::lattice) {
      image[p] = device::lattice_input(device::lattice_pixel(
          pixels[p],
          device::lattice_noise_at(simt_test::view(noise.table.get()), noise.seed, segment.purpose,
                                   segment.image, sample, p),
          noise.clamp));
    } else {
      image[p] = device::gaussian_pixel<device::ScalarMath>(
          static_cast<float>(pixels[p]) * device::kPixelScale, static_cast<float>(noise.sigma),
          device::normal_at(noise.seed, segment.purpose, segment.image, sample, p), noise.clamp);
    }
  }
  return image;
}

using Counts = std::vector<unsigned long long>;

Counts reference_counts(const InferencePlan& plan, const NoiseSpec& noise, const FusedCase& batch) {
  const auto classes = static_cast<std::size_t>(plan.classes);
  Counts counts(batch.segments.size() * (classes + 1), 0);
  for (std::size_t s = 0; s < batch.segments.size(); ++s) {
    for (std::uint32_t n = 0; n < batch.size(s); ++n) {
      const auto& segment = batch.segments[s];
      const int vote = reference_vote(reference_forward(
          plan, noisy_image(noise, batch.pixels.data() + s * plan.input.size(), plan.input.size(),
                            segment, segment.first_sample + n)));
      ++counts[s * (classes + 1) + (vote < 0 ? classes : static_cast<std::size_t>(vote))];
    }
  }
  return counts;
}

Counts emulated_counts(const InferencePlan& plan, const NoiseSpec& noise, FusedCase& batch,
                       unsigned blocks) {
  std::string why;
  const auto program = make_exact_program(plan, kShared, &why);
  if (!program) throw std::runtime_error(why);
  count_fused_exact_votes(
      nullptr, *program, program->weights.data(), noise, simt_test::view(noise.table.get()),
      batch.batch(static_cast<std::uint32_t>(program->samples), plan.classes), blocks);
  return batch.counts;
}

std::size_t classes_voted(const Counts& counts) {
  return static_cast<std::size_t>(
      std::count_if(counts.begin(), counts.end(), [](auto c) { return c > 0; }));
}

TEST(FusedExact, VotesOfTheStudysNetworkEqualTheReferences) {
  const InferencePlan plan = make_inference_plan(simt_test::study_network());
  FusedCase batch({9, 1, 0, 16, 3}, simt_test::digit_like_images(5, 3));
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    for (const bool clamp : {true, false}) {
      const NoiseSpec noise = simt_test::noise_spec(law, 0.5, clamp, 12);
      const Counts expected = reference_counts(plan, noise, batch);
      EXPECT_GT(classes_voted(expected), 4u) << "a test that everybody passes";
      simt_test::use({clamp ? 64u : 128u, clamp ? 0u : 7u});
      EXPECT_EQ(emulated_counts(plan, noise, batch, clamp ? 1 : 3), expected);
    }
  }
}

/// 2×8×10, normalisation, 3×3 convolutions with and without pooling, every order of steps.
Network other_network() {
  Network net;
  NetworkSpec& spec = net.spec;
  spec.name = "other";
  spec.input = {2, 8, 10};
  spec.classes = 3;
  const auto layer = [&](LayerKind kind, const std::string& name) -> Layer& {
    Layer l;
    l.kind = kind;
    l.name = name;
    l.inputs = {static_cast<int>(spec.layers.size()) - 1};
    spec.layers.push_back(l);
    return spec.layers.back();
  };
  Layer* l = &layer(LayerKind::normalize, "normalize");
  l->mean = {0.4f, 0.5f};
  l->stddev = {0.3f, 0.25f};
  l = &layer(LayerKind::conv2d, "conv1");
  l->out_channels = 6, l->kernel = 3;
  layer(LayerKind::batchnorm, "bn1");
  layer(LayerKind::relu, "relu1");
  l = &layer(LayerKind::conv2d, "conv2");
  l->out_channels = 5, l->kernel = 3;
  l = &layer(LayerKind::maxpool, "pool2");
  l->kernel = 2, l->stride = 2;
  layer(LayerKind::relu, "relu2");
  layer(LayerKind::flatten, "flatten");
  l = &layer(LayerKind::linear, "fc1");
  l->out_channels = 7;
  layer(LayerKind::relu, "relu3");
  l = &layer(LayerKind::linear, "fc2");
  l->out_channels = 3;
  infer_shapes(spec);
  return initialise(spec, 5);
}

TEST(FusedExact, OtherNetworksToo) {
  const InferencePlan plan = make_inference_plan(other_network());
  const NoiseSpec noise = simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 4);
  FusedCase batch({40, 25}, simt_test::random_bytes(2 * 160, 8));
  simt_test::use({64, 3});
  EXPECT_EQ(emulated_counts(plan, noise, batch, 2), reference_counts(plan, noise, batch));
}

TEST(FusedExact, NanWeightsMakeSamplesInvalid) {
  Network net = simt_test::study_network();
  net.tensors.at("conv2.weight").data[60] = NAN;
  const InferencePlan plan = make_inference_plan(net);
  const NoiseSpec noise = simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 4);
  FusedCase batch({5}, simt_test::digit_like_images(1, 8));
  simt_test::use({128, 3});
  const Counts counts = emulated_counts(plan, noise, batch, 1);
  EXPECT_EQ(counts, reference_counts(plan, noise, batch));
  EXPECT_EQ(counts.back(), 5u);
}

TEST(FusedExact, RefusesWhatItCannotRun) {
  std::string why;
  EXPECT_FALSE(make_exact_program(make_inference_plan(simt_test::small_network()), kShared, &why));
  EXPECT_NE(why, "");
  const InferencePlan lenet = make_inference_plan(initialise(builtin_network("lenet"), 1));
  ASSERT_TRUE(make_exact_program(lenet, kShared, &why));
  EXPECT_LE(make_exact_program(lenet, kShared, &why)->samples, 4);
  EXPECT_FALSE(make_exact_program(lenet, 8000, &why));
}

bool small_case_is_right() {
  static const InferencePlan plan = make_inference_plan(other_network());
  static const NoiseSpec noise = simt_test::noise_spec(NoiseLaw::lattice, 0.5, true, 4);
  FusedCase batch({9, 8}, simt_test::random_bytes(2 * 160, 8));
  static const Counts expected = reference_counts(plan, noise, batch);
  return emulated_counts(plan, noise, batch, 1) == expected;
}

const simt::RegisterMutation kFusedExact("fused exact", [](auto& without, auto seed,
                                                           auto* barriers) {
  return simt_test::run_mutated(without, seed, barriers, small_case_is_right);
});

}  // namespace
}  // namespace smoothcert::gpu
