// Stores of the tests: folders, settings, certificates, files.
#include "store_support.hpp"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "smoothcert/version.hpp"

namespace smoothcert::test {

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "smoothcert-test-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
  folder_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

RunSettings sample_settings(const std::string& model) {
  RunSettings s;
  s.model_hash = model + "-hash";
  s.model_name = model;
  s.regime = "smoothing";
  s.dataset_name = "toy";
  s.dataset_split = "test";
  s.dataset_hash = "toy-hash";
  s.shape = {1, 2, 2};
  s.classes = 3;
  s.certify.sigma = 0.5;
  s.certify.n0 = 100;
  s.certify.n = 1000;
  s.certify.alpha = 0.001;
  s.certify.seed = 0xfedcba9876543210u;
  s.precision = "exact-f32";
  s.arithmetic = kArithmetic;
  s.program_version = kVersion;
  s.backend = "cpu test";
  s.training_sigma = 0.5;
  return s;
}

Certificate sample_certificate(std::uint32_t image, double seconds) {
  const std::size_t selected = image * 7 % 3;
  const std::uint64_t top = image % 5 == 4 ? 480 : 600 + image * 37 % 400;
  StageCounts selection{{0, 0, 0}, 0}, estimation{{0, 0, 0}, image % 2};
  selection.counts[selected] = 100 - image % 10;
  selection.counts[(selected + 1) % 3] = image % 10;
  estimation.counts[selected] = top;
  estimation.counts[(selected + 1) % 3] = 1000 - top - image % 2;
  const CertifySettings settings = sample_settings().certify;
  Certificate c = make_certificate(image, static_cast<Label>(image % 3), selection, estimation,
                                   bound_settings(settings, sample_settings().shape));
  c.seconds = seconds;
  return c;
}

ChunkCounts sample_chunk(std::uint32_t image, std::uint64_t first, std::uint64_t last) {
  ChunkCounts c;
  c.image = image;
  c.first = first;
  c.last = last;
  c.counts.counts = {last - first - 1, 0, 0};
  c.counts.invalid = 1;
  return c;
}

std::string file_text(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

void write_text(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file, std::ios::binary) << text;
}

}  // namespace smoothcert::test
