// Options of certification and prediction, and of choosing test images.
#include "certify_options.hpp"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <limits>

#include "options.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"
#include "smoothcert/votes.hpp"

namespace smoothcert::cli {

std::optional<bool> ClampOptions::choice() const {
  if (yes && no) throw UsageError("--clamp and --no-clamp: which of the two?");
  return yes || no ? std::optional(yes) : std::nullopt;
}

void add_clamp_options(CLI::App& app, ClampOptions& options, const std::string& group,
                       const std::string& yes_help, const std::string& no_help) {
  app.add_flag("--clamp", options.yes, yes_help)->group(group);
  app.add_flag("--no-clamp", options.no, no_help)->group(group);
}

void add_certify_options(CLI::App& app, CertifyOptions& options, bool with_selection,
                         bool of_model) {
  const std::string group = "Certification";
  auto& s = options.settings;
  add_number_option(app, "--sigma", options.sigma,
                    std::string("Noise σ, in units of [0,1] pixels") +
                        (of_model ? "; the σ that the model was trained with, without it" : ""))
      ->default_str(of_model ? "" : fmt::format("{}", s.sigma))
      ->group(group);
  if (of_model)
    add_number_option(
        app, "--lambda", options.lambda,
        "Noise λ of --noise split (0.5 and more) and uniform, instead of σ; the λ that "
        "the model was trained with, without it")
        ->group(group);
  // By the time the command runs, CLI11's options are gone.
  const auto of_samples = [&options](CLI::Option* option) {
    return option->each([&options, name = option->get_name()](const std::string&) {
      options.of_samples.push_back(name);
    });
  };
  if (with_selection)
    of_samples(add_count_option(app, "--n0", s.n0, "Samples that select the class"))->group(group);
  of_samples(
      add_count_option(app, "--n", s.n,
                       with_selection ? "Samples that bound its probability" : "Samples an image"))
      ->group(group);
  of_samples(add_number_option(app, "--alpha", s.alpha, "Share of certificates that may be false"))
      ->group(group);
  if (with_selection) {
    of_samples(add_p_b_option(app, options.p_b, group));
    of_samples(
        app.add_option(
            "--stop-within", options.stop_within,
            "Fewer samples: an image stops when its radius is within this share (5%) of what "
            "--n samples promise. Saves most where votes are divided; unanimous images take two "
            "thirds of the samples and more"))
        ->type_name("X%")
        ->group(group);
    of_samples(app.add_option(
                   "--stop-at", options.stop_at,
                   "Fewer samples: an image stops when it is known whether its radius reaches R "
                   "(6 to 140 times less)"))
        ->type_name("R")
        ->group(group);
  }
  app.add_option("--noise", options.noise,
                 of_model
                     ? "lattice (sound as executed), gaussian (sound in real arithmetic only), "
                       "uniform (L1 radii) or split (exact L1 radii, nothing sampled)"
                     : "lattice (sound as executed) or gaussian (sound in real arithmetic only)")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
  add_clamp_options(app, options.clamp, group, "Clamp noisy pixels to [0,1]",
                    of_model ? "Do not; without either as the model's record says, or not at all "
                               "where it says nothing"
                             : "Do not; without either they are");
  app.add_option("--mode", options.mode,
                 "exact (equal votes on every machine) or fast (another classifier, recorded so)")
      ->type_name("NAME")
      ->capture_default_str()
      ->group(group);
}

CLI::Option* add_p_b_option(CLI::App& app, std::string& name, const std::string& group) {
  auto* option = app.add_option("--p-b", name,
                                "Bound of the second class: complement (1 − p_A's) or counted "
                                "(from its votes, both at α/2)")
                     ->type_name("NAME")
                     ->capture_default_str();
  if (!group.empty()) option->group(group);  // an empty one would hide it from the help
  return option;
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

namespace {

/// σ or λ as given, and what the law decides by itself.
void set_noise(CertifySettings& settings, const CertifyOptions& options) {
  const NoiseTraits& traits = noise_traits(settings.noise);
  if (!traits.has_width()) {
    if (options.lambda)
      throw UsageError(fmt::format(
          "--lambda: is of --noise split and uniform; {} is set by --sigma", traits.words));
    if (options.sigma) settings.sigma = *options.sigma;
    return;
  }
  if (options.sigma)
    throw UsageError(fmt::format("--sigma: {} is set by --lambda, as in --lambda 1", traits.words));
  if (options.lambda) settings.sigma = *options.lambda;
  if (traits.kind == CertificateKind::exact) {
    if (!options.of_samples.empty())
      throw UsageError(fmt::format(
          "{}: splitting noise evaluates all of its splits and certifies with certainty; there are "
          "no samples, and no alpha",
          options.of_samples.front()));
    if (options.clamp.choice())
      throw UsageError(
          "--clamp, --no-clamp: splitting noise stays within [0,1], there is nothing to clamp");
  }
  settings = settled(settings);
}

}  // namespace

CertifySettings certify_settings(const CertifyOptions& options) {
  auto settings = options.settings;
  set_stopping(settings, options);
  settings.noise = from_name<NoiseLaw>(options.noise, "--noise");
  settings.mode = from_name<Mode>(options.mode, "--mode");
  if (settings.mode == Mode::external)
    throw UsageError("--mode: external models are certified from Python (docs/python.md)");
  settings.clamp = options.clamp.choice().value_or(settings.clamp);
  settings.p_b = from_name<SecondBound>(options.p_b, "--p-b");
  set_noise(settings, options);
  validate(settings);
  return settings;
}

CertifySettings certify_settings(const CertifyOptions& options, const Network& network,
                                 const std::string& file, Console& console) {
  auto settings = certify_settings(options);
  const NoiseTraits& traits = noise_traits(settings.noise);
  const TrainingRecord& record = network.record;
  if (traits.has_width()) {
    if (!options.lambda) {
      if (!(record.lambda > 0))
        throw UsageError(fmt::format(
            "--lambda: which? {} does not say that it was trained with splitting noise; give the λ "
            "to certify at, in units of [0,1] pixels, as in --lambda 1",
            file));
      settings.sigma = record.lambda;
    }
    settings = settled(settings);
    console.say(fmt::format("lambda: {}{}, {} grey levels wide{}", settings.sigma,
                            options.lambda ? "" : ", that of the model's training",
                            noise_width(settings.noise, settings.sigma),
                            traits.kind == CertificateKind::exact
                                ? ", so many splits an image, all of them evaluated"
                                : ""));
  } else if (!options.sigma) {
    if (record.lambda > 0)
      throw UsageError(fmt::format(
          "--noise: {} was trained with splitting noise, which is certified with --noise split; "
          "--sigma certifies it with Gaussian noise all the same",
          file));
    if (!(network.record.sigma > 0))
      throw UsageError(fmt::format(
          "--sigma: which? {} does not say that it was trained with noise; give the σ to certify "
          "at, in units of [0,1] pixels, as in --sigma 0.5",
          file));
    settings.sigma = network.record.sigma;
    console.say(fmt::format("sigma: {}, that of the model's training", settings.sigma));
  }
  if (traits.kind == CertificateKind::exact) {
    // A network knows the pattern of the offsets it was trained with; any other is as sound.
    if (record.lambda > 0 && !options.seed_given && settings.seed != record.seed) {
      settings.seed = record.seed;
      console.say(fmt::format("seed: {}, that of the splits in the model's training", record.seed));
    }
    validate(settings);
    return settings;
  }
  if (const auto chosen = options.clamp.choice()) {
    settings.clamp = *chosen;
  } else {
    settings.clamp = network.clamp;
    if (!network.clamp_recorded)
      console.say(fmt::format(
          "clamping: none, as {} does not say how it was trained; --clamp clamps noisy pixels to "
          "[0,1], --no-clamp says that this is right",
          file));
  }
  validate(settings);
  return settings;
}

void add_subset_options(CLI::App& app, SubsetOptions& options) {
  const std::string group = "Images";
  add_count_option(app, "--start", options.start, "First test image")->group(group);
  add_count_option(app, "--skip", options.skip, "Take every Nth image from there")->group(group);
  app.add_option_function<std::string>(
         "--max",
         [&options](const std::string& text) {
           if (text.starts_with('-'))  // an index in the field's scripts, and -1 all of them
             throw UsageError(fmt::format(
                 "--max: '{}' is no count of images; 0, or no --max, takes all of them", text));
           options.max = parse_count(text, "--max");
         },
         "Take no more than N images (a count, not an index); 0 takes all")
      ->type_name("N")
      ->group(group);
  app.add_option_function<std::string>(
         "--sample",
         [&options](const std::string& text) { options.sample = parse_count(text, "--sample"); },
         "Of these, N chosen at random")
      ->type_name("N")
      ->group(group);
  add_count_option(app, "--sample-seed", options.sample_seed, "Which ones")->group(group);
}

std::vector<std::uint32_t> subset_indices(const SubsetOptions& options, std::size_t total) {
  if (options.skip == 0) throw UsageError("--skip: 0 is no step; 1 takes every image");
  if (options.start >= total)
    throw UsageError(
        fmt::format("--start: {} is beyond the {} images of this data set", options.start, total));
  const auto max = options.max == 0 ? total : static_cast<std::size_t>(options.max);
  const auto spaced = spaced_indices(total, options.start, options.skip, max);
  if (!options.sample) return spaced;
  if (*options.sample == 0) throw UsageError("--sample: 0 images leave nothing");
  return sampled_indices(spaced, *options.sample, options.sample_seed);
}

}  // namespace smoothcert::cli
