// Is it worth the hours? A few hundred forward passes know most of what goes wrong.
#include "smoothcert/preflight.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "smoothcert/backend.hpp"
#include "smoothcert/certificate.hpp"
#include "smoothcert/pilot.hpp"
#include "smoothcert/subsets.hpp"

namespace smoothcert {

namespace {

constexpr std::size_t kCleanImages = 200;

struct Standardisation {
  std::vector<float> mean, stddev;  ///< per channel
};

Standardisation channel_statistics(const Dataset& data, std::span<const std::uint32_t> images) {
  const std::size_t plane = data.shape.size() / static_cast<std::size_t>(data.shape.channels);
  Standardisation s;
  for (std::size_t c = 0; c < static_cast<std::size_t>(data.shape.channels); ++c) {
    double sum = 0, squares = 0;
    for (const std::uint32_t i : images) {
      for (const std::uint8_t v : data.image(i).subspan(c * plane, plane)) {
        sum += v / 255.0;
        squares += v / 255.0 * (v / 255.0);
      }
    }
    const double count = static_cast<double>(images.size() * plane), mean = sum / count;
    s.mean.push_back(static_cast<float>(mean));
    s.stddev.push_back(
        static_cast<float>(std::sqrt(std::max(squares / count - mean * mean, 1e-6))));
  }
  return s;
}

// Clean accuracy, with inputs as they are or standardised as the model may have been used to.
double accuracy(BackendModel& model, const Dataset& data, std::span<const std::uint32_t> images,
                const Standardisation* standardise) {
  const std::size_t size = data.shape.size();
  const std::size_t plane = size / static_cast<std::size_t>(data.shape.channels);
  std::vector<float> input;
  input.reserve(images.size() * size);
  for (const std::uint32_t i : images) {
    const auto pixels = data.image(i);
    for (std::size_t p = 0; p < size; ++p) {
      float v = static_cast<float>(pixels[p]) * (1.0f / 255.0f);
      if (standardise != nullptr) {
        v = (v - standardise->mean[p / plane]) / standardise->stddev[p / plane];
      }
      input.push_back(v);
    }
  }
  const auto classes = static_cast<std::size_t>(model.spec().classes);
  std::vector<float> logits(images.size() * classes);
  model.forward(input, logits);
  std::size_t correct = 0;
  for (std::size_t i = 0; i < images.size(); ++i) {
    const auto first = logits.begin() + static_cast<std::ptrdiff_t>(i * classes);
    const auto top = std::max_element(first, first + static_cast<std::ptrdiff_t>(classes)) - first;
    correct += top == data.labels[images[i]] ? 1 : 0;
  }
  return static_cast<double>(correct) / static_cast<double>(images.size());
}

void check_accuracy(std::vector<Finding>& findings, const Network& network, const std::string& name,
                    BackendModel& model, const Dataset& data,
                    std::span<const std::uint32_t> images) {
  const double share = accuracy(model, data, images, nullptr);
  const double chance = 1.0 / std::max(network.spec.classes, 1);
  const double error = std::sqrt(chance * (1 - chance) / static_cast<double>(images.size()));
  const bool at_chance = images.size() >= 20 && share <= chance + 3 * error;
  const bool normalises = std::ranges::any_of(
      network.spec.layers, [](const Layer& l) { return l.kind == LayerKind::normalize; });
  std::string advice;
  if (!normalises && images.size() >= 20) {
    const Standardisation s = channel_statistics(data, images);
    const double standardised = accuracy(model, data, images, &s);
    if (standardised > share + 0.2) {
      advice = fmt::format(
          "it reaches {:.0f} % on inputs with mean 0 and deviation 1, so a "
          "normalize layer seems to be missing from its description",
          100 * standardised);
    }
  }
  if (at_chance) {
    findings.push_back(
        {Finding::Severity::error,
         fmt::format("model '{}' is at chance on clean images ({:.0f} % of {}): {}", name,
                     100 * share, images.size(),
                     advice.empty() ? "are these its data, labels and architecture?" : advice)});
  } else if (!advice.empty()) {
    findings.push_back({Finding::Severity::warning,
                        fmt::format("model '{}' is right on {:.0f} % of {} clean images; {}", name,
                                    100 * share, images.size(), advice)});
  }
}

void check_training(std::vector<Finding>& findings, const Network& network, const std::string& name,
                    const CertifySettings& settings) {
  const auto warn = [&](std::string line) {
    findings.push_back({Finding::Severity::warning, std::move(line)});
  };
  const TrainingRecord& record = network.record;
  if (const NoiseTraits& traits = noise_traits(settings.noise); traits.has_width()) {
    if (record.lambda == 0)
      warn(
          fmt::format("model '{}' was not trained with splitting noise; expect small radii", name));
    else if (std::abs(settings.sigma / record.lambda - 1) > 0.01)
      warn(fmt::format("model '{}' was trained with lambda {} and is certified at {}", name,
                       record.lambda, settings.sigma));
    if (traits.kind == CertificateKind::exact && record.lambda > 0 && settings.seed != record.seed)
      warn(fmt::format(
          "model '{}' was trained with the splits of seed {} and is certified with those of {}; a "
          "network knows its own",
          name, record.seed, settings.seed));
    return;
  }
  if (record.lambda > 0)
    warn(
        fmt::format("model '{}' was trained with splitting noise of lambda {}; --noise split "
                    "certifies what it learned",
                    name, record.lambda));
  if (settings.sigma > 4) {
    warn(fmt::format("sigma {} is in units of [0,1] pixels; if 0-255 was meant, write {:.4g}",
                     settings.sigma, settings.sigma / 255));
  }
  if (record.sigma > 0 && std::abs(settings.sigma / record.sigma - 1) > 0.01) {
    warn(fmt::format("model '{}' was trained with sigma {} and is certified at {}", name,
                     record.sigma, settings.sigma));
  }
  if (record.sigma == 0 && !record.regime.empty() && record.regime != "smoothing") {
    warn(
        fmt::format("model '{}' was trained without noise ({}); expect small radii or one class "
                    "for everything",
                    name, record.regime));
  }
  if (record.regime == "smoothing" && network.clamp != settings.clamp) {
    warn(fmt::format("model '{}' was trained {} clamping noisy pixels to [0,1] and is certified {}",
                     name, network.clamp ? "with" : "without",
                     settings.clamp ? "with it" : "without it"));
  }
}

// Exact certificates have no n that could be too small.
void note_exact_ceiling(std::vector<Finding>& findings, const std::string& name,
                        const CertifySettings& settings, const ImageShape& shape) {
  findings.push_back(
      {Finding::Severity::note,
       fmt::format("model '{}' at lambda {}: no L1 radius above {:.3f} can be certified, whatever "
                   "the model",
                   name, settings.sigma,
                   std::floor(ceiling_radius(settings, shape) * 1000) / 1000)});
}

// The share of a few images whose pilot votes are unanimous: only they can reach the ceiling.
void check_ceiling(std::vector<Finding>& findings, const std::string& name, BackendModel& model,
                   const Dataset& data, std::span<const std::uint32_t> indices,
                   const CertifySettings& settings) {
  const auto pilot = pilot_votes(model, data, indices, settings);
  const auto unanimous = std::ranges::count_if(pilot, [](const StageCounts& votes) {
    return std::ranges::max(votes.counts) == votes_in(votes.counts, votes.invalid);
  });
  const double share = static_cast<double>(unanimous) / static_cast<double>(pilot.size());
  const std::string line = fmt::format(
      "model '{}' at {} {}: with n {} and alpha {} no radius above {:.3f} can be certified; the "
      "votes of {} in {} pilot images are unanimous and may reach it",
      name, noise_traits(settings.noise).scale, settings.sigma, settings.n, settings.alpha,
      std::floor(ceiling_radius(settings, data.shape) * 1000) / 1000, unanimous, pilot.size());
  const bool saturates = share > 0.5;
  findings.push_back({saturates ? Finding::Severity::warning : Finding::Severity::note,
                      saturates && settings.stopping.rule != StopRule::at
                          ? line + ": a larger n would certify larger radii"
                          : line});
}

}  // namespace

std::vector<Finding> preflight(const Network& network, const std::string& name, BackendModel& model,
                               const Dataset& data, std::span<const std::uint32_t> indices,
                               const CertifySettings& settings) {
  std::vector<Finding> findings;
  if (indices.empty()) return findings;
  check_training(findings, network, name, settings);
  std::vector<std::uint32_t> everything(data.size());
  std::iota(everything.begin(), everything.end(), 0u);
  check_accuracy(findings, network, name, model, data, spread_over(everything, kCleanImages));
  if (noise_traits(settings.noise).kind == CertificateKind::exact)
    note_exact_ceiling(findings, name, settings, data.shape);
  else
    check_ceiling(findings, name, model, data, indices, settings);
  return findings;
}

}  // namespace smoothcert
