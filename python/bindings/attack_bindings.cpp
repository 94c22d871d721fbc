// Attacks, and disproofs of stored certificates.
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>

#include "arrays.hpp"
#include "bindings.hpp"
#include "models.hpp"
#include "smoothcert/attack.hpp"
#include "smoothcert/disproof_campaign.hpp"
#include "smoothcert/error.hpp"
#include "waiting.hpp"

namespace smoothcert::python {
namespace {

// Images between two looks at Ctrl-C; no answer depends on it.
constexpr std::size_t kBatch = 200;

/// From name, epsilon, steps, step_size, random_start, restarts, seed; none: the attack's own.
AttackSpec attack_from(const nb::dict& k) {
  AttackSpec spec = attack_from_name(nb::cast<std::string>(k["attack"]));
  const auto given = [&](const char* name) { return !k[name].is_none(); };
  if (given("epsilon")) spec.epsilon = nb::cast<double>(k["epsilon"]);
  if (spec.projected()) {
    if (given("steps")) spec.steps = nb::cast<int>(k["steps"]);
    if (given("step_size")) spec.step_size = nb::cast<double>(k["step_size"]);
    if (given("restarts")) spec.restarts = nb::cast<int>(k["restarts"]);
    spec.random_start = nb::cast<bool>(k["random_start"]) || spec.restarts > 1;
  }
  spec.seed = nb::cast<std::uint64_t>(k["seed"]);
  validate(spec);
  return spec;
}

void add(AttackReport& sum, const AttackReport& part) {
  sum.images += part.images;
  sum.correct_cross_entropy += part.correct_cross_entropy;
  sum.correct_margin += part.correct_margin;
  sum.correct_worst += part.correct_worst;
  sum.zero_gradient += part.zero_gradient;
  sum.nan_gradient += part.nan_gradient;
  sum.seconds += part.seconds;
}

void attack_examples(BackendModel& model, const AttackSpec& spec, const Dataset& data,
                     std::span<const std::uint32_t> indices, std::span<float> out) {
  std::vector<float> x;
  std::vector<Label> labels;
  for (const std::uint32_t index : indices) {
    for (const std::uint8_t v : data.image(index)) x.push_back(static_cast<float>(v) / 255.0f);
    labels.push_back(data.labels[index]);
  }
  attack_batch(model, spec, x, labels, indices, out);
}

double share(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

nb::dict report_dict(const AttackReport& r) {
  nb::dict d;
  d["attack"] = nb::str(to_name(r.spec.kind).c_str());
  d["epsilon"] = r.spec.epsilon;
  d["steps"] = r.spec.steps;
  d["images"] = r.images;
  d["accuracy_cross_entropy"] = share(r.correct_cross_entropy, r.images);
  d["accuracy_margin"] = share(r.correct_margin, r.images);
  d["accuracy_worst"] = share(r.correct_worst, r.images);
  d["zero_gradient"] = r.zero_gradient;
  d["nan_gradient"] = r.nan_gradient;
  d["seconds"] = r.seconds;
  return d;
}

nb::dict attack(Model& model, const Images& images, const std::vector<std::uint32_t>& indices,
                const nb::list& attacks, bool examples, const nb::object& on_progress) {
  Model::Use use(model);
  std::vector<AttackSpec> specs;
  for (const nb::handle keywords : attacks)
    specs.push_back(attack_from(nb::cast<nb::dict>(keywords)));
  std::vector<AttackReport> reports(specs.size());
  std::vector<std::vector<float>> adversarial(specs.size());
  const std::size_t size = images.data.shape.size();
  double right = 0;
  use.wait_for(on_progress, [&](const std::stop_token& stop, const Tell& tell) {
    BackendModel& backend = model.backend();
    const std::size_t total = indices.size() * (specs.size() + 1);
    std::size_t done = 0;
    const auto parts = [&](const auto& work) {
      for (std::size_t first = 0; first < indices.size(); first += kBatch) {
        if (stop.stop_requested()) throw Interrupted("attack stopped");
        const auto part =
            std::span(indices).subspan(first, std::min(kBatch, indices.size() - first));
        work(part, first);
        done += part.size();
        tell([done, total](const nb::object& f) { f("attack", done, total); });
      }
    };
    parts([&](std::span<const std::uint32_t> part, std::size_t) {
      right += clean_accuracy(backend, images.data, part) * static_cast<double>(part.size());
    });
    for (std::size_t i = 0; i < specs.size(); ++i) {
      reports[i].spec = specs[i];
      if (examples) adversarial[i].resize(indices.size() * size);
      parts([&](std::span<const std::uint32_t> part, std::size_t first) {
        add(reports[i], attack_accuracy(backend, specs[i], images.data, part, stop));
        if (examples)
          attack_examples(backend, specs[i], images.data, part,
                          std::span(adversarial[i]).subspan(first * size, part.size() * size));
      });
    }
  });
  nb::dict out;
  out["clean_accuracy"] = right / static_cast<double>(indices.size());
  out["images"] = indices.size();
  nb::list list;
  nb::dict arrays;
  const ImageShape& s = images.data.shape;
  const auto extent = [](int value) { return static_cast<std::size_t>(value); };
  for (std::size_t i = 0; i < specs.size(); ++i) {
    list.append(report_dict(reports[i]));
    if (examples)
      arrays[to_name(specs[i].kind).c_str()] =
          to_numpy(std::move(adversarial[i]),
                   {indices.size(), extent(s.channels), extent(s.height), extent(s.width)});
  }
  out["attacks"] = list;
  out["adversarial"] = arrays;
  return out;
}

nb::dict disprove(Model& model, const Images& images, const std::string& store_file,
                  const nb::dict& k, std::uint64_t most, const nb::object& on_progress) {
  Model::Use use(model);
  DisproofSettings settings;
  settings.alpha = nb::cast<double>(k["alpha"]);
  settings.samples = nb::cast<std::uint64_t>(k["samples"]);
  settings.noises = nb::cast<std::uint64_t>(k["noises"]);
  settings.steps = nb::cast<std::uint64_t>(k["steps"]);
  settings.bisections = nb::cast<std::uint64_t>(k["bisections"]);
  std::vector<DisprovedRun> runs;
  std::vector<std::string> lines;
  use.wait_for(on_progress, [&](const std::stop_token& stop, const Tell& tell) {
    // Looked at before it is opened for writing, which would make a store of an empty file.
    if (ResultsStore::open(store_file, ResultsStore::Access::read_only)->runs().empty())
      throw Error(store_file + ": holds no run to disprove");
    const auto store = ResultsStore::open(store_file, ResultsStore::Access::read_write);
    DisproofObserver observer;
    observer.say = [&](std::string_view line) { lines.emplace_back(line); };
    observer.progress = [&](std::int64_t run, std::size_t done, std::size_t total) {
      tell([run, done, total](const nb::object& f) {
        f("disprove, run " + std::to_string(run), done, total);
      });
    };
    runs = disprove_into_store(*store, model.backend(),
                               {model.network(), images.data, settings, store_file, most}, observer,
                               stop);
  });
  nb::list list;
  for (const DisprovedRun& o : runs) {
    nb::dict run;
    std::vector<std::uint32_t> index;
    std::vector<std::int64_t> selected, rival;
    std::vector<double> radius, distance, p_value;
    std::vector<std::uint64_t> votes_selected, votes_rival;
    std::vector<std::uint8_t> confirmed, pixels;
    for (const Disproof& d : o.tests) {
      const Certificate& c = o.certificates.at(d.image);
      index.push_back(d.image);
      selected.push_back(c.selected);
      rival.push_back(d.rival);
      radius.push_back(c.radius);
      distance.push_back(d.radius());
      votes_selected.push_back(d.votes_selected);
      votes_rival.push_back(d.votes_rival);
      p_value.push_back(disproof_p_value(d.votes_selected, d.votes_rival));
      confirmed.push_back(d.confirmed() ? 1 : 0);
      pixels.insert(pixels.end(), d.pixels.begin(), d.pixels.end());
    }
    const ImageShape& s = images.data.shape;
    const auto extent = [](int value) { return static_cast<std::size_t>(value); };
    run["run"] = o.run.id;
    run["certified"] = o.certified;
    run["below_radius"] = o.contradictions.contradictions;
    run["below_radius_p_value"] = o.contradictions.p_value;
    run["images"] = to_numpy(std::move(pixels), {o.tests.size(), extent(s.channels),
                                                 extent(s.height), extent(s.width)});
    run["index"] = to_numpy(std::move(index));
    run["selected"] = to_numpy(std::move(selected));
    run["rival"] = to_numpy(std::move(rival));
    run["radius"] = to_numpy(std::move(radius));
    run["distance"] = to_numpy(std::move(distance));
    run["votes_selected"] = to_numpy(std::move(votes_selected));
    run["votes_rival"] = to_numpy(std::move(votes_rival));
    run["p_value"] = to_numpy(std::move(p_value));
    run["confirmed"] = to_numpy(std::move(confirmed));
    list.append(run);
  }
  require_no_defect(runs);
  nb::dict out;
  out["runs"] = list;
  out["notes"] = nb::cast(lines);
  return out;
}

}  // namespace

void bind_attacks(nb::module_& m) {
  using namespace nb::literals;
  m.def("attack", &attack, "model"_a, "images"_a, "indices"_a, "attacks"_a, "examples"_a,
        "on_progress"_a.none());
  m.def("attack_names", [] { return all_names<AttackKind>(); });
  m.def("disprove", &disprove, "model"_a, "images"_a, "store"_a, "keywords"_a, "most"_a,
        "on_progress"_a.none());
}

}  // namespace smoothcert::python
