// How fast one epoch of training is. One JSON line per invocation, so that compare_training can
// alternate it with a peer:
//
//   training_bench [--network convnn|lenet|mlp|cifar-cnn] [--regime normal|adversarial|smoothing]
//                  [--threads 2] [--images 60000] [--batch N] [--epochs 1] [--seed 1] [--data DIR]
//
// Recipes are the study's (Adam, batch 128); lenet takes the literature's (SGD, batch 256, noise
// not clamped). Images are random, since the time does not depend on them; with --data they are
// the data set in DIR, and the accuracy on its test images is reported too.
#include <algorithm>
#include <ctime>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "cpu/isa.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/data_source.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert {
namespace {

struct Options {
  std::string network = "convnn", regime = "normal", data;
  int threads = 2, batch = 0, epochs = 1, seed = 1;
  std::size_t images = 60000;
};

Options parse(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    if (i + 1 == argc) throw UsageError(flag + ": a value is missing");
    const std::string value = argv[++i];
    if (flag == "--network")
      o.network = value;
    else if (flag == "--regime")
      o.regime = value;
    else if (flag == "--data")
      o.data = value;
    else if (flag == "--threads")
      o.threads = std::stoi(value);
    else if (flag == "--batch")
      o.batch = std::stoi(value);
    else if (flag == "--seed")
      o.seed = std::stoi(value);
    else if (flag == "--epochs")
      o.epochs = std::stoi(value);
    else if (flag == "--images")
      o.images = std::stoul(value);
    else
      throw UsageError(flag + ": unknown flag");
  }
  return o;
}

Dataset random_images(const NetworkSpec& spec, std::size_t count) {
  Dataset data;
  data.name = "random";
  data.shape = spec.input;
  data.classes = spec.classes;
  data.pixels.resize(count * spec.input.size());
  std::uint32_t state = 1;
  const auto next = [&] { return (state = state * 1664525u + 1013904223u) >> 24; };
  for (auto& p : data.pixels) p = static_cast<std::uint8_t>(next());
  for (std::size_t i = 0; i < count; ++i)
    data.labels.push_back(static_cast<Label>(next() % static_cast<unsigned>(spec.classes)));
  return data;
}

int run(int argc, char** argv) {
  const Options options = parse(argc, argv);
  const NetworkSpec spec = builtin_network(options.network);
  TrainRecipe recipe = builtin_recipe(options.regime);
  if (options.network == "lenet") {
    const TrainRecipe literature = builtin_recipe("lenet-gaussian");
    recipe.optimizer = literature.optimizer;
    recipe.batch_size = literature.batch_size;
    recipe.clamp = literature.clamp;
    recipe.sigma = literature.sigma;
  }
  if (options.batch > 0) recipe.batch_size = options.batch;
  recipe.epochs = options.epochs;
  Dataset train_data, test_data;
  if (options.data.empty()) {
    train_data = random_images(spec, options.images);
  } else {
    DataRequest request;
    request.name = options.data;
    DataPair pair = load_data(request);
    train_data = std::move(pair.train);
    test_data = std::move(pair.test);
  }
  const auto backend = make_cpu_backend(options.threads);
  TrainOptions train_options;
  train_options.seed = static_cast<std::uint64_t>(options.seed);
  const std::clock_t cpu_before = std::clock();  // of all threads
  const TrainResult result = train(*backend, spec, recipe, train_data, train_options);
  const double cpu_seconds = static_cast<double>(std::clock() - cpu_before) / CLOCKS_PER_SEC;
  auto seconds = result.history.epoch_seconds;
  std::sort(seconds.begin(), seconds.end());
  std::cout << "{\"network\": \"" << options.network << "\", \"regime\": \"" << options.regime
            << "\", \"isa\": \"" << cpu::isa_name(cpu::active_isa())
            << "\", \"threads\": " << options.threads << ", \"batch\": " << recipe.batch_size
            << ", \"images\": " << train_data.size()
            << ", \"seconds_per_epoch\": " << seconds[seconds.size() / 2]
            << ", \"cpu_seconds_per_epoch\": " << cpu_seconds / options.epochs;
  if (test_data.size() > 0) {
    std::vector<std::uint32_t> indices(test_data.size());
    for (std::size_t i = 0; i < indices.size(); ++i) indices[i] = static_cast<std::uint32_t>(i);
    const auto model = backend->load(result.network);
    std::cout << ", \"test_accuracy\": " << clean_accuracy(*model, test_data, indices);
    const AttackReport l2 = attack_accuracy(*model, attack_from_name("l2"), test_data, indices);
    std::cout << ", \"test_accuracy_l2\": "
              << static_cast<double>(l2.correct_cross_entropy) / static_cast<double>(l2.images);
  }
  std::cout << "}" << std::endl;
  return 0;
}

}  // namespace
}  // namespace smoothcert

int main(int argc, char** argv) {
  try {
    return smoothcert::run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "training_bench: " << error.what() << "\n";
    return 1;
  }
}
