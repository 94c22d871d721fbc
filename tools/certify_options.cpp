#include "certify_options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "options.hpp"
#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"

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
  if (with_selection) {
    add_p_b_option(app, options.p_b, group);
    app.add_option(
           "--stop-within", options.stop_within,
           "Fewer samples: an image stops when its radius is within this share (5%) of what "
           "--n samples promise; a whole ACR costs 2.5 to 4 times less")
        ->type_name("X%")
        ->group(group);
    app.add_option("--stop-at", options.stop_at,
                   "Fewer samples: an image stops when it is known whether its radius reaches R (6 "
                   "to 140 times less)")
        ->type_name("R")
        ->group(group);
  }
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

SecondBound p_b_from_name(const std::string& name) {
  if (name == "complement") return SecondBound::complement;
  if (name == "counted") return SecondBound::counted;
  throw UsageError("--p-b: " + unknown_name_message("bound", name, {"complement", "counted"}));
}

namespace {

/// "5%" or "0.05".
double parse_share(const std::string& text, const std::string& option) {
  if (!text.ends_with('%')) return parse_number(text, option);
  return parse_number(text.substr(0, text.size() - 1), option) / 100;
}

void set_stopping(CertifySettings& settings, const CertifyOptions& options) {
  if (options.stop_within.empty() && options.stop_at.empty()) return;
  if (!options.stop_within.empty() && !options.stop_at.empty())
    throw UsageError("--stop-within and --stop-at: an image stops by one rule; give one of them");
  settings.sequential = true;
  settings.stopping =
      options.stop_at.empty()
          ? Stopping{StopRule::within, parse_share(options.stop_within, "--stop-within")}
          : Stopping{StopRule::at, parse_number(options.stop_at, "--stop-at")};
}

}  // namespace

CertifySettings certify_settings(const CertifyOptions& options) {
  auto settings = options.settings;
  set_stopping(settings, options);
  if (options.noise == "gaussian")
    settings.noise = NoiseLaw::gaussian;
  else if (options.noise != "lattice")
    throw UsageError("--noise: " +
                     unknown_name_message("noise law", options.noise, {"lattice", "gaussian"}));
  if (options.mode == "fast")
    settings.mode = Mode::fast;
  else if (options.mode != "exact")
    throw UsageError("--mode: " + unknown_name_message("mode", options.mode, {"exact", "fast"}));
  settings.clamp = !options.no_clamp;
  settings.p_b = p_b_from_name(options.p_b);
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
