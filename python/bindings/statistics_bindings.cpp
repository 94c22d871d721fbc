// Votes in, certificates out; and the noise itself. No model is needed.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include "arrays.hpp"
#include "bindings.hpp"
#include "settings.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/noisy_inputs.hpp"
#include "smoothcert/statistics.hpp"
#include "smoothcert/vote_bounds.hpp"

namespace smoothcert::python {

nb::dict certificates_table(const std::vector<Certificate>& certificates, int classes) {
  const std::size_t count = certificates.size(), k = static_cast<std::size_t>(classes);
  std::vector<std::uint32_t> image;
  std::vector<std::int64_t> label, prediction, selected;
  std::vector<double> radius, p_lower, seconds;
  std::vector<std::uint64_t> counts0, counts, invalid0, invalid;
  nb::list stop;
  for (const Certificate& c : certificates) {
    image.push_back(c.image);
    label.push_back(c.label);
    prediction.push_back(c.prediction);
    selected.push_back(c.selected);
    radius.push_back(c.radius);
    p_lower.push_back(c.p_lower);
    seconds.push_back(c.seconds);
    for (std::size_t i = 0; i < k; ++i) {
      counts0.push_back(i < c.selection.counts.size() ? c.selection.counts[i] : 0);
      counts.push_back(i < c.estimation.counts.size() ? c.estimation.counts[i] : 0);
    }
    invalid0.push_back(c.selection.invalid);
    invalid.push_back(c.estimation.invalid);
    stop.append(nb::str(to_name(c.stop).c_str()));
  }
  nb::dict table;
  table["index"] = to_numpy(std::move(image));
  table["label"] = to_numpy(std::move(label));
  table["prediction"] = to_numpy(std::move(prediction));
  table["selected"] = to_numpy(std::move(selected));
  table["radius"] = to_numpy(std::move(radius));
  table["p_lower"] = to_numpy(std::move(p_lower));
  table["counts0"] = to_numpy(std::move(counts0), {count, k});
  table["counts"] = to_numpy(std::move(counts), {count, k});
  table["invalid0"] = to_numpy(std::move(invalid0));
  table["invalid"] = to_numpy(std::move(invalid));
  table["seconds"] = to_numpy(std::move(seconds));
  table["stop"] = stop;
  return table;
}

namespace {

nb::object lower_bounds(const CountArray& k, std::uint64_t n, double alpha, double slack) {
  std::vector<double> bounds;
  for (const std::uint64_t value : span_of(k))
    bounds.push_back(clopper_pearson_lower(value, n, alpha, slack).p_lower);
  return to_numpy(std::move(bounds));
}

/// Radii of A's votes alone: the second class is bounded by what A leaves.
nb::object radii(const CountArray& k, std::uint64_t n, double alpha, double sigma, double slack) {
  BoundSettings settings;
  settings.sigma = sigma;
  settings.alpha = alpha;
  settings.slack = slack;
  std::vector<double> out;
  for (const std::uint64_t value : span_of(k)) {
    if (value > n)
      throw UsageError("radius: " + std::to_string(value) + " votes of " + std::to_string(n) +
                       " samples");
    out.push_back(bound_votes({value, n - value, n}, settings).radius);
  }
  return to_numpy(std::move(out));
}

nb::dict certificates_of(const CountTable& counts0, const CountTable& counts,
                         const CountArray& invalid0, const CountArray& invalid,
                         const CountArray& labels, const BoundSettings& bounds) {
  const std::size_t images = counts.shape(0), classes = counts.shape(1);
  std::vector<Certificate> certificates;
  for (std::size_t i = 0; i < images; ++i) {
    const auto row = [&](const CountTable& table, const CountArray& left) {
      const auto* first = table.data() + i * classes;
      return StageCounts{{first, first + classes}, left.data()[i]};
    };
    certificates.push_back(make_certificate(static_cast<std::uint32_t>(i),
                                            static_cast<Label>(labels.data()[i]),
                                            row(counts0, invalid0), row(counts, invalid), bounds));
  }
  return certificates_table(certificates, static_cast<int>(classes));
}

nb::dict certificates_from_counts(const CountTable& counts0, const CountTable& counts,
                                  const CountArray& invalid0, const CountArray& invalid,
                                  const CountArray& labels, double sigma, double alpha,
                                  const std::string& p_b, double slack, std::uint64_t n_max) {
  const std::size_t images = counts.shape(0);
  if (counts0.shape(0) != images || counts0.shape(1) != counts.shape(1) ||
      invalid0.size() != images || invalid.size() != images || labels.size() != images)
    throw UsageError("certificate: counts0, counts, invalid and labels are of different numbers");
  BoundSettings bounds;
  bounds.sigma = sigma;
  bounds.alpha = alpha;
  bounds.slack = slack;
  bounds.p_b = from_name<SecondBound>(p_b, "p_b");
  if (n_max > 0) bounds.sampling = Sampling::up_to(n_max);
  return certificates_of(counts0, counts, invalid0, invalid, labels, bounds);
}

nb::object noise(nb::ndarray<const std::uint8_t, nb::ndim<3>, nb::c_contig, nb::device::cpu> image,
                 std::uint32_t index, double sigma, std::uint64_t samples, std::uint64_t first,
                 std::uint64_t seed, const std::string& law, bool clamp, const std::string& purpose,
                 int threads) {
  NoiseSpec spec;
  spec.law = from_name<NoiseLaw>(law, "noise");
  spec.sigma = sigma;
  spec.width = noise_width(spec.law, sigma);
  spec.seed = seed;
  spec.clamp = clamp;
  std::vector<float> out(samples * image.size());
  {
    const nb::gil_scoped_release release;
    if (spec.law == NoiseLaw::lattice) spec.table = make_lattice_table(sigma, image.size());
    noisy_inputs(spec, purpose_from_name(purpose), index, span_of(image), first, out, threads);
  }
  return to_numpy(std::move(out), {static_cast<std::size_t>(samples), image.shape(0),
                                   image.shape(1), image.shape(2)});
}

}  // namespace

void bind_statistics(nb::module_& m) {
  using namespace nb::literals;
  m.def("clopper_pearson_lower", &lower_bounds, "k"_a, "n"_a, "alpha"_a, "slack"_a = 0.0);
  m.def("radius", &radii, "k"_a, "n"_a, "alpha"_a, "sigma"_a, "slack"_a = 0.0);
  m.def("certificates_from_counts", &certificates_from_counts, "counts0"_a, "counts"_a,
        "invalid0"_a, "invalid"_a, "labels"_a, "sigma"_a, "alpha"_a, "p_b"_a, "slack"_a, "n_max"_a);
  m.def("noise", &noise, "image"_a, "index"_a, "sigma"_a, "samples"_a, "first"_a, "seed"_a, "law"_a,
        "clamp"_a, "purpose"_a, "threads"_a);
  m.def(
      "lattice_slack",
      [](double sigma, std::size_t pixels) {
        return make_lattice_table(sigma, pixels)->slack_per_pixel * static_cast<double>(pixels);
      },
      "sigma"_a, "pixels"_a, "Total-variation distance per image of the lattice noise as drawn.");
  m.def("format_radius", &format_radius, "value"_a);
  m.def("min_samples_to_certify", &min_samples_to_certify, "alpha"_a);
}

}  // namespace smoothcert::python
