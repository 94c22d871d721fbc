// Tables of what certificates say beyond their averages, for both reports: by label, by bound, in
// pairs, and whether a run is close to a constant classifier.
#include "report/analysis_tables.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "report/svg_chart.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/more_certificates.hpp"
#include "smoothcert/statistics.hpp"
#include "util/format_number.hpp"

namespace smoothcert::report {
namespace {

constexpr std::size_t kMostRadii = 8;         // beside radius 0
constexpr std::size_t kMostLabels = 12;       // of a table with a place for each
constexpr std::size_t kMostLabelledRuns = 4;  // with intervals
constexpr std::size_t kAllPairs = 5, kMostImportedPairs = 12;

double share(std::uint64_t k, std::uint64_t n) {
  return n == 0 ? -1.0 : static_cast<double>(k) / static_cast<double>(n);
}

std::string percent(double value) { return value > 0 ? format_percent(value, 1) : "0"; }

/// Widest 95 % interval of a share over `n` images, in points either way.
std::string widest_half(std::uint64_t n) {
  const Interval i = share_interval(n / 2, n, 0.05);
  return format_fixed(50 * (i.high - i.low), 1);
}

std::uint64_t fewest_images(const std::vector<RunView>& runs) {
  std::uint64_t fewest = UINT64_MAX;
  for (const RunView& run : runs)
    if (!run.certificates->empty())
      fewest = std::min<std::uint64_t>(fewest, run.certificates->size());
  return fewest == UINT64_MAX ? 0 : fewest;
}

std::string p_text(double p) { return p < 0.001 ? "< 0.001" : format_fixed(p, 3); }

std::set<int> labels_of(const std::vector<RunView>& runs) {
  std::set<int> labels;
  for (const RunView& run : runs)
    for (const Certificate& c : *run.certificates) labels.insert(static_cast<int>(c.label));
  return labels;
}

const LabelSummary* find_label(const std::vector<LabelSummary>& labels, int label) {
  for (const LabelSummary& s : labels)
    if (s.label == label) return &s;
  return nullptr;
}

/// Few runs: a row a label, a column a run, with intervals.
Table labels_as_rows(const std::vector<RunView>& runs, const std::set<int>& labels) {
  Table table;
  table.columns = {{"label", false}, {"images"}};
  std::vector<std::vector<LabelSummary>> summaries;
  for (const RunView& run : runs) {
    table.columns.push_back({run.name + ",\u00a0%"});
    summaries.push_back(summarise_by_label(*run.certificates, 0));
  }
  for (const int label : labels) {
    std::vector<std::string> row = {fmt::format("{}", label), ""};
    for (const auto& run : summaries) {
      const LabelSummary* s = find_label(run, label);
      if (s != nullptr && row[1].empty()) row[1] = format_count(s->images);
      row.push_back(s == nullptr
                        ? "–"
                        : fmt::format("{} ({}–{})", percent(share(s->reached, s->images)),
                                      percent(s->interval.low), percent(s->interval.high)));
    }
    table.rows.push_back(std::move(row));
  }
  table.notes = {"In brackets: 95 % Clopper–Pearson intervals over the images of the label."};
  return table;
}

Table runs_as_rows(const std::vector<RunView>& runs, const std::set<int>& labels) {
  Table table;
  table.columns = {{"run", false}};
  for (const int label : labels) table.columns.push_back({fmt::format("label\u00a0{}", label)});
  std::uint64_t fewest = UINT64_MAX;
  for (const RunView& run : runs) {
    const auto summaries = summarise_by_label(*run.certificates, 0);
    std::vector<std::string> row = {run.name};
    for (const int label : labels) {
      const LabelSummary* s = find_label(summaries, label);
      row.push_back(s == nullptr ? "–" : percent(share(s->reached, s->images)));
      if (s != nullptr) fewest = std::min(fewest, s->images);
    }
    table.rows.push_back(std::move(row));
  }
  if (fewest != UINT64_MAX)
    table.notes = {
        fmt::format("A 95 % interval over the images of one label is up to {} points "
                    "wide either way; each is in tables/by-label.csv.",
                    widest_half(fewest))};
  return table;
}

/// Many labels: those that fare worst.
Table worst_labels(const std::vector<RunView>& runs) {
  constexpr std::size_t kShown = 5;
  Table table;
  table.columns = {{"run", false}, {"labels"}, {"labels with none"}, {"lowest five, %", false}};
  for (const RunView& run : runs) {
    auto labels = summarise_by_label(*run.certificates, 0);
    std::uint64_t none = 0;
    for (const LabelSummary& s : labels) none += s.reached == 0 ? 1 : 0;
    std::ranges::stable_sort(labels, {},
                             [](const LabelSummary& s) { return share(s.reached, s.images); });
    std::string text;
    for (std::size_t i = 0; i < std::min(kShown, labels.size()); ++i)
      text += fmt::format("{}{} ({} of {})", i > 0 ? ", " : "", labels[i].label, labels[i].reached,
                          labels[i].images);
    table.rows.push_back({run.name, format_count(labels.size()), format_count(none), text});
  }
  table.notes = {"Every label, with its 95 % interval, is in tables/by-label.csv."};
  return table;
}

}  // namespace

std::vector<double> table_radii(const std::vector<RunView>& runs) {
  double largest = 0;
  for (const RunView& run : runs)
    for (const Certificate& c : *run.certificates)
      if (c.correct() && std::isfinite(c.radius)) largest = std::max(largest, c.radius);
  std::vector<double> radii = {0};
  constexpr double kLeast = 1e-6, kMost = 1e6;  // nothing between steps that doubles cannot hold
  if (!(largest >= kLeast && largest <= kMost)) return radii;
  double step = 0.25;  // the literature's, where it fits
  while (largest / step > static_cast<double>(kMostRadii)) step *= 2;
  while (largest < 2 * step) step /= 2;
  for (int i = 1; i * step <= largest; ++i) radii.push_back(i * step);
  return radii;
}

Table radius_table(const std::vector<RunView>& runs) {
  Table table;
  table.caption =
      "Certified accuracy in %: the share of all images that are correct with a radius of at least "
      "r.";
  table.label = "certified-accuracy";
  table.columns = {{"run", false}};
  const auto radii = table_radii(runs);
  for (const double r : radii) table.columns.push_back({"r\u00a0=\u00a0" + format_shortest(r)});
  for (const RunView& run : runs) {
    std::vector<std::string> row = {run.name};
    for (const double r : radii) row.push_back(percent(certified_accuracy(*run.certificates, r)));
    table.rows.push_back(std::move(row));
  }
  if (const std::uint64_t n = fewest_images(runs); n > 0)
    table.notes = {
        fmt::format("A 95 % interval over {} images is up to {} points wide either way; "
                    "each is in tables/certified-accuracy.csv.",
                    format_count(n), widest_half(n))};
  return table;
}

Table label_table(const std::vector<RunView>& runs) {
  const std::set<int> labels = labels_of(runs);
  Table table = runs.size() <= kMostLabelledRuns && labels.size() <= 2 * kMostLabels
                    ? labels_as_rows(runs, labels)
                : labels.size() <= kMostLabels ? runs_as_rows(runs, labels)
                                               : worst_labels(runs);
  table.caption =
      "Correct and certified (at any radius) among the images of each label: what the model gets "
      "right, by what the image shows.";
  table.label = "by-label";
  return table;
}

Table standing_table(const std::vector<RunView>& runs) {
  Table table;
  table.caption =
      "What stands behind the radii: abstention; saturation (images whose every vote is for one "
      "class); the median over images of the bound p̲ of the selected class; and the class "
      "certified "
      "most often.";
  table.label = "saturation";
  const bool clean =
      std::ranges::any_of(runs, [](const RunView& run) { return run.clean_accuracy >= 0; });
  table.columns = {{"run", false}};
  if (clean) table.columns.push_back({"clean accuracy,\u00a0%"});
  for (const char* head :
       {"correct and certified,\u00a0%", "abstained,\u00a0%", "at the ceiling,\u00a0%",
        "ceiling radius", "median p̲", "most certified class", "of all certified,\u00a0%"})
    table.columns.push_back({head});
  bool saturated = false;
  for (const RunView& run : runs) {
    const Summary s = summarise(*run.certificates);
    const Constancy constant = constancy(*run.certificates);
    std::vector<std::string> row = {run.name};
    if (clean) row.push_back(format_percent(run.clean_accuracy, 1));
    row.push_back(format_percent(share(s.correct_certified, s.images), 1));
    row.push_back(format_percent(share(s.abstained, s.images), 1));
    if (run.settings != nullptr) {
      const Saturation at = saturation(*run.certificates, *run.settings, run.shape);
      saturated |= share(at.images, s.images) > 0.2;
      row.push_back(percent(share(at.images, s.images)));
      row.push_back(format_down(at.ceiling, 4));
      row.push_back(format_down(bound_quantile(*run.certificates, 0.5), 4));
    } else {
      row.insert(row.end(), 3, "–");
    }
    row.push_back(constant.favourite < 0 ? "–" : fmt::format("{}", constant.favourite));
    row.push_back(constant.favourite < 0 ? "–" : format_percent(constant.share, 1));
    table.rows.push_back(std::move(row));
  }
  const bool exact = std::ranges::all_of(runs, is_exact);
  table.notes = {
      exact
          ? "The ceiling is the radius that W votes out of W give: at this λ no larger radius can "
            "be certified, however robust the model. In place of a bound p̲ stands the exact share "
            "of the splits."
          : "The ceiling is the radius that n votes out of n give: with these n and α no larger "
            "radius "
            "can "
            "be certified, however robust the model."};
  if (saturated && exact)
    table.notes.push_back(
        "Where many images reach it, ACR measures λ as much as the model: a larger λ would certify "
        "larger radii.");
  else if (saturated)
    table.notes.push_back(
        "Where many images reach it, ACR measures n as much as the model: more samples would "
        "certify "
        "larger radii for the same votes.");
  if (std::string text = constancy_sentence(runs); !text.empty())
    table.notes.push_back(std::move(text));
  return table;
}

Table more_table(const std::vector<RunView>& runs) {
  Table table;
  table.caption =
      "More from the same votes, nothing drawn: the average radius within which the label stays "
      "among the k likeliest classes (k = 1 is the certificate itself), and the share of the "
      "largest radius that any number of samples could certify from p_A.";
  table.label = "more";
  std::vector<MoreOfRun> all;
  std::size_t most = 0;
  for (const RunView& run : runs) {
    all.push_back(run.settings == nullptr || noise_traits(run.settings->noise).has_width()
                      ? MoreOfRun{}
                      : more_of_run(*run.certificates, bound_settings(*run.settings, run.shape)));
    most = std::max(most, all.back().top_k_acr.size());
  }
  if (most < 2) return table;
  std::vector<std::size_t> shown;
  for (const std::size_t k : {1, 2, 3, 5, 10})
    if (k <= most) shown.push_back(k);
  table.columns = {{"run", false}};
  for (const std::size_t k : shown) table.columns.push_back({fmt::format("k\u00a0=\u00a0{}", k)});
  table.columns.push_back({"median share of the ceiling,\u00a0%"});
  for (std::size_t r = 0; r < runs.size(); ++r) {
    if (all[r].top_k_acr.empty()) continue;
    std::vector<std::string> row = {runs[r].name};
    for (const std::size_t k : shown)
      row.push_back(k > all[r].top_k_acr.size() ? "–" : format_down(all[r].top_k_acr[k - 1], 4));
    row.push_back(format_percent(all[r].ceiling_share, 1));
    table.rows.push_back(std::move(row));
  }
  table.notes = {
      "Radii count where the selected class is the label, as 0 elsewhere; each k holds at the "
      "run's "
      "α by itself (Jia et al. 2020). Images whose every vote is for one class have no ceiling and "
      "count as 0 %. Every image's own are in 'smoothcert export --json', the distances to single "
      "classes with --classes."};
  return table;
}

bool has_distances(const RunView& run) {
  if (run.settings == nullptr || noise_traits(run.settings->noise).has_width() ||
      run.certificates->empty())
    return false;
  const std::size_t classes = run.certificates->front().estimation.counts.size();
  return classes > 2 && classes <= kMostDistanceClasses;  // of two classes it is the radius again
}

std::vector<Table> distance_tables(const std::vector<RunView>& runs, std::size_t most) {
  std::vector<Table> tables;
  std::size_t left_out = 0;
  for (const RunView& run : runs) {
    if (!has_distances(run)) continue;
    if (tables.size() == most) {
      ++left_out;
      continue;
    }
    Table& table = tables.emplace_back();
    table.caption = fmt::format(
        "Distance to each class, {}: half of the images with the label of the row are, as "
        "certified, "
        "not answered with the class of the column anywhere within this L2 radius.",
        run.name);
    table.label = fmt::format("distances-{}", tables.size());
    table.columns = {{"label", false}, {"images"}};
    const std::size_t classes = run.certificates->front().estimation.counts.size();
    for (std::size_t c = 0; c < classes; ++c)
      table.columns.push_back({fmt::format("class\u00a0{}", c)});
    for (const LabelDistances& of :
         distances_by_label(*run.certificates, bound_settings(*run.settings, run.shape))) {
      std::vector<std::string> row = {fmt::format("{}", of.label), format_count(of.images)};
      for (std::size_t c = 0; c < classes; ++c)
        row.push_back(c == of.label ? "–" : format_down(of.median[c], 3));
      table.rows.push_back(std::move(row));
    }
    table.notes = {
        "All classes of an image hold at once at the run's α, which they share: a distance can be "
        "below the radius, which has the whole α. Images of another selected class count as 0."};
  }
  if (left_out > 0)
    tables.back().notes.push_back(
        fmt::format("{} further run{} not shown; every one is in tables/class-distances.csv.",
                    left_out, left_out == 1 ? " is" : "s are"));
  return tables;
}

std::string constancy_sentence(const std::vector<RunView>& runs, std::size_t most) {
  std::vector<std::string> named;
  std::size_t count = 0;
  for (const RunView& run : runs) {
    const Constancy c = constancy(*run.certificates);
    if (!c.nearly_constant() || ++count > most) continue;
    named.push_back(fmt::format(
        "{} (class {} in {}\u00a0% of its certificates, the label of {}\u00a0% "
        "of the images)",
        run.name, c.favourite, format_percent(c.share, 1), format_percent(c.label_share, 1)));
  }
  if (count == 0) return {};
  std::string list;
  for (std::size_t i = 0; i < named.size(); ++i)
    list += (i == 0                                           ? ""
             : i + 1 == named.size() && count == named.size() ? " and "
                                                              : "; ") +
            named[i];
  if (count > named.size()) list += fmt::format("; and {} more", count - named.size());
  return fmt::format(
      "Close to a constant classifier {} {}: {} radii say how constant the answer is, not how "
      "robust, "
      "which is what an average certified radius rewards (Sun et al. 2024, arXiv 2410.06895).",
      count == 1 ? "is" : "are", list, count == 1 ? "its" : "their");
}

namespace {

/// Where the certificates of two runs are compared one by one, fixed beforehand.
double pair_radius(const RunView& run) {
  return norm_of(run) == Norm::l1 ? run.settings->sigma / 4 : run.settings->sigma / 2;
}

}  // namespace

Pairs compared_pairs(const std::vector<RunView>& runs) {
  Pairs result;
  const auto add = [&](const RunView& a, const RunView& b, double radius) {
    try {
      PairedComparison c = compare_paired(*a.certificates, *b.certificates, radius);
      if (c.images > 1) {
        result.pairs.push_back({a.name, b.name, c});
      } else {
        result.notes.push_back(fmt::format("{} and {} have no images in common.", a.name, b.name));
      }
    } catch (const Error& error) {
      result.notes.push_back(fmt::format("{} and {}: {}.", a.name, b.name, error.what()));
    }
  };
  std::vector<std::vector<const RunView*>> groups;
  std::vector<const RunView*> ours, theirs;
  for (const RunView& run : runs) {
    (run.settings != nullptr ? ours : theirs).push_back(&run);
    if (run.settings == nullptr) continue;
    const auto group =
        std::ranges::find_if(groups, [&](const auto& g) { return comparable(*g.front(), run); });
    if (group == groups.end())
      groups.push_back({&run});
    else
      group->push_back(&run);
  }
  for (const auto& group : groups) {
    const double radius = pair_radius(*group.front());
    if (group.size() > kAllPairs)
      result.notes.push_back(
          fmt::format("Of the {} runs at {} each stands beside the first, {}, only.", group.size(),
                      noise_level_text(*group.front()->settings), group.front()->name));
    for (std::size_t i = 0; i < group.size(); ++i)
      for (std::size_t j = i + 1; j < group.size(); ++j)
        if (group.size() <= kAllPairs || i == 0) add(*group[i], *group[j], radius);
  }
  if (ours.size() * theirs.size() > kMostImportedPairs)
    result.notes.push_back(
        "Imported results are not compared image by image beside so many runs; a store with the "
        "runs "
        "to compare does so.");
  else
    for (const RunView* their : theirs)
      for (const RunView* own : ours)
        if (norm_of(*own) == norm_of(*their)) add(*their, *own, pair_radius(*own));
  std::vector<double> mcnemar, permutation;
  for (const Pair& p : result.pairs) {
    mcnemar.push_back(p.comparison.mcnemar_p);
    permutation.push_back(p.comparison.permutation_p);
  }
  mcnemar = holm_adjusted(mcnemar);
  permutation = holm_adjusted(permutation);
  for (std::size_t i = 0; i < result.pairs.size(); ++i) {
    result.pairs[i].mcnemar_adjusted = mcnemar[i];
    result.pairs[i].permutation_adjusted = permutation[i];
  }
  return result;
}

Table pair_table(const Pairs& pairs) {
  Table table;
  table.caption =
      "Pairs of runs over the same images. Difference: ACR of the first minus that of the second, "
      "± a "
      "95 % interval over images. r: half of σ, or a quarter of λ, fixed beforehand; beside it the "
      "images that only "
      "one "
      "of the two certifies there.";
  table.label = "pairs";
  table.columns = {{"first", false},        {"second", false},   {"images"},
                   {"difference of ACR"},   {"p, permutation"},  {"r"},
                   {"only the first at r"}, {"only the second"}, {"p, McNemar"}};
  for (const Pair& p : pairs.pairs) {
    const PairedComparison& c = p.comparison;
    table.rows.push_back(
        {p.first, p.second, format_count(c.images),
         (c.acr_difference < 0 ? "−" : "+") + format_fixed(std::fabs(c.acr_difference), 4) + " ± " +
             format_fixed(c.acr_half_width, 4),
         p_text(p.permutation_adjusted), format_shortest(c.radius), format_count(c.only_first),
         format_count(c.only_second), p_text(p.mcnemar_adjusted)});
  }
  if (!pairs.pairs.empty())
    table.notes.push_back(fmt::format(
        "p-values are two-sided and adjusted for {} pair{} (Holm): calling a difference real where "
        "p "
        "is below 0.05 is wrong anywhere in a column with probability at most 5 %. They are about "
        "other images of the same kind and these trained models: another training seed is another "
        "model.",
        pairs.pairs.size(), pairs.pairs.size() == 1 ? "" : "s"));
  for (const std::string& note : pairs.notes) table.notes.push_back(note);
  return table;
}

Table worst_table(const std::vector<RunView>& runs, std::size_t count) {
  Table table;
  table.caption =
      "Robustly wrong: certified images with another class than their label, the largest radius "
      "first. Within its radius no perturbation turns the answer into the right one.";
  table.label = "worst";
  table.columns = {{"run", false}, {"images (label → answer, radius)", false}};
  for (const RunView& run : runs) {
    std::string text;
    for (const std::size_t i : worst_certificates(*run.certificates, count)) {
      const Certificate& c = (*run.certificates)[i];
      text += fmt::format("{}{} ({} → {}, {})", text.empty() ? "" : "; ", c.image, c.label,
                          c.prediction, format_down(c.radius, 3));
    }
    table.rows.push_back({run.name, text.empty() ? "none" : text});
  }
  return table;
}

}  // namespace smoothcert::report
