// Results as the field's tab-separated files.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "smoothcert/predict.hpp"
#include "smoothcert/result_files.hpp"
#include "smoothcert/results.hpp"
#include "smoothcert/statistics.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert {

namespace {

/// No field of ours holds a comma or a quote.
std::string with_commas(std::string tsv) {
  std::ranges::replace(tsv, '\t', ',');
  return tsv;
}

}  // namespace

std::string certificates_csv(std::vector<Certificate> certificates, bool compat) {
  return with_commas(certificates_tsv(std::move(certificates), compat));
}

std::string predictions_csv(std::vector<Prediction> predictions) {
  return with_commas(predictions_tsv(std::move(predictions)));
}

std::string duration_text(double seconds) {
  if (std::isnan(seconds)) return "";
  const auto us = static_cast<std::int64_t>(std::llround(std::max(seconds, 0.0) * 1e6));
  return fmt::format("{}:{:02}:{:02}.{:06}", us / 3'600'000'000, us / 60'000'000 % 60,
                     us / 1'000'000 % 60, us % 1'000'000);
}

std::string certificates_tsv(std::vector<Certificate> certificates, bool compat) {
  std::ranges::sort(certificates, {}, &Certificate::image);
  const auto radius_text = compat ? format_radius_compat : format_radius;
  std::string out = "idx\tlabel\tpredict\tradius\tcorrect\ttime\n";
  for (const Certificate& c : certificates) {
    const bool abstained = c.prediction < 0;
    out += fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", c.image, c.label, abstained ? -1 : c.prediction,
                       radius_text(abstained ? 0.0 : c.radius), c.correct() ? 1 : 0,
                       duration_text(c.seconds));
  }
  return out;
}

std::string predictions_tsv(std::vector<Prediction> predictions) {
  std::ranges::sort(predictions, {}, &Prediction::image);
  std::string out = "idx\tlabel\tpredict\tcorrect\ttime\n";
  for (const Prediction& p : predictions) {
    out += fmt::format("{}\t{}\t{}\t{}\t{}\n", p.image, p.label, p.prediction,
                       p.prediction == static_cast<int>(p.label) ? 1 : 0, duration_text(p.seconds));
  }
  return out;
}

void export_tsv(const std::vector<Certificate>& certificates, const std::filesystem::path& file,
                bool compat) {
  write_file_atomically(file, certificates_tsv(certificates, compat));
}

void export_predictions_tsv(const std::vector<Prediction>& predictions,
                            const std::filesystem::path& file) {
  write_file_atomically(file, predictions_tsv(predictions));
}

}  // namespace smoothcert
