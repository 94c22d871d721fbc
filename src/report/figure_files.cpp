// The folder figures/: charts as SVG, PNG and PDF, image panels as PNG.
#include "report/figure_files.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "report/escape.hpp"
#include "report/image_panel.hpp"
#include "report/rasterise.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"

namespace smoothcert::report {
namespace {

constexpr Size kFileSize{720, 420};  ///< of a chart in a file, in SVG units
constexpr double kPixelsPerUnit = 2;
constexpr int kImageScale = 4;

}  // namespace

FigureWriter::FigureWriter(std::filesystem::path folder)
    : folder_(std::move(folder)), note_(rasteriser_missing()) {
  std::error_code error;
  std::filesystem::create_directories(folder_, error);
  if (error) throw Error("cannot create the folder " + folder_.string() + ": " + error.message());
}

void FigureWriter::chart(const Chart& chart) {
  const std::string svg = chart_document(chart, kFileSize);
  files_.push_back(folder_ / (chart.name + ".svg"));
  write_file_atomically(files_.back(), svg);
  if (!rasteriser_missing().empty()) return;
  const std::vector<std::uint8_t> bytes = rasterise(svg, kPixelsPerUnit);
  files_.push_back(folder_ / (chart.name + ".png"));
  write_file_atomically(files_.back(), bytes);
  files_.push_back(folder_ / (chart.name + ".pdf"));
  write_file_atomically(files_.back(), pdf(svg));
}

void FigureWriter::study_images(const StudyResult& study) {
  const auto write = [&](const std::string& name,
                         const std::vector<std::vector<std::uint8_t>>& images,
                         std::size_t columns) {
    if (images.empty() || columns == 0) return;
    files_.push_back(folder_ / (name + ".png"));
    write_file_atomically(files_.back(), png_panel(images, static_cast<int>(columns), study.shape,
                                                   kImageScale, kImageScale * 2));
  };
  for (const StudyModel& m : study.models) {
    std::vector<std::vector<std::uint8_t>> rows[3];
    for (const ShowcaseImage& image : study.showcase) {
      const auto view = std::find_if(image.views.begin(), image.views.end(),
                                     [&](const ShowcaseView& v) { return v.model == m.name; });
      if (view == image.views.end()) continue;
      rows[0].push_back(image.pixels);
      rows[1].push_back(view->l2);
      rows[2].push_back(view->linf);
    }
    const std::size_t columns = rows[0].size();
    for (int r = 1; r < 3; ++r) rows[0].insert(rows[0].end(), rows[r].begin(), rows[r].end());
    write("adversarial-" + slug(m.name), rows[0], columns);
  }
  for (const NoiseDemonstration& demo : study.demonstrations) {
    std::vector<std::vector<std::uint8_t>> images = {demo.pixels};
    images.insert(images.end(), demo.copies.begin(), demo.copies.end());
    write(fmt::format("noisy-copies-image-{}", demo.image), images, images.size());
  }
}

}  // namespace smoothcert::report
