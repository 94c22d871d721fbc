// The charts of a study: what is drawn, from which numbers.
#include "report/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "report/accuracy_chart.hpp"
#include "report/escape.hpp"
#include "smoothcert/statistics.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr std::size_t kMaxRawPoints = 600;

std::vector<std::string> class_names(int classes) {
  std::vector<std::string> names;
  for (int c = 0; c < classes; ++c) names.push_back(fmt::format("{}", c));
  return names;
}

std::vector<double> iota(std::size_t n) {
  std::vector<double> values(n);
  std::iota(values.begin(), values.end(), 0.0);
  return values;
}

/// Centred moving average; values that are not finite are left out of it.
std::vector<double> smoothed(const std::vector<float>& values, std::size_t window) {
  std::vector<double> out(values.size());
  const std::size_t half = window / 2;
  for (std::size_t i = 0; i < values.size(); ++i) {
    double sum = 0;
    int n = 0;
    const std::size_t last = std::min(values.size(), i + half + 1);
    for (std::size_t j = i < half ? 0 : i - half; j < last; ++j) {
      if (!std::isfinite(values[j])) continue;
      sum += static_cast<double>(values[j]);
      ++n;
    }
    out[i] = n == 0 ? std::nan("") : sum / n;
  }
  return out;
}

/// At most about kMaxRawPoints points: of each run of steps, its smallest and its largest value.
void thin(const std::vector<float>& values, Series& raw) {
  const std::size_t stride = std::max<std::size_t>(1, 2 * values.size() / kMaxRawPoints);
  for (std::size_t i = 0; i < values.size(); i += stride) {
    const auto first = values.begin() + static_cast<std::ptrdiff_t>(i);
    const auto last =
        values.begin() + static_cast<std::ptrdiff_t>(std::min(i + stride, values.size()));
    auto [low, high] = std::minmax_element(first, last);
    if (high < low) std::swap(low, high);
    for (const auto& at : {low, high}) {
      if (at == high && low == high && stride > 1 && !raw.x.empty() &&
          raw.x.back() == static_cast<double>(at - values.begin()))
        continue;
      raw.x.push_back(static_cast<double>(at - values.begin()));
      raw.y.push_back(static_cast<double>(*at));
      if (stride == 1) break;
    }
  }
}

Chart history_chart(const StudyResult& study, std::size_t model, bool loss) {
  const StudyModel& m = study.models.at(model);
  const std::vector<float>& values = loss ? m.history.step_loss : m.history.step_accuracy;
  Chart chart;
  const char* what = loss ? "loss" : "accuracy";
  chart.name = fmt::format("training-{}-{}", what, slug(m.name));
  chart.title = fmt::format("{}: {}", m.name, loss ? "training loss" : "training accuracy");
  chart.x.label = "step";
  double highest = 0;
  for (const StudyModel& other : study.models)
    for (const double v : smoothed(loss ? other.history.step_loss : other.history.step_accuracy,
                                   smoothing_window(other.history.step_loss.size())))
      if (std::isfinite(v)) highest = std::max(highest, v);
  chart.y = loss ? Axis{.label = {},
                        .low = 0,
                        .high = highest > 0 ? 1.05 * highest : 1,
                        .percent = false,
                        .categories = {}}
                 : Axis{.label = {}, .low = 0, .high = 1, .percent = true, .categories = {}};
  const int style = static_cast<int>(model) % kStyles;
  Series raw{.label = {},
             .style = style,
             .mark = Mark::faint,
             .x = {},
             .y = {},
             .y2 = {},
             .point_text = {},
             .highlight = {}};
  thin(values, raw);
  Series line{.label = {},
              .style = style,
              .mark = Mark::line,
              .x = iota(values.size()),
              .y = smoothed(values, smoothing_window(values.size())),
              .y2 = {},
              .point_text = {},
              .highlight = {}};
  const auto finite =
      std::find_if(line.y.rbegin(), line.y.rend(), [](double v) { return std::isfinite(v); });
  const double end = finite == line.y.rend() ? std::nan("") : *finite;
  chart.description =
      fmt::format("{} of the {} model over {} steps, ending at {}",
                  loss ? "Training loss" : "Training accuracy", m.name, format_count(values.size()),
                  loss ? format_fixed(end, 3) : format_percent(end, 1) + " %");
  line.label = {};
  chart.reader = {"step", {}};
  const std::size_t places = std::min<std::size_t>(values.size(), 60);
  for (std::size_t i = 0; i < places; ++i) {
    const std::size_t at = places == 1 ? 0 : i * (values.size() - 1) / (places - 1);
    chart.reader.x.push_back(static_cast<double>(at));
    const double v = line.y[at];
    line.values.push_back(!std::isfinite(v) ? "–"
                          : loss            ? format_fixed(v, 3)
                                            : format_percent(v, 1) + " %");
  }
  chart.series = {std::move(raw), std::move(line)};
  return chart;
}

}  // namespace

std::size_t smoothing_window(std::size_t steps) { return std::max<std::size_t>(1, steps / 30) | 1; }

Chart loss_chart(const StudyResult& study, std::size_t model) {
  return history_chart(study, model, true);
}
Chart training_accuracy_chart(const StudyResult& study, std::size_t model) {
  return history_chart(study, model, false);
}

Chart vote_chart(const NoiseDemonstration::Vote& vote, std::uint32_t image) {
  const auto& counts = vote.certificate.estimation.counts;
  Chart chart;
  chart.name = fmt::format("votes-image-{}-{}", image, slug(vote.model));
  chart.title = vote.model;
  chart.x = {.label = "class answered",
             .low = 0,
             .high = 0,
             .percent = false,
             .categories = class_names(static_cast<int>(counts.size()))};
  const std::uint64_t n = votes_in(counts, vote.certificate.estimation.invalid);
  chart.y = {.label = {}, .low = 0, .high = 1, .percent = true, .categories = {}};
  Series bars{.label = {},
              .style = 0,
              .mark = Mark::bars,
              .x = iota(counts.size()),
              .y = {},
              .y2 = {},
              .point_text = {},
              .highlight = {vote.certificate.selected}};
  chart.description = fmt::format("Votes of the {} model for image {}:", vote.model, image);
  for (std::size_t c = 0; c < counts.size(); ++c) {
    bars.y.push_back(n == 0 ? 0.0 : static_cast<double>(counts[c]) / static_cast<double>(n));
    bars.point_text.push_back(counts[c] == 0 ? "" : format_count(counts[c]));
    if (counts[c] > 0)
      chart.description += fmt::format(" class {} {} times;", c, format_count(counts[c]));
  }
  chart.series = {std::move(bars)};
  return chart;
}

NoiseAnswers noise_answers(const StudyModel& model, int classes) {
  const auto size = static_cast<std::size_t>(std::max(classes, 0));
  NoiseAnswers answers;
  answers.votes.resize(size);
  answers.certified.resize(size);
  answers.right.resize(size);
  for (const Certificate& c : model.certificates) {
    for (std::size_t k = 0; k < std::min(size, c.estimation.counts.size()); ++k) {
      answers.votes[k] += c.estimation.counts[k];
      answers.samples += c.estimation.counts[k];
    }
    if (c.prediction < 0 || c.prediction >= classes) continue;
    ++answers.certified[static_cast<std::size_t>(c.prediction)];
    answers.right[static_cast<std::size_t>(c.prediction)] += c.correct();
  }
  if (answers.samples > 0) answers.favourite = top_class(answers.votes);
  return answers;
}

Chart noise_answers_chart(const StudyModel& model, int classes) {
  const NoiseAnswers answers = noise_answers(model, classes);
  Chart chart;
  chart.name = "noise-answers-" + slug(model.name);
  chart.title = model.name + ": answers on noisy images";
  chart.x = {.label = "class answered",
             .low = 0,
             .high = 0,
             .percent = false,
             .categories = class_names(classes)};
  chart.y = {.label = {}, .low = 0, .high = 1, .percent = true, .categories = {}};
  Series bars{.label = {},
              .style = 0,
              .mark = Mark::bars,
              .x = iota(answers.votes.size()),
              .y = {},
              .y2 = {},
              .point_text = {},
              .highlight = {answers.favourite}};
  chart.description =
      fmt::format("Share of the {} model's answers on noisy images by class:", model.name);
  for (int c = 0; c < classes; ++c) {
    bars.y.push_back(answers.share(c));
    // Four characters above neighbouring bars would touch.
    const double share = answers.share(c);
    bars.point_text.push_back(share < 0.0005 ? "" : format_percent(share, share < 0.0995 ? 1 : 0));
    chart.description += fmt::format(" {}: {} %;", c, format_percent(answers.share(c), 1));
  }
  chart.series = {std::move(bars)};
  return chart;
}

Chart certified_by_class_chart(const StudyModel& model, int classes) {
  const NoiseAnswers answers = noise_answers(model, classes);
  Chart chart;
  chart.name = "certified-by-class-" + slug(model.name);
  chart.title = model.name + ": certified, by answer";
  chart.x = {.label = "class answered, right or wrong",
             .low = 0,
             .high = 0,
             .percent = false,
             .categories = class_names(classes)};
  Series bars{.label = {},
              .style = 0,
              .mark = Mark::bars,
              .x = iota(answers.certified.size()),
              .y = {},
              .y2 = {},
              .point_text = {},
              .highlight = {answers.favourite}};
  chart.description = fmt::format(
      "Images the {} model certifies, right or wrong, by the class it answers:", model.name);
  for (std::size_t c = 0; c < answers.certified.size(); ++c) {
    bars.y.push_back(static_cast<double>(answers.certified[c]));
    bars.point_text.push_back(answers.certified[c] == 0 ? "" : format_count(answers.certified[c]));
    chart.description += fmt::format(" {}: {};", c, format_count(answers.certified[c]));
  }
  chart.series = {std::move(bars)};
  return chart;
}

std::vector<Chart> all_charts(const StudyResult& study) {
  std::vector<Chart> charts;
  const bool certified = std::any_of(study.models.begin(), study.models.end(),
                                     [](const StudyModel& m) { return !m.certificates.empty(); });
  if (certified) {
    const auto runs = charted(run_views(study));
    for (Chart& chart : accuracy_charts(runs, "certified-accuracy", ""))
      charts.push_back(std::move(chart));
    for (Chart& chart : bound_charts(runs, "bounds", "")) charts.push_back(std::move(chart));
  }
  for (const NoiseDemonstration& demo : study.demonstrations)
    for (const auto& vote : demo.votes) charts.push_back(vote_chart(vote, demo.image));
  for (const StudyModel& m : study.models) {
    if (m.certificates.empty()) continue;
    charts.push_back(noise_answers_chart(m, study.classes));
    charts.push_back(certified_by_class_chart(m, study.classes));
  }
  for (std::size_t i = 0; i < study.models.size(); ++i) {
    if (study.models[i].history.step_loss.empty()) continue;
    charts.push_back(loss_chart(study, i));
    charts.push_back(training_accuracy_chart(study, i));
  }
  return charts;
}

}  // namespace smoothcert::report
