// What a comparison is going to do, fixed before it starts and kept in its store: the same folder
// only ever continues the same comparison.
#include "compare/plan.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"
#include "study/study_json.hpp"
#include "util/format_number.hpp"

namespace smoothcert::compare_detail {
namespace {

using nlohmann::json;

constexpr const char* kPlan = "study/plan";

json identity(const CompareOptions& options, const Dataset& train, const Dataset& test) {
  return {{"training data", train.sha256},
          {"test data", test.sha256},
          {"network", options.network},
          {"recipes", options.recipes},
          {"seed", options.seed},
          {"number of training images", options.train_images},
          {"certification", study::certify_json(options.certify)}};
}

std::string now_utc() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm utc{};
  gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

/// "every 2nd test image", "every test image".
std::string every_nth(std::size_t n) {
  if (n == 1) return "every";
  const std::size_t tens = n % 100;
  const char* ending = tens / 10 == 1 ? "th"
                       : n % 10 == 1  ? "st"
                       : n % 10 == 2  ? "nd"
                       : n % 10 == 3  ? "rd"
                                      : "th";
  return fmt::format("every {}{}", n, ending);
}

/// "σ (1.0, asked for 0.5)"-like text of the first difference.
std::string difference(const json& stored, const json& asked) {
  for (const auto& [key, value] : asked.items()) {
    const auto found = stored.find(key);
    if (found != stored.end() && *found == value) continue;
    if (found != stored.end() && value.is_object()) return difference(*found, value);
    const bool hash = key.find("data") != std::string::npos;
    if (hash) return fmt::format("other {}", key);
    return fmt::format("{} {} instead of {}", key,
                       found == stored.end() ? std::string("nothing") : found->dump(),
                       value.dump());
  }
  return "";
}

std::optional<json> read_plan(const ResultsStore& store, const CompareOptions& options) {
  const auto text = store.document(kPlan);
  if (!text) return std::nullopt;
  auto plan = json::parse(*text, nullptr, false);
  if (plan.is_discarded() || !plan.is_object())
    throw Error(fmt::format("{}: its plan cannot be read; choose another folder with --out",
                            (options.folder / kResultsFile).string()));
  return plan;
}

void check_identity(const json& plan, const json& asked, const CompareOptions& options) {
  if (const auto other = difference(plan.value("identity", json::object()), asked); !other.empty())
    throw UsageError(fmt::format(
        "{} holds a comparison with {}; choose another folder with --out, or the same settings",
        options.folder.string(), other));
}

std::string how_long(const CompareOptions& options, std::size_t total, double rate) {
  const double samples = static_cast<double>(total) * static_cast<double>(options.recipes.size()) *
                         static_cast<double>(options.certify.n0 + options.certify.n);
  return format_duration(samples / rate);
}

}  // namespace

std::size_t spacing_for(std::size_t total, std::size_t wanted) {
  if (wanted >= total) return 1;
  constexpr std::array<std::size_t, 7> kPlain = {1, 2, 4, 5, 10, 20, 25};
  for (std::size_t hundreds = 1;; hundreds *= 10)
    for (const auto step : kPlain)
      if ((total + step * hundreds - 1) / (step * hundreds) <= wanted) return step * hundreds;
}

void check_plan(const ResultsStore& store, const CompareOptions& options, const Dataset& train,
                const Dataset& test) {
  if (const auto plan = read_plan(store, options))
    check_identity(*plan, identity(options, train, test), options);
}

Plan settle_plan(ResultsStore& store, const CompareOptions& options, const Dataset& train,
                 const Dataset& test, const std::function<double()>& samples_per_second) {
  const auto asked = identity(options, train, test);
  auto stored = read_plan(store, options);
  if (stored) check_identity(*stored, asked, options);

  const std::size_t total = test.size();
  std::size_t skip = 1, count = total;
  std::string note, started = now_utc();
  if (options.images > 0) {
    count = std::min<std::size_t>(options.images, total);
    skip = total / count;
    if (count < total)
      note = fmt::format("{} of {} test images, {} one, as asked for", format_count(count),
                         format_count(total), every_nth(skip));
  } else if (stored && options.time_budget > 0) {
    skip = stored->at("skip");
    count = stored->at("count");
    note = stored->at("note");
  } else if (options.time_budget > 0) {
    const double rate = std::max(1.0, samples_per_second());
    const double affordable = options.time_budget * rate /
                              (static_cast<double>(options.recipes.size()) *
                               static_cast<double>(options.certify.n0 + options.certify.n));
    skip = spacing_for(total, static_cast<std::size_t>(std::max(1.0, affordable)));
    count = (total + skip - 1) / skip;
    if (count < total)
      note = fmt::format(
          "{} test image, {} of {}: all of them would take about {} on this machine "
          "(--images all)",
          every_nth(skip), format_count(count), format_count(total),
          how_long(options, total, rate));
  }
  if (stored) started = stored->value("started", started);

  Plan plan;
  plan.certify_indices = spaced_indices(total, 0, skip, count);
  const std::size_t attacked =
      options.attack_images == 0 ? total : std::min<std::size_t>(options.attack_images, total);
  plan.attack_indices = spaced_indices(total, 0, total / attacked, attacked);
  plan.subset_note = note;
  plan.started = started;
  store.put_document(kPlan, json{{"identity", asked},
                                 {"skip", skip},
                                 {"count", count},
                                 {"note", note},
                                 {"started", started}}
                                .dump());
  store.flush();
  return plan;
}

}  // namespace smoothcert::compare_detail
