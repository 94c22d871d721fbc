// Trains recipes on five sixths of the training set and shows what they reach on the rest; how
// adversarial-strong was chosen. The test set is never read.
//
//   recipe_search RECIPES.jsonl [--data DIR] [--network convnn] [--seeds 1] [--threads 1]
//                 [--pgd-images 1000]
//
// One JSON recipe a line (docs/recipes.md); one tab-separated line a recipe and seed. Accuracies in
// %: clean, one-step L2 5 (cross-entropy, the study's; margin; worse of both), L∞ 0.3, 20-step PGD
// L2 (worse of both losses); share of images whose gradient is exactly zero.
#include <fmt/core.h>

#include <cstdlib>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

#include "smoothcert/attack.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/data_source.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/train.hpp"

namespace smoothcert {
namespace {

struct Options {
  std::string recipes, data, network = "convnn";
  int seeds = 1, threads = 1;
  std::size_t pgd_images = 1000;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const bool flag = argument.starts_with("--");
    if (flag && i + 1 == argc) throw UsageError(argument + " needs a value");
    if (!flag)
      options.recipes = argument;
    else if (argument == "--data")
      options.data = argv[++i];
    else if (argument == "--network")
      options.network = argv[++i];
    else if (argument == "--seeds")
      options.seeds = std::atoi(argv[++i]);
    else if (argument == "--threads")
      options.threads = std::atoi(argv[++i]);
    else if (argument == "--pgd-images")
      options.pgd_images = static_cast<std::size_t>(std::atoll(argv[++i]));
    else
      throw UsageError("unknown option " + argument);
  }
  if (options.recipes.empty()) throw UsageError("recipe_search: which file of recipes?");
  return options;
}

/// Every sixth image validates.
struct Split {
  std::vector<std::uint32_t> train, validation;
};
Split split(std::size_t images) {
  Split s;
  for (std::uint32_t i = 0; i < images; ++i) (i % 6 == 5 ? s.validation : s.train).push_back(i);
  return s;
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

void measure(Backend& backend, const Options& options, const TrainRecipe& recipe,
             const Dataset& data, const Split& parts, std::uint64_t seed) {
  TrainOptions training;
  training.seed = seed;
  training.indices = parts.train;
  const auto result = train(backend, builtin_network(options.network), recipe, data, training);
  const auto model = backend.load(result.network);
  const auto attacked = [&](const char* name, std::size_t images) {
    auto spec = attack_from_name(name);
    return attack_accuracy(
        *model, spec, data,
        std::span(parts.validation).first(std::min(images, parts.validation.size())));
  };
  const auto l2 = attacked("l2", parts.validation.size());
  const auto linf = attacked("linf", parts.validation.size());
  const auto pgd = attacked("pgd-l2", options.pgd_images);
  const auto& seconds = result.history.epoch_seconds;
  fmt::print("{}\t{}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.2f}\t{:.3f}\t{:.1f}\n",
             recipe.name, seed, 100 * clean_accuracy(*model, data, parts.validation),
             percent(l2.correct_cross_entropy, l2.images), percent(l2.correct_margin, l2.images),
             percent(l2.correct_worst, l2.images), percent(linf.correct_cross_entropy, linf.images),
             percent(pgd.correct_worst, pgd.images), percent(l2.zero_gradient, l2.images),
             std::accumulate(seconds.begin(), seconds.end(), 0.0));
  std::fflush(stdout);
}

void run(const Options& options) {
  DataRequest request;
  request.name = options.data;
  request.need_test = false;
  const auto data = load_data(request).train;
  const auto parts = split(data.size());
  const auto backend = make_cpu_backend(options.threads);
  std::ifstream lines(options.recipes);
  if (!lines) throw UsageError("cannot read " + options.recipes);
  fmt::print("recipe\tseed\tclean\tl2\tl2_margin\tl2_worst\tlinf\tpgd_l2\tzero\tseconds\n");
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty()) continue;
    const auto recipe = parse_recipe(line, options.recipes + ":" + std::to_string(number));
    for (int seed = 0; seed < options.seeds; ++seed)
      measure(*backend, options, recipe, data, parts, static_cast<std::uint64_t>(seed));
  }
}

}  // namespace
}  // namespace smoothcert

int main(int argc, char** argv) try {
  smoothcert::run(smoothcert::parse(argc, argv));
} catch (const std::exception& e) {
  fmt::print(stderr, "{}\n", e.what());
  return 1;
}
