// How fast a backend trains and counts votes. One JSON line per invocation, for tools/gpu-check:
//
//   gpu_bench train [--recipe normal] [--network convnn] [--images 60000] [--epochs 5]
//   gpu_bench votes [--mode fast|exact] [--network convnn] [--noise lattice|gaussian] [--seconds 1]
//   both: [--device cuda]
//
// Images are random: no time depends on them. The first epoch (library start-up, graph capture) and
// a first vote run are warm-up.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "smoothcert/backend.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert {
namespace {

using Options = std::map<std::string, std::string>;

Dataset random_images(const NetworkSpec& spec, std::size_t count) {
  Dataset data;
  data.name = "random";
  data.shape = spec.input;
  data.classes = spec.classes;
  data.sha256 = "random " + std::to_string(count);
  std::mt19937 rng(1);
  data.pixels.resize(count * spec.input.size());
  for (auto& v : data.pixels) v = static_cast<std::uint8_t>(rng() >> 24);
  for (std::size_t i = 0; i < count; ++i) {
    data.labels.push_back(static_cast<Label>(rng() % static_cast<unsigned>(spec.classes)));
  }
  return data;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

void train(Backend& backend, Options& options) {
  const TrainRecipe recipe = builtin_recipe(options["--recipe"]);
  const Network net = initialise(builtin_network(options["--network"]), 1);
  const Dataset data = random_images(net.spec, std::stoul(options["--images"]));
  const auto model = backend.load(net);
  std::vector<std::uint32_t> all(data.size());
  for (std::uint32_t i = 0; i < data.size(); ++i) all[i] = i;
  const int epochs = std::stoi(options["--epochs"]);
  std::vector<double> seconds;
  for (int epoch = 0; epoch <= epochs; ++epoch) {
    const auto order = epoch_order(all, 1, epoch);
    const auto start = std::chrono::steady_clock::now();
    model->train_epoch({.data = data,
                        .recipe = recipe,
                        .order = order,
                        .epoch = epoch,
                        .learning_rate = recipe.optimizer.learning_rate,
                        .total_steps = 1000000,
                        .seed = 1,
                        .on_step = {},
                        .stop = {}});
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    if (epoch > 0) seconds.push_back(took.count());
  }
  std::cout << "{\"recipe\": " << quoted(recipe.name) << ", \"network\": " << quoted(net.spec.name)
            << ", \"images\": " << data.size() << ", \"seconds_per_epoch\": " << median(seconds)
            << ", \"fastest\": " << *std::min_element(seconds.begin(), seconds.end())
            << ", \"slowest\": " << *std::max_element(seconds.begin(), seconds.end())
            << ", \"device\": " << quoted(backend.describe()) << "}\n";
}

void count(Backend& backend, Options& options) {
  const Network net = initialise(builtin_network(options["--network"]), 1);
  constexpr std::size_t kImages = 200;
  const Dataset data = random_images(net.spec, kImages);
  const auto model = backend.load(net);
  VoteSettings settings;
  settings.mode = options["--mode"] == "exact" ? Mode::exact : Mode::fast;
  settings.noise.law = options["--noise"] == "gaussian" ? NoiseLaw::gaussian : NoiseLaw::lattice;
  if (settings.noise.law == NoiseLaw::lattice) {
    settings.noise.table = make_lattice_table(settings.noise.sigma, net.spec.input.size());
  }
  const double wanted = std::stod(options["--seconds"]);
  std::vector<double> rates;
  std::uint64_t samples = 1000;
  for (double total = 0; total < wanted;) {
    std::vector<VoteJob> jobs;
    for (std::uint32_t i = 0; i < kImages; ++i) {
      jobs.push_back({i, data.image(i).data(), Purpose::estimate, 0, samples});
    }
    const auto start = std::chrono::steady_clock::now();
    model->count_votes(settings, jobs, [](const VoteResult&) {})->wait();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    const double rate = static_cast<double>(samples) * kImages / took.count();
    if (took.count() < wanted / 8) {  // too short to tell: longer jobs, and start over
      samples *= 4;
      continue;
    }
    rates.push_back(rate);
    total += took.count();
  }
  std::cout << "{\"network\": " << quoted(net.spec.name)
            << ", \"mode\": " << quoted(options["--mode"])
            << ", \"noise\": " << quoted(options["--noise"])
            << ", \"samples_per_second\": " << median(rates)
            << ", \"slowest\": " << *std::min_element(rates.begin(), rates.end())
            << ", \"path\": " << quoted(model->describe_votes(settings))
            << ", \"device\": " << quoted(backend.describe()) << "}\n";
}

int run(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what != "train" && what != "votes") throw UsageError("gpu_bench train|votes [--name value]…");
  Options options{{"--recipe", "normal"}, {"--network", "convnn"}, {"--images", "60000"},
                  {"--epochs", "5"},      {"--mode", "fast"},      {"--noise", "lattice"},
                  {"--seconds", "1"},     {"--device", "cuda"}};
  for (int i = 2; i < argc; i += 2) {
    if (!options.contains(argv[i]) || i + 1 == argc) {
      throw UsageError(std::string("gpu_bench: unknown or incomplete option ") + argv[i]);
    }
    options[argv[i]] = argv[i + 1];
  }
  const auto backend = make_backend(options["--device"], 0, nullptr);
  what == "train" ? train(*backend, options) : count(*backend, options);
  return 0;
}

}  // namespace
}  // namespace smoothcert

int main(int argc, char** argv) {
  try {
    return smoothcert::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
