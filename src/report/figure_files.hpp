// The folder figures/: charts as SVG, PNG and PDF, image panels as PNG.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "report/svg_chart.hpp"
#include "smoothcert/study.hpp"

namespace smoothcert::report {

class FigureWriter {
 public:
  /// Creates `folder`. Throws Error when it cannot.
  explicit FigureWriter(std::filesystem::path folder);

  void chart(const Chart& chart);
  /// adversarial-MODEL.png (rows: original, L2, L∞) and noisy-copies-image-N.png.
  void study_images(const StudyResult& study);

  [[nodiscard]] const std::vector<std::filesystem::path>& files() const { return files_; }
  [[nodiscard]] std::string note() const { return note_; }

 private:
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> files_;
  std::string note_;
};

}  // namespace smoothcert::report
