#include "certify_options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "options.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert::cli {

void add_certify_options(CLI::App& app, CertifyOptions& options, bool with_selection) {
  const std::string group = "Certification";
  auto& s = options.settings;
  add_number_option(app, "--sigma", s.sigma, "Noise σ, in units of [0,1] pixels")->group(group);
  if (with_selection)
    add_count_option(app, "--n0", s.n0, "Samples that select the class")->group(group);
  add_count_option(app, "--n", s.n,
                   with_selection ? "Samples that bound its probability" : "Samples an image")
      ->group(group);
  add_number_option(app, "--alpha", s.alpha, "Share of certificates that may be false")
      ->group(group);
  if (with_selection) add_p_b_option(app, options.p_b, group);
  app.add_option("--noise", options.noise,
                 "lattice (sound as executed) or gaussian (sound in real arithmetic only)")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--no-clamp", options.no_clamp, "Do not clamp noisy pixels to [0,1]")->group(group);
  app.add_option("--mode", options.mode,
                 "exact (equal votes on every machine) or fast (another classifier, recorded so)")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
}

void add_p_b_option(CLI::App& app, std::string& name, const std::string& group) {
  app.add_option("--p-b", name,
                 "Bound of the second class: complement (1 − p_A's) or counted (from its votes, "
                 "both at α/2)")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
}

CertifySettings certify_settings(const CertifyOptions& options) {
  auto settings = options.settings;
  settings.noise = from_name<NoiseLaw>(options.noise, "--noise");
  settings.mode = from_name<Mode>(options.mode, "--mode");
  settings.clamp = !options.no_clamp;
  settings.p_b = from_name<SecondBound>(options.p_b, "--p-b");
  validate(settings);
  return settings;
}

void add_subset_options(CLI::App& app, SubsetOptions& options) {
  const std::string group = "Images";
  add_count_option(app, "--start", options.start, "First test image")->group(group);
  add_count_option(app, "--skip", options.skip, "Take every Nth image from there")->group(group);
  app.add_option_function<std::string>(
         "--max", [&options](const std::string& text) { options.max = parse_count(text, "--max"); },
         "Take no more than N images")
      ->type_name("N")
      ->group(group);
}

std::vector<std::uint32_t> subset_indices(const SubsetOptions& options, std::size_t total) {
  if (options.skip == 0) throw UsageError("--skip: 0 is no step; 1 takes every image");
  if (options.start >= total)
    throw UsageError(
        fmt::format("--start: {} is beyond the {} images of this data set", options.start, total));
  const auto max = options.max == 0 ? total : static_cast<std::size_t>(options.max);
  return spaced_indices(total, options.start, options.skip, max);
}

}  // namespace smoothcert::cli
