// Runs the lane kernels of one instruction set on networks of the tests.
#include "cpu_engine_support.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <ostream>
#include <random>

#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/philox.hpp"

namespace smoothcert::cpu {

ForcedIsa::ForcedIsa(Isa isa) {
  if (const char* before = std::getenv("SMOOTHCERT_ISA")) before_ = before;
  setenv("SMOOTHCERT_ISA", isa_name(isa).c_str(), 1);
}
ForcedIsa::~ForcedIsa() {
  if (before_)
    setenv("SMOOTHCERT_ISA", before_->c_str(), 1);
  else
    unsetenv("SMOOTHCERT_ISA");
}

std::uint64_t Counts::total() const {
  std::uint64_t sum = invalid;
  for (const std::uint64_t c : counts) sum += c;
  return sum;
}
Counts Counts::operator+(const Counts& other) const {
  Counts sum = *this;
  for (std::size_t c = 0; c < counts.size(); ++c) sum.counts[c] += other.counts[c];
  sum.invalid += other.invalid;
  return sum;
}
void PrintTo(const Counts& counts, std::ostream* out) {
  for (const std::uint64_t c : counts.counts) *out << c << ' ';
  *out << "invalid " << counts.invalid;
}

namespace {

Layer layer(LayerKind kind, std::string name, std::vector<int> inputs, int out = 0, int kernel = 0,
            int stride = 1, int padding = 0) {
  Layer l;
  l.kind = kind;
  l.name = std::move(name);
  l.inputs = std::move(inputs);
  l.out_channels = out;
  l.kernel = kernel;
  l.stride = stride;
  l.padding = padding;
  return l;
}

/// 3 × 11 × 9, residual, BatchNorm before relu, stride 2, overlapping pool, global average pool.
NetworkSpec residual_network() {
  NetworkSpec spec;
  spec.name = "residual";
  spec.input = {3, 11, 9};
  spec.classes = 7;
  Layer normalize = layer(LayerKind::normalize, "norm", {-1});
  normalize.mean = {0.4f, 0.5f, 0.6f};
  normalize.stddev = {0.2f, 0.25f, 0.3f};
  spec.layers = {normalize,
                 layer(LayerKind::conv2d, "conv1", {0}, 8, 3, 1, 1),
                 layer(LayerKind::batchnorm, "bn1", {1}),
                 layer(LayerKind::relu, "relu1", {2}),
                 layer(LayerKind::conv2d, "conv2", {3}, 8, 3, 1, 1),
                 layer(LayerKind::add, "sum", {4, 3}),
                 layer(LayerKind::relu, "relu2", {5}),
                 layer(LayerKind::maxpool, "pool", {6}, 0, 3, 2, 1),
                 layer(LayerKind::conv2d, "conv3", {7}, 13, 3, 2, 1),
                 layer(LayerKind::relu, "relu3", {8}),
                 layer(LayerKind::global_avg_pool, "gap", {9}),
                 layer(LayerKind::flatten, "flat", {10}),
                 layer(LayerKind::linear, "fc", {11}, 7)};
  infer_shapes(spec);
  return spec;
}

/// Odd sizes into a fused pool, padding 2, BatchNorm between, a relu after the pool.
NetworkSpec padded_network() {
  NetworkSpec spec;
  spec.name = "padded";
  spec.input = {1, 9, 7};
  spec.classes = 3;
  spec.layers = {layer(LayerKind::conv2d, "conv1", {-1}, 7, 5, 1, 2),
                 layer(LayerKind::batchnorm, "bn1", {0}),
                 layer(LayerKind::maxpool, "pool1", {1}, 0, 2, 2),
                 layer(LayerKind::relu, "relu1", {2}),
                 layer(LayerKind::conv2d, "conv2", {3}, 11, 3, 1, 1),
                 layer(LayerKind::relu, "relu2", {4}),
                 layer(LayerKind::batchnorm, "bn2", {5}),
                 layer(LayerKind::flatten, "flat", {6}),
                 layer(LayerKind::linear, "fc1", {7}, 25),
                 layer(LayerKind::relu, "relu3", {8}),
                 layer(LayerKind::linear, "fc2", {9}, 3)};
  infer_shapes(spec);
  return spec;
}

}  // namespace

std::vector<NetworkSpec> engine_networks() {
  return {builtin_network("convnn"),    builtin_network("mlp"), builtin_network("lenet"),
          builtin_network("cifar-cnn"), residual_network(),     padded_network()};
}

Network lively_network(NetworkSpec spec, std::uint64_t seed) {
  Network net = initialise(std::move(spec), seed);
  std::mt19937 random(static_cast<std::uint32_t>(seed));
  std::uniform_real_distribution<float> around_zero(-1, 1), positive(0.2f, 2);
  for (const Layer& l : net.spec.layers) {
    if (l.kind != LayerKind::batchnorm) continue;
    for (float& v : net.tensors.at(l.name + ".running_mean").data) v = 0.3f * around_zero(random);
    for (float& v : net.tensors.at(l.name + ".running_var").data) v = positive(random);
    for (float& v : net.tensors.at(l.name + ".bias").data) v = 0.3f * around_zero(random);
    bool negative = true;  // both signs in every layer
    for (float& v : net.tensors.at(l.name + ".weight").data) {
      v = positive(random) * (negative ? -1.0f : 1.0f);
      negative = !negative;
    }
  }
  const std::string last = net.spec.layers.back().name;
  for (float& v : net.tensors.at(last + ".weight").data) v = 3 * around_zero(random);
  for (float& v : net.tensors.at(last + ".bias").data) v = 0;
  return net;
}

std::vector<std::uint8_t> random_pixels(std::size_t count, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::uint8_t> pixels(count);
  for (std::uint8_t& p : pixels)  // half black, as digits are
    p = random() % 2 != 0 ? 0 : static_cast<std::uint8_t>(random() % 256);
  return pixels;
}

std::shared_ptr<const LatticeTable> random_table(int log2_columns, std::uint32_t seed) {
  auto table = std::make_shared<LatticeTable>();
  table->sigma = NoiseSpec{}.sigma;  // whatever it draws, it passes for the table of that
  std::mt19937 random(seed);
  table->log2_columns = log2_columns;
  table->offset = 1 << (log2_columns - 1);
  for (std::size_t c = 0; c < std::size_t{1} << log2_columns; ++c) {
    table->hot.push_back(static_cast<std::uint32_t>(random()));
    table->cold.push_back(static_cast<std::uint32_t>(random()));
  }
  return table;
}

NoiseSpec test_noise(bool clamp) {
  NoiseSpec noise;
  noise.clamp = clamp;
  noise.seed = 42;
  noise.table = random_table(11, 4);
  return noise;
}

std::vector<float> reference_input(const InferencePlan& plan, const NoiseSpec& noise,
                                   const VoteJob& job, std::uint64_t sample) {
  if (noise.law == NoiseLaw::gaussian) {
    std::vector<float> input(plan.input.size());
    for (std::size_t p = 0; p < input.size(); ++p) {
      const float z =
          device::normal_at(noise.seed, static_cast<std::uint32_t>(job.purpose), job.image,
                            static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(p));
      const float x = static_cast<float>(job.pixels[p]) * (1.0f / 255.0f);
      float noisy = std::fma(static_cast<float>(noise.sigma), z, x);
      if (noise.clamp) noisy = std::min(1.0f, std::max(0.0f, noisy));
      input[p] = noisy;
    }
    return input;
  }
  if (noise.law == NoiseLaw::split || noise.law == NoiseLaw::uniform) {
    const bool split = noise.law == NoiseLaw::split;
    const std::uint64_t width = noise.width;
    std::vector<float> input(plan.input.size());
    for (std::size_t p = 0; p < input.size(); ++p) {
      const auto group = static_cast<std::uint32_t>(p / 4);
      const std::uint64_t word =
          split ? device::philox_at(noise.seed, 12, 0, 0, group).v[p % 4]
                : device::philox_at(noise.seed, static_cast<std::uint32_t>(job.purpose), job.image,
                                    static_cast<std::uint32_t>(sample), group)
                      .v[p % 4];
      if (split) {
        // In grey levels: the cut at s leaves [0, s] and [s, 255], of which the middle is taken.
        const double s = static_cast<double>((word * width / (1ull << 32) + sample) % width) + 0.5;
        const double middle = job.pixels[p] > s ? (s + 255) / 2 : std::min(s, 255.0) / 2;
        input[p] = static_cast<float>(middle * 4) * (1.0f / 1020.0f);
      } else {
        long value = long{job.pixels[p]} + static_cast<long>(word * width / (1ull << 32)) -
                     static_cast<long>(width / 2);
        if (noise.clamp) value = std::min(255l, std::max(0l, value));
        input[p] = static_cast<float>(value) * (1.0f / 255.0f);
      }
    }
    return input;
  }
  const LatticeTable& table = *noise.table;
  const std::uint64_t columns = std::uint64_t{1} << table.log2_columns;
  std::vector<float> input(plan.input.size());
  for (std::size_t p = 0; p < input.size(); ++p) {
    const auto word = [&](std::uint32_t tag) {
      const device::PhiloxWords words =
          device::philox_at(noise.seed, static_cast<std::uint32_t>(job.purpose) | tag, job.image,
                            static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(p / 4));
      return std::uint64_t{words.v[p % 4]};
    };
    const std::uint64_t w = word(0), per_column = (std::uint64_t{1} << 32) / columns;
    const std::uint64_t column = w / per_column, fraction = w % per_column;
    const std::uint64_t threshold = table.hot[column] / columns;
    const std::uint64_t alias = table.hot[column] % columns;
    bool take_column = fraction < threshold;
    if (fraction == threshold) take_column = word(kRefineTag) < table.cold[column];
    long value =
        long{job.pixels[p]} + static_cast<long>(take_column ? column : alias) - table.offset;
    if (noise.clamp) value = std::min(255l, std::max(0l, value));
    input[p] = static_cast<float>(value) * (1.0f / 255.0f);
  }
  return input;
}

std::vector<int> reference_sample_votes(const InferencePlan& plan, const NoiseSpec& noise,
                                        const VoteJob& job) {
  std::vector<int> votes;
  for (std::uint64_t sample = job.first; sample < job.last; ++sample)
    votes.push_back(
        reference_vote(reference_forward(plan, reference_input(plan, noise, job, sample))));
  return votes;
}

Counts count_of(std::span<const int> votes, int classes) {
  Counts counts;
  counts.counts.resize(static_cast<std::size_t>(classes));
  for (const int vote : votes) {
    if (vote < 0)
      ++counts.invalid;
    else
      ++counts.counts[static_cast<std::size_t>(vote)];
  }
  return counts;
}

Counts reference_votes(const InferencePlan& plan, const NoiseSpec& noise, const VoteJob& job) {
  return count_of(reference_sample_votes(plan, noise, job), plan.classes);
}

std::vector<Counts> run_votes(const InferencePlan& plan, const NoiseSpec& noise,
                              const std::vector<VoteJob>& jobs, int threads) {
  ThreadPool pool(threads);
  std::vector<Counts> counts(jobs.size());
  start_votes(plan, pool, {noise, Mode::exact}, jobs, [&](const VoteResult& r) {
    counts[r.job] = {r.counts, r.invalid};
  })->wait();
  return counts;
}

}  // namespace smoothcert::cpu
