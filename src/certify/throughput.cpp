// How fast a model is certified and attacked on a backend: what `smoothcert bench` prints.
#include "smoothcert/throughput.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <thread>

#include "certify/vote_window.hpp"
#include "smoothcert/device/philox.hpp"
#include "smoothcert/error.hpp"

namespace smoothcert {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double median_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const auto middle = values.size() / 2;
  return values.size() % 2 == 1 ? values.at(middle)
                                : (values.at(middle - 1) + values.at(middle)) / 2;
}

std::vector<std::uint8_t> made_up_pixels(std::size_t count) {
  std::vector<std::uint8_t> pixels(count);
  for (std::size_t i = 0; i < count; ++i)
    pixels[i] = static_cast<std::uint8_t>(
        device::philox_at(0, 0, 0, 0, static_cast<std::uint32_t>(i)).v[0]);
  return pixels;
}

/// `work(units)` does at least so many units and returns how many. Warms up with ever more work
/// until a tenth of a measurement is filled, which also tells how much a measurement holds.
std::vector<double> rates_of(const ThroughputSettings& settings, const ThroughputProgress& progress,
                             const std::stop_token& stop, std::uint64_t first_units,
                             const std::function<std::uint64_t(std::uint64_t)>& work) {
  if (settings.repeats < 1 || settings.repeats > 10000)
    throw UsageError("repeats: " + std::to_string(settings.repeats) + " is outside 1 … 10000");
  if (!(settings.seconds > 0) || settings.seconds > 3600)
    throw UsageError("seconds: " + std::to_string(settings.seconds) + " is outside 0 … 3600");
  if (!(settings.spread > 0))
    throw UsageError("spread: " + std::to_string(settings.spread) + " is not above 0");
  if (progress) progress(0);
  std::uint64_t units = first_units;
  double rate = 0;
  for (;;) {
    if (stop.stop_requested()) throw Interrupted("stopped");
    const auto start = Clock::now();
    const auto done = work(units);
    const double seconds = std::max(seconds_since(start), 1e-9);
    rate = static_cast<double>(done) / seconds;
    if (seconds >= settings.seconds / 10) break;
    units = done * 4;
  }
  units = std::max(first_units, static_cast<std::uint64_t>(rate * settings.seconds));
  std::vector<double> rates;
  const auto enough = [&] {
    const int done = static_cast<int>(rates.size());
    return done >= settings.repeats &&
           (done >= settings.most || Throughput{"", rates}.spread() <= settings.spread);
  };
  while (!enough()) {
    if (progress) progress(static_cast<int>(rates.size()));
    const auto start = Clock::now();
    const auto done = work(units);
    if (stop.stop_requested()) throw Interrupted("stopped");
    rates.push_back(static_cast<double>(done) / std::max(seconds_since(start), 1e-9));
  }
  return rates;
}

}  // namespace

double Throughput::median() const { return median_of(rates); }
double Throughput::lowest() const { return *std::min_element(rates.begin(), rates.end()); }
double Throughput::highest() const { return *std::max_element(rates.begin(), rates.end()); }

double Throughput::spread() const {
  auto sorted = rates;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t quarter = sorted.size() / 4;
  return (sorted.at(sorted.size() - 1 - quarter) - sorted.at(quarter)) / median();
}

double Throughput::drift() const {
  if (rates.size() < 4) return 0;
  const auto half = static_cast<std::ptrdiff_t>(rates.size() / 2);
  return median_of({rates.end() - half, rates.end()}) /
             median_of({rates.begin(), rates.begin() + half}) -
         1;
}

Throughput measure_votes(BackendModel& model, const VoteSettings& votes,
                         const ThroughputSettings& settings, const ThroughputProgress& progress,
                         std::stop_token stop) {
  constexpr std::uint32_t kImages = 16, kSamples = 64;
  const std::size_t size = model.spec().input.size();
  const auto pixels = made_up_pixels(size * kImages);
  const auto count = [&](std::uint64_t samples) {
    const auto most = std::min<std::uint64_t>(samples_of(votes.noise), 0xFFFFFFFFu);
    // Few samples of a slow network are those of few images: a vector of them is computed at once.
    const auto few = std::clamp<std::uint64_t>(samples / kSamples, 1, kImages);
    const auto each = std::min<std::uint64_t>((samples + few - 1) / few, most);
    const auto images = std::max<std::uint64_t>(few, (samples + each - 1) / each);
    std::vector<VoteJob> jobs;
    for (std::uint32_t i = 0; i < images; ++i)
      jobs.push_back({i, pixels.data() + size * (i % kImages), Purpose::estimate, 0, each});
    count_window(model, votes, jobs, {}, stop);  // checks that no vote is lost
    return each * images;
  };
  // Fewer would leave processors idle, each of which takes up to 16 at once, and look slow.
  const auto least = std::max<std::uint64_t>(kSamples, 16 * std::thread::hardware_concurrency());
  return {model.describe_votes(votes), rates_of(settings, progress, stop, least, count)};
}

Throughput measure_attack(BackendModel& model, const AttackSpec& attack,
                          const ThroughputSettings& settings, const ThroughputProgress& progress,
                          std::stop_token stop) {
  constexpr std::size_t kBatch = 1000;
  const std::size_t size = model.spec().input.size();
  const auto classes = static_cast<std::size_t>(model.spec().classes);
  const auto pixels = made_up_pixels(size * kBatch);
  std::vector<float> x(pixels.size()), attacked(pixels.size());
  std::transform(pixels.begin(), pixels.end(), x.begin(),
                 [](std::uint8_t v) { return static_cast<float>(v) * (1.0f / 255.0f); });
  std::vector<Label> labels(kBatch);
  for (std::size_t i = 0; i < kBatch; ++i) labels[i] = static_cast<Label>(i % classes);
  std::vector<std::uint32_t> ids(kBatch);
  std::iota(ids.begin(), ids.end(), 0u);
  const auto attack_images = [&](std::uint64_t images) {
    std::uint64_t done = 0;
    for (; done < images && !stop.stop_requested(); done += kBatch)
      attack_batch(model, attack, x, labels, ids, attacked);
    return done;
  };
  return {to_name(attack.kind), rates_of(settings, progress, stop, kBatch, attack_images)};
}

}  // namespace smoothcert
