// Which tensor of a foreign file is which parameter of a network.
#include "checkpoint/fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <string_view>

#include "smoothcert/checkpoint.hpp"
#include "smoothcert/error.hpp"
#include "util/nearest_name.hpp"
#include "util/printable.hpp"

namespace smoothcert {
namespace {

constexpr std::size_t kLongestName = 512;  // nobody's parameter; a hostile file's may be longer

/// The part that the names have before those of the network ("module.", "1.", …): the one that
/// makes most of them fit, the shortest among equals.
std::string common_prefix(const std::set<std::string>& wanted, const TensorSource& source) {
  std::map<std::string, std::size_t> fits;
  for (const auto& [name, shape] : source.shapes) {
    if (name.size() > kLongestName) continue;
    for (std::size_t at = 0;; ++at) {
      if (wanted.count(name.substr(at)) != 0) ++fits[name.substr(0, at)];
      at = name.find('.', at);
      if (at == std::string::npos) break;
    }
  }
  std::string best;
  std::size_t most = 0;
  for (const auto& [prefix, count] : fits) {
    if (count < most || (count == most && prefix.size() >= best.size())) continue;
    best = prefix;
    most = count;
  }
  return best;
}

/// "module." of "module.1." and of "1.module."; nothing where no "1." is in it.
std::optional<std::string> before_second_child(const std::string& prefix) {
  for (std::size_t at = 0; at < prefix.size(); at = prefix.find('.', at) + 1)
    if (prefix.compare(at, 2, "1.") == 0) return prefix.substr(0, at);
  return std::nullopt;
}

std::string text(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string list(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 6;
  const std::size_t shown = std::min(names.size(), kMost);
  std::string all;
  for (std::size_t i = 0; i < shown; ++i) all += (i > 0 ? ", " : "") + printable(names[i]);
  if (names.size() > shown) all += fmt::format(" and {} more", names.size() - shown);
  return all;
}

class Fit {
 public:
  Fit(NetworkSpec spec, const TensorSource& source, const std::string& where,
      std::vector<std::string>& notes, const std::optional<KnownNormalization>& usual,
      const std::string& usual_source)
      : source_(source), where_(where), notes_(notes), usual_(usual), usual_source_(usual_source) {
    net_.spec = std::move(spec);
    net_.clamp = net_.clamp_recorded = false;  // a state dict does not say
    infer_shapes(net_.spec);
  }

  Network run() {
    std::set<std::string> wanted;
    for (const TensorSlot& slot : tensor_slots(net_.spec)) wanted.insert(slot.name);
    prefix_ = common_prefix(wanted, source_);
    if (!prefix_.empty())
      notes_.push_back(fmt::format("{}: names without their prefix '{}'", where_, prefix_));
    for (const auto& [name, shape] : source_.shapes)
      if (!(name.starts_with(prefix_) && wanted.count(name.substr(prefix_.size())) != 0) &&
          !name.ends_with("num_batches_tracked"))
        unexpected_.push_back(name);
    normalization();
    names_agree();
    shapes_agree();
    for (const TensorSlot& slot : tensor_slots(net_.spec))
      net_.tensors.emplace(slot.name, source_.read(prefix_ + slot.name));
    validate(net_, where_);
    return std::move(net_);
  }

 private:
  /// A buffer of per-channel numbers under one of `names`, and no longer unexpected.
  std::optional<std::vector<float>> buffer(const std::string& stem,
                                           std::initializer_list<const char*> names) {
    for (const char* name : names) {
      const auto found = source_.shapes.find(stem + name);
      if (found == source_.shapes.end()) continue;
      std::int64_t count = 1;  // [C], [1, C, 1, 1] …
      for (const std::int64_t extent : found->second)
        count = extent >= 1 && extent <= 65536 && count <= 65536 ? count * extent : 0;
      if (count != net_.spec.input.channels) continue;
      std::erase(unexpected_, found->first);
      return source_.read(found->first).data;
    }
    return std::nullopt;
  }

  void normalization() {
    const Layer& first = net_.spec.layers.front();
    const bool described = first.kind == LayerKind::normalize;
    const auto outer = before_second_child(prefix_);
    std::vector<std::string> stems;
    if (outer) stems.push_back(*outer + "0.");
    if (described && !first.name.empty()) stems.push_back(prefix_ + first.name + ".");
    for (const std::string& stem : stems) {
      auto mean = buffer(stem, {"mean", "means"});
      auto stddev = buffer(stem, {"std", "stds", "sd", "sds"});
      if (!mean && !stddev) continue;
      // Centring alone divides by nothing, and scaling alone subtracts nothing.
      const auto channels = static_cast<std::size_t>(net_.spec.input.channels);
      const std::string what = !stddev ? "centring (mean alone, deviation 1)"
                               : !mean ? "scaling (deviation alone, mean 0)"
                                       : "normalisation";
      if (!mean) mean.emplace(channels, 0.0f);
      if (!stddev) stddev.emplace(channels, 1.0f);
      if (described) return agree(first, *mean, *stddev);
      net_.spec = with_normalization(std::move(net_.spec), *mean, *stddev);
      notes_.push_back(fmt::format("{}: {} taken from '{}'", where_, what, stem));
      return;
    }
    if (outer && !described && usual_) return take_usual();
    if (outer && !described)
      throw Error(fmt::format(
          "{}: its names start with '{}', as if a normalisation came first, but network '{}' has "
          "none; say which with --normalize MEANS/DEVIATIONS, or with a normalize layer in front "
          "of "
          "its description (0/1 where there is none)",
          where_, prefix_, net_.spec.name));
  }

  void take_usual() {
    if (usual_->mean.empty()) {
      notes_.push_back(fmt::format("{}: no normalisation, as is usual for {} (chosen by {})",
                                   where_, usual_->whose, usual_source_));
      return;
    }
    const auto channels = static_cast<std::size_t>(net_.spec.input.channels);
    if (usual_->mean.size() != channels)
      throw UsageError(fmt::format(
          "{}: {} chooses the normalisation of {}, which has {} channels, but network '{}' has {}; "
          "say which with --normalize MEANS/DEVIATIONS",
          where_, usual_source_, usual_->whose, usual_->mean.size(), net_.spec.name, channels));
    net_.spec = with_normalization(std::move(net_.spec), usual_->mean, usual_->stddev);
    notes_.push_back(fmt::format(
        "{}: normalised with mean {} and deviation {}, as is usual for {} (chosen by {}; "
        "--normalize says otherwise)",
        where_, fmt::join(usual_->mean, ","), fmt::join(usual_->stddev, ","), usual_->whose,
        usual_source_));
  }

  void agree(const Layer& layer, const std::vector<float>& mean,
             const std::vector<float>& stddev) const {
    for (std::size_t c = 0; c < mean.size(); ++c)
      if (!(std::abs(mean[c] - layer.mean[c]) < 1e-5f) ||
          !(std::abs(stddev[c] - layer.stddev[c]) < 1e-5f))
        throw Error(fmt::format(
            "{}: channel {} is normalised with mean {} and deviation {}, but network '{}' says {} "
            "and {}",
            where_, c, mean[c], stddev[c], net_.spec.name, layer.mean[c], layer.stddev[c]));
  }

  void names_agree() const {
    std::vector<std::string> missing;
    for (const TensorSlot& slot : tensor_slots(net_.spec)) {
      if (source_.shapes.count(prefix_ + slot.name) != 0) continue;
      const std::string near = missing.size() < 6 && unexpected_.size() < 10000
                                   ? nearest_name(prefix_ + slot.name, unexpected_)
                                   : "";
      missing.push_back(near.empty()
                            ? slot.name
                            : fmt::format("{} (did you mean {}?)", slot.name, printable(near, 40)));
    }
    if (missing.empty() && unexpected_.empty()) return;
    std::string problem = fmt::format("{}: does not fit network '{}'", where_, net_.spec.name);
    if (!missing.empty()) problem += "; missing: " + list(missing);
    if (!unexpected_.empty()) problem += "; without a place in it: " + list(unexpected_);
    throw Error(problem);
  }

  void shapes_agree() const {
    std::size_t others = 0;
    std::string first;
    for (const TensorSlot& slot : tensor_slots(net_.spec)) {
      const auto& found = source_.shapes.at(prefix_ + slot.name);
      if (found == slot.shape) continue;
      if (first.empty())
        first = fmt::format("{}: tensor '{}' has shape {}, network '{}' expects {}", where_,
                            prefix_ + slot.name, text(found), net_.spec.name, text(slot.shape));
      else
        ++others;
    }
    if (!first.empty())
      throw Error(first +
                  (others == 0 ? std::string() : fmt::format("; {} more shapes differ", others)));
  }

  Network net_;
  const TensorSource& source_;
  const std::string& where_;
  std::vector<std::string>& notes_;
  const std::optional<KnownNormalization>& usual_;
  const std::string& usual_source_;
  std::string prefix_;
  std::vector<std::string> unexpected_;
};

}  // namespace

Network fit_network(NetworkSpec spec, const TensorSource& source, const std::string& where,
                    std::vector<std::string>& notes, const std::optional<KnownNormalization>& usual,
                    const std::string& usual_source) {
  return Fit(std::move(spec), source, where, notes, usual, usual_source).run();
}

}  // namespace smoothcert
