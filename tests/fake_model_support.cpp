// A model whose votes are known beforehand.
#include "fake_model_support.hpp"

#include <algorithm>
#include <bit>
#include <exception>
#include <numeric>
#include <thread>

#include "smoothcert/device/lattice_noise.hpp"
#include "smoothcert/device/normal.hpp"
#include "smoothcert/device/split_noise.hpp"
#include "smoothcert/device/uniform_noise.hpp"

namespace smoothcert::test {
namespace {

class FakeRun final : public VoteRun {
 public:
  explicit FakeRun(std::function<void(FakeRun&)> count)
      : thread_([this, count = std::move(count)] {
          try {
            count(*this);
          } catch (...) {
            failure_ = std::current_exception();
          }
        }) {}
  ~FakeRun() override {
    cancel();
    if (thread_.joinable()) thread_.join();
  }
  void wait() override {
    if (thread_.joinable()) thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }
  void cancel() override { cancelled = true; }
  std::uint64_t samples_done() const override { return done; }

  std::atomic<bool> cancelled = false;
  std::atomic<std::uint64_t> done = 0;

 private:
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace

FakeModel::FakeModel(ImageShape shape, int classes, Classifier classify)
    : classify_(std::move(classify)) {
  spec_.name = "fake";
  spec_.input = shape;
  spec_.classes = classes;
}

std::vector<float> noisy_input(const NoiseSpec& noise, const VoteJob& job, std::uint64_t sample,
                               std::size_t pixels) {
  std::vector<float> input(pixels);
  const auto purpose = static_cast<std::uint32_t>(job.purpose);
  const auto s = static_cast<std::uint32_t>(sample);
  for (std::uint32_t group = 0; 4 * group < pixels; ++group) {
    const auto words = device::philox_at(noise.seed, purpose, job.image, s, group);
    const std::uint32_t last =
        std::min<std::uint32_t>(4, static_cast<std::uint32_t>(pixels) - 4 * group);
    if (noise.law == NoiseLaw::lattice) {
      const device::LatticeView table{noise.table->hot.data(), noise.table->cold.data(),
                                      noise.table->log2_columns, noise.table->offset};
      for (std::uint32_t i = 0; i < last; ++i) {
        const int n = device::lattice_noise(table, words.v[i], [&] {
          return device::philox_at(noise.seed, purpose | kRefineTag, job.image, s, group).v[i];
        });
        input[4 * group + i] =
            device::lattice_input(device::lattice_pixel(job.pixels[4 * group + i], n, noise.clamp));
      }
    } else if (noise.law == NoiseLaw::uniform) {
      for (std::uint32_t i = 0; i < last; ++i)
        input[4 * group + i] = device::lattice_input(device::lattice_pixel(
            job.pixels[4 * group + i],
            device::uniform_noise(words.v[i], std::countr_zero(noise.width)), noise.clamp));
    } else if (noise.law == NoiseLaw::split) {
      for (std::uint32_t p = 4 * group; p < 4 * group + last; ++p)
        input[p] = device::split_input(device::split_code(
            job.pixels[p], device::split_offset(noise.seed, p, noise.width), s, noise.width));
    } else {
      for (std::uint32_t i = 0; i < last; i += 2) {
        const auto z = device::normal_pair<device::ScalarMath>(words.v[i], words.v[i + 1]);
        const float pair[2] = {z.first, z.second};
        for (std::uint32_t j = i; j < std::min(i + 2, last); ++j)
          input[4 * group + j] = device::gaussian_pixel<device::ScalarMath>(
              device::lattice_input(job.pixels[4 * group + j]), static_cast<float>(noise.sigma),
              pair[j - i], noise.clamp);
      }
    }
  }
  return input;
}

std::unique_ptr<VoteRun> FakeModel::count_votes(const VoteSettings& settings,
                                                std::vector<VoteJob> jobs,
                                                std::function<void(const VoteResult&)> on_result) {
  jobs_seen.insert(jobs_seen.end(), jobs.begin(), jobs.end());
  return std::make_unique<FakeRun>([=, this](FakeRun& run) {
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      const std::size_t index = reverse ? jobs.size() - 1 - i : i;
      if (before_job) before_job(jobs_counted_);
      const VoteJob& job = jobs[index];
      VoteResult result{index, std::vector<std::uint64_t>(static_cast<std::size_t>(spec_.classes)),
                        0};
      for (std::uint64_t sample = job.first; sample < job.last; ++sample) {
        if (run.cancelled) return;
        const int vote = classify_(noisy_input(settings.noise, job, sample, spec_.input.size()));
        ++(vote < 0 ? result.invalid : result.counts[static_cast<std::size_t>(vote)]);
        ++run.done;
      }
      ++jobs_counted_;
      if (tamper) tamper(result);
      on_result(result);
    }
  });
}

Dataset flat_data(std::size_t images, ImageShape shape, std::uint8_t value, int classes) {
  Dataset data;
  data.name = "flat";
  data.shape = shape;
  data.classes = classes;
  data.pixels.assign(images * shape.size(), value);
  data.labels.assign(images, 0);
  return data;
}

std::vector<std::uint32_t> all_of(const Dataset& data) {
  std::vector<std::uint32_t> indices(data.size());
  std::iota(indices.begin(), indices.end(), 0u);
  return indices;
}

}  // namespace smoothcert::test
