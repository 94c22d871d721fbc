// Every kernel once on small cases, for compute-sanitizer (tools/gpu-check): under its tools a
// kernel is ten to a hundred times slower. Own kernels only: what the libraries launch is theirs to
// check.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>

#include "gpu_support.hpp"
#include "layer_cases.hpp"

namespace smoothcert {
namespace {

class GpuSmall : public gpu_test::GpuTest {
 protected:
  void SetUp() override {
    setenv("SMOOTHCERT_GPU_ENGINE", "direct", 1);
    GpuTest::SetUp();
  }
  void TearDown() override { unsetenv("SMOOTHCERT_GPU_ENGINE"); }

  void expect_counts(const std::string& network, Mode mode, NoiseLaw law) {
    const Network net = initialise(builtin_network(network), 5);
    const Dataset data = gpu_test::random_data(net.spec, 2, 1);
    VoteSettings settings;
    settings.mode = mode;
    settings.noise.law = law;
    settings.noise.sigma = 0.5;
    if (law == NoiseLaw::lattice) {
      settings.noise.table = make_lattice_table(0.5, net.spec.input.size());
    }
    if (noise_traits(law).has_width()) settings.noise.width = 1 << 16;
    const auto jobs = gpu_test::some_jobs(data, 2, 60);
    const auto results = gpu_test::votes(*cuda->load(net), settings, jobs);
    for (const VoteResult& r : results) {
      std::uint64_t sum = r.invalid;
      for (const auto c : r.counts) sum += c;
      EXPECT_EQ(sum, jobs[r.job].last - jobs[r.job].first);
    }
  }
};

TEST_F(GpuSmall, ExactVotes) {
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    expect_counts("convnn", Mode::exact, law);
    expect_counts("mlp", Mode::exact, law);
  }
}

TEST_F(GpuSmall, LogitsOfEveryLayerCaseHaveTheCpusBits) {
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const Network net = formula_network(case_network(c));
    std::vector<float> images;
    for (int i = 0; i < 3; ++i) {
      const auto image = formula_image(net.spec.input, i);
      images.insert(images.end(), image.begin(), image.end());
    }
    std::vector<float> gpu(15), here(15);
    cuda->load(net)->forward(images, gpu);
    cpu->load(net)->forward(images, here);
    EXPECT_EQ(gpu, here);
  }
}

TEST_F(GpuSmall, CountsOfEveryLayerCaseInBothModes) {
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    const Network net = formula_network(case_network(c));
    const Dataset data = gpu_test::random_data(net.spec, 2, 1);
    VoteSettings settings;
    settings.noise.table = make_lattice_table(settings.noise.sigma, net.spec.input.size());
    const auto jobs = gpu_test::some_jobs(data, 2, 60);
    const auto exact = gpu_test::votes(*cuda->load(net), settings, jobs);
    const auto here = gpu_test::votes(*cpu->load(net), settings, jobs);
    settings.mode = Mode::fast;
    const auto fast = gpu_test::votes(*cuda->load(net), settings, jobs);
    for (std::size_t i = 0; i < exact.size(); ++i) {
      EXPECT_EQ(exact[i].counts, here[i].counts);
      std::uint64_t sum = fast[i].invalid;
      for (const auto count : fast[i].counts) sum += count;
      EXPECT_EQ(sum, jobs[fast[i].job].last - jobs[fast[i].job].first);
    }
  }
}

/// As far as sums in another order allow.
void expect_near(const std::vector<float>& got, const std::vector<float>& want,
                 const std::string& what) {
  ASSERT_EQ(got.size(), want.size());
  float largest = 0.05f;  // a bias before BatchNorm has no gradient but for rounding
  for (const float v : want) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got[i], want[i], 2e-5f * largest) << what << " " << i;
}

TEST_F(GpuSmall, GradientsOfEveryLayerCaseAreTheCpus) {
  TrainRecipe recipe;
  recipe.batch_size = 5;
  recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
  const std::vector<std::uint32_t> order{0, 1, 2, 3, 4};
  for (const LayerCase& c : layer_cases()) {
    SCOPED_TRACE(c.name);
    if (c.name == "identity and dropout") continue;  // training refuses a dropout
    const Network net = formula_network(case_network(c));
    const Dataset data = gpu_test::random_data(net.spec, 5, 1);
    const auto x = gpu_test::floats_of(data);
    Network trained[2] = {net, net};
    std::vector<float> gradients[2];
    Backend* const backends[] = {cuda.get(), cpu.get()};
    for (std::size_t i = 0; i < 2; ++i) {
      const auto model = backends[i]->load(net);
      gradients[i].resize(x.size());
      model->input_gradient(x, data.labels, LossKind::cross_entropy, gradients[i], {});
      model->train_epoch({data, recipe, order, 0, 1, 1, 1, {}, {}});
      model->download(trained[i]);
    }
    expect_near(gradients[0], gradients[1], "input gradient");
    for (const auto& [name, tensor] : net.tensors) {
      std::vector<float> moved[2];
      for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t k = 0; k < tensor.data.size(); ++k)
          moved[i].push_back(trained[i].tensors.at(name).data[k] - tensor.data[k]);
      expect_near(moved[0], moved[1], name);
    }
  }
}

TEST_F(GpuSmall, VotesOnUniformAndOnSplittingNoise) {
  for (const NoiseLaw law : {NoiseLaw::uniform, NoiseLaw::split})
    for (const Mode mode : {Mode::exact, Mode::fast}) expect_counts("convnn", mode, law);
}

TEST_F(GpuSmall, FusedVotes) {
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    expect_counts("convnn", Mode::fast, law);
  }
}

TEST_F(GpuSmall, FeatureVotes) {
  const Network net = initialise(builtin_network("lenet"), 3);
  VoteSettings fast;
  fast.mode = Mode::fast;
  fast.noise.table = make_lattice_table(fast.noise.sigma, 784);
  EXPECT_THAT(cuda->load(net)->describe_votes(fast), testing::HasSubstr("features"));
  for (const NoiseLaw law : {NoiseLaw::lattice, NoiseLaw::gaussian}) {
    expect_counts("lenet", Mode::fast, law);
  }
}

TEST_F(GpuSmall, LibraryVotesByOurKernels) { expect_counts("mlp", Mode::fast, NoiseLaw::lattice); }

TEST_F(GpuSmall, TrainingAndGradients) {
  const Network net = initialise(builtin_network("convnn"), 3);
  const Dataset data = gpu_test::random_data(net.spec, 8, 4);
  const std::vector<std::uint32_t> order{1, 5, 2, 7, 0, 3, 6, 4, 1, 2};  // 4 + 4 + 2
  const auto model = cuda->load(net);
  for (const char* name :
       {"normal", "adversarial", "smoothing", "adversarial-strong", "mnist-split"}) {
    TrainRecipe recipe = builtin_recipe(name);
    recipe.batch_size = 4;
    if (recipe.clean_weight > 0) {
      recipe.attack = attack_from_name("pgd-l2");
      recipe.attack.steps = 2;
      recipe.attack.random_start = true;
      recipe.optimizer.kind = OptimizerSpec::Kind::sgd;
    }
    const auto report = model->train_epoch({data, recipe, order, 0, 1e-3, 10, 1, {}, {}});
    EXPECT_EQ(report.step_loss.size(), 3u);
    for (const float loss : report.step_loss) EXPECT_GT(loss, 0.0f) << name;
    model->upload(OptimizerState{});
  }
  const auto x = gpu_test::floats_of(data);
  std::vector<float> gradient(x.size()), logits(8 * 10);
  model->input_gradient(x, data.labels, LossKind::cross_entropy, gradient, logits);
  model->forward(x, logits);
}

}  // namespace
}  // namespace smoothcert
