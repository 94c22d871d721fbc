// The images a report shows: attacked ones, and noisy copies of one image.
#include "compare/pictures.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "compare/noisy_copies.hpp"
#include "smoothcert/analysis.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/statistics.hpp"

namespace smoothcert::compare_detail {
namespace {

constexpr float kPixelUnit = 1.0f / 255.0f;

std::vector<float> as_floats(const Dataset& data, std::span<const std::uint32_t> images) {
  std::vector<float> x;
  x.reserve(images.size() * data.shape.size());
  for (const auto image : images)
    for (const auto pixel : data.image(image)) x.push_back(static_cast<float>(pixel) * kPixelUnit);
  return x;
}

std::vector<std::uint8_t> as_bytes(std::span<const float> x) {
  std::vector<std::uint8_t> bytes;
  bytes.reserve(x.size());
  for (const float v : x)
    bytes.push_back(static_cast<std::uint8_t>(std::lround(std::clamp(v, 0.0f, 1.0f) * 255.0f)));
  return bytes;
}

std::vector<int> predictions(BackendModel& model, std::span<const float> x) {
  const auto& spec = model.spec();
  const std::size_t images = x.size() / spec.input.size();
  const auto classes = static_cast<std::size_t>(spec.classes);
  std::vector<float> logits(images * classes);
  model.forward(x, logits);
  std::vector<int> result;
  for (std::size_t i = 0; i < images; ++i) {
    const auto* row = logits.data() + i * classes;
    result.push_back(static_cast<int>(std::max_element(row, row + classes) - row));
  }
  return result;
}

struct Attacked {
  std::vector<float> x;
  std::vector<int> predictions;
  std::vector<bool> unchanged;
};

Attacked attack(BackendModel& model, const char* name, std::span<const float> x,
                std::span<const Label> labels, std::span<const std::uint32_t> ids) {
  Attacked result;
  result.x.resize(x.size());
  attack_batch(model, attack_from_name(name), x, labels, ids, result.x);
  result.predictions = predictions(model, result.x);
  const std::size_t size = x.size() / labels.size();
  for (std::size_t i = 0; i < labels.size(); ++i)
    result.unchanged.push_back(
        std::equal(x.begin() + static_cast<std::ptrdiff_t>(i * size),
                   x.begin() + static_cast<std::ptrdiff_t>((i + 1) * size),
                   result.x.begin() + static_cast<std::ptrdiff_t>(i * size)));
  return result;
}

/// The first image of each class; those that all models get right come first.
std::vector<std::uint32_t> choose_showcase(const Dataset& test, std::span<const LoadedModel> models,
                                           std::span<const std::uint32_t> candidates,
                                           std::size_t count) {
  const auto some = candidates.first(std::min<std::size_t>(candidates.size(), 500));
  const auto x = as_floats(test, some);
  std::vector<bool> right(some.size(), true);
  for (const auto& model : models) {
    const auto predicted = predictions(*model.loaded, x);
    for (std::size_t i = 0; i < some.size(); ++i)
      if (predicted[i] != static_cast<int>(test.labels[some[i]])) right[i] = false;
  }
  std::vector<std::uint32_t> chosen;
  std::set<int> classes;
  for (const bool wanted : {true, false})
    for (std::size_t i = 0; i < some.size() && chosen.size() < count; ++i)
      if (right[i] == wanted && classes.insert(test.labels[some[i]]).second)
        chosen.push_back(some[i]);
  std::sort(chosen.begin(), chosen.end(), [&](auto a, auto b) {
    return std::pair(test.labels[a], a) < std::pair(test.labels[b], b);
  });
  return chosen;
}

/// Positions in the certificates of the images to demonstrate.
std::vector<std::size_t> choose_demonstrations(std::span<const Certificate> certificates) {
  std::vector<std::size_t> correct, other;
  for (std::size_t i = 0; i < certificates.size(); ++i)
    (certificates[i].correct() ? correct : other).push_back(i);
  std::vector<std::size_t> chosen;
  if (!correct.empty()) {
    const auto middle = correct.begin() + static_cast<std::ptrdiff_t>(correct.size() / 2);
    std::nth_element(correct.begin(), middle, correct.end(), [&](auto a, auto b) {
      return std::pair(certificates[a].radius, a) < std::pair(certificates[b].radius, b);
    });
    chosen.push_back(*middle);
  }
  if (!other.empty()) chosen.push_back(other.front());
  return chosen;
}

/// The base classifier's answer to each of the first samples of the estimation stage: the very
/// votes that were counted.
std::vector<int> votes_of_samples(BackendModel& model, const VoteSettings& settings,
                                  std::uint32_t image, std::span<const std::uint8_t> pixels,
                                  std::size_t samples) {
  std::vector<VoteJob> jobs;
  for (std::uint64_t s = 0; s < samples; ++s)
    jobs.push_back({image, pixels.data(), Purpose::estimate, s, s + 1});
  std::vector<int> votes(samples, -1);
  const auto run = model.count_votes(settings, std::move(jobs), [&](const VoteResult& result) {
    if (result.invalid == 0) votes[result.job] = top_class(result.counts);
  });
  run->wait();
  return votes;
}

}  // namespace

std::vector<ShowcaseImage> make_showcase(const Dataset& test, std::span<const LoadedModel> models,
                                         std::span<const std::uint32_t> candidates,
                                         std::size_t count) {
  const auto ids = choose_showcase(test, models, candidates, count);
  if (ids.empty()) return {};
  const auto x = as_floats(test, ids);
  const std::size_t size = test.shape.size();
  std::vector<Label> labels;
  std::vector<ShowcaseImage> images;
  for (const auto id : ids) {
    labels.push_back(test.labels[id]);
    const auto pixels = test.image(id);
    images.push_back({id, test.labels[id], {pixels.begin(), pixels.end()}, {}});
  }
  for (const auto& model : models) {
    const auto clean = predictions(*model.loaded, x);
    const auto l2 = attack(*model.loaded, "l2", x, labels, ids);
    const auto linf = attack(*model.loaded, "linf", x, labels, ids);
    for (std::size_t i = 0; i < ids.size(); ++i) {
      ShowcaseView view;
      view.model = model.model->name;
      view.prediction = clean[i];
      view.l2 = as_bytes(std::span(l2.x).subspan(i * size, size));
      view.linf = as_bytes(std::span(linf.x).subspan(i * size, size));
      view.l2_prediction = l2.predictions[i];
      view.linf_prediction = linf.predictions[i];
      view.l2_zero_gradient = l2.unchanged[i];
      view.linf_zero_gradient = linf.unchanged[i];
      images[i].views.push_back(std::move(view));
    }
  }
  return images;
}

std::vector<NoiseDemonstration> make_demonstrations(const Dataset& test,
                                                    std::span<const LoadedModel> models,
                                                    const VoteSettings& votes, std::uint64_t n,
                                                    std::size_t copies) {
  std::vector<NoiseDemonstration> demonstrations;
  if (models.empty()) return demonstrations;
  copies = static_cast<std::size_t>(std::min<std::uint64_t>(copies, n));
  for (const auto at : choose_demonstrations(models.back().model->certificates)) {
    const auto image = models.back().model->certificates[at].image;
    const auto pixels = test.image(image);
    auto& d = demonstrations.emplace_back();
    d.image = image;
    d.label = test.labels[image];
    d.pixels.assign(pixels.begin(), pixels.end());
    d.copies = noisy_copies(votes.noise, image, pixels, copies);
    for (const auto& model : models)
      d.votes.push_back({model.model->name,
                         votes_of_samples(*model.loaded, votes, image, pixels, copies),
                         model.model->certificates[at]});
  }
  return demonstrations;
}

}  // namespace smoothcert::compare_detail
