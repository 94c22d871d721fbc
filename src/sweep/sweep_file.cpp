// sweep.json → SweepSpec.
#include "smoothcert/sweep_file.hpp"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "smoothcert/certificate.hpp"
#include "smoothcert/data_source.hpp"
#include "smoothcert/error.hpp"
#include "util/atomic_file.hpp"
#include "util/decimal.hpp"
#include "util/json_depth.hpp"
#include "util/model_name.hpp"
#include "util/nearest_name.hpp"

namespace smoothcert {

namespace {

using nlohmann::json;

// One object of the file, with what its errors need.
class Object {
 public:
  Object(const json& value, std::string where, const std::vector<std::string>& known)
      : value_(value), where_(std::move(where)) {
    if (!value.is_object()) throw UsageError(where_ + ": expected an object");
    for (const auto& [name, unused] : value.items()) {
      if (std::ranges::find(known, name) == known.end()) {
        throw UsageError(where_ + ": " + unknown_name_message("member", name, known));
      }
    }
  }

  [[nodiscard]] bool has(const char* name) const { return value_.contains(name); }
  [[nodiscard]] const json& at(const char* name) const { return value_.at(name); }

  /// The member as a list: a single value is a list of one.
  [[nodiscard]] std::vector<json> list(const char* name) const {
    const json& member = value_.at(name);
    std::vector<json> values;
    if (member.is_array()) {
      values.assign(member.begin(), member.end());
    } else {
      values.push_back(member);
    }
    if (values.empty()) fail(name, "is an empty list");
    return values;
  }

  void numbers(const char* name, std::vector<double>& out) const {
    if (!has(name)) return;
    out.clear();
    for (const json& v : list(name)) {
      const std::string words = v.is_string() ? v.get<std::string>() : "";
      const auto fraction = words.find('/') != words.npos ? parse_real(words) : std::nullopt;
      if (!v.is_number() && !fraction)
        fail(name, "must be a number, a fraction as in \"8/255\", or a list of them");
      out.push_back(fraction ? *fraction : v.get<double>());
    }
    refuse_duplicates(name, out);
  }
  void counts(const char* name, std::vector<std::uint64_t>& out) const {
    if (!has(name)) return;
    out.clear();
    for (const json& v : list(name)) out.push_back(whole(name, v));
    refuse_duplicates(name, out);
  }
  [[nodiscard]] std::uint64_t count(const char* name, std::uint64_t otherwise) const {
    return has(name) ? whole(name, at(name)) : otherwise;
  }
  [[nodiscard]] std::string text(const char* name, const std::string& otherwise) const {
    if (!has(name)) return otherwise;
    if (!at(name).is_string()) fail(name, "must be a string");
    return at(name).get<std::string>();
  }
  [[nodiscard]] bool flag(const char* name, bool otherwise) const {
    if (!has(name)) return otherwise;
    if (!at(name).is_boolean()) fail(name, "must be true or false");
    return at(name).get<bool>();
  }
  template <class E>
  [[nodiscard]] E named(const char* name, E otherwise) const {
    return has(name) ? from_name<E>(text(name, ""), fmt::format("{}: \"{}\"", where_, name))
                     : otherwise;
  }
  template <class T>
  void refuse_duplicates(const char* name, const std::vector<T>& values) const {
    if (std::set<T>(values.begin(), values.end()).size() != values.size()) {
      fail(name, "holds a value twice");
    }
  }
  [[noreturn]] void fail(const char* name, const std::string& what) const {
    throw UsageError(fmt::format("{}: \"{}\" {}", where_, name, what));
  }

 private:
  [[nodiscard]] std::uint64_t whole(const char* name, const json& v) const {
    // 1e5 is as good a way to write a sample count as 100000.
    if (v.is_number_unsigned()) return v.get<std::uint64_t>();
    if (v.is_number_float()) {
      const double d = v.get<double>();
      if (d >= 0 && d < 1e15 && d == std::floor(d)) return static_cast<std::uint64_t>(d);
    }
    fail(name, "must hold whole numbers >= 0, not " + v.dump());
  }

  const json& value_;
  std::string where_;
};

/// "sigma" or "lambda", whichever sets this noise.
void read_scale(const Object& object, NoiseLaw noise, std::vector<double>& scales) {
  const NoiseTraits& traits = noise_traits(noise);
  const char* other = traits.has_width() ? "sigma" : "lambda";
  if (object.has(other))
    object.fail(other, fmt::format("is not what sets {}; \"{}\" is", traits.words, traits.scale));
  object.numbers(traits.scale, scales);
}

SweepModel parse_model(const json& value, const std::filesystem::path& folder, NoiseLaw noise,
                       const std::string& where) {
  SweepModel model;
  if (value.is_string()) {
    model.file = folder / value.get<std::string>();
  } else {
    const Object object(value, where, {"file", "name", "sigma", "lambda", "network"});
    if (!object.has("file")) object.fail("file", "is missing");
    model.file = folder / object.text("file", "");
    model.name = object.text("name", "");
    model.network = object.text("network", "");
    if (model.network.ends_with(".json")) model.network = (folder / model.network).string();
    read_scale(object, noise, model.sigmas);
  }
  return model;
}

/// Those that the file does not name.
void name_models(std::vector<SweepModel>& models) {
  std::vector<std::filesystem::path> files;
  for (const SweepModel& model : models)
    if (model.name.empty()) files.push_back(model.file);
  const auto names = model_names(files);
  auto next = names.begin();
  for (SweepModel& model : models)
    if (model.name.empty()) model.name = *next++;
}

SubsetSpec parse_subset(const json& value, const std::string& where) {
  const Object object(value, where, {"start", "skip", "max", "sample", "sample_seed"});
  SubsetSpec subset{object.count("start", 0), object.count("skip", 1), object.count("max", 0),
                    object.count("sample", 0), object.count("sample_seed", 0)};
  if (object.has("sample") && subset.sample == 0) object.fail("sample", "must be at least 1");
  if (subset.skip == 0) object.fail("skip", "must be at least 1");
  return subset;
}

}  // namespace

SweepSpec parse_sweep(const std::string& text, const std::filesystem::path& folder,
                      const std::string& where) {
  json value;
  try {
    value = json::parse(text, limit_json_depth<json>(where), true,
                        true);  // comments are welcome in a file by hand
  } catch (const json::parse_error& error) {
    const auto position = std::min<std::size_t>(error.byte, text.size());
    const auto lines = std::count(text.begin(), text.begin() + static_cast<long>(position), '\n');
    throw UsageError(fmt::format("{} is not valid JSON (line {})", where, lines + 1));
  } catch (const json::exception&) {  // out_of_range: 1e999
    throw UsageError(where + " holds a number that is too large");
  }
  const Object object(
      value, where,
      {"store", "data", "split", "models", "sigma", "lambda", "n0", "n", "alpha", "seed", "p_b",
       "subset", "noise", "clamp", "mode", "stop_within", "stop_at"});
  SweepSpec spec;
  spec.store = folder / object.text("store", "sweep.sqlite");
  spec.data = object.text("data", spec.data);
  // A folder beside the file; names of data sets and absolute paths stand for themselves.
  const auto known = data_set_names();
  std::error_code ignored;
  if (std::ranges::find(known, spec.data) == known.end() &&
      std::filesystem::is_directory(folder / spec.data, ignored)) {
    spec.data = (folder / spec.data).string();
  }
  spec.split = object.text("split", spec.split);
  if (spec.split != "train" && spec.split != "test") {
    object.fail("split", "must be \"train\" or \"test\"");
  }
  spec.noise = object.named("noise", spec.noise);
  const NoiseTraits& traits = noise_traits(spec.noise);
  if (traits.kind == CertificateKind::exact)
    for (const char* name : {"n0", "n", "alpha", "p_b", "clamp", "stop_within", "stop_at"})
      if (object.has(name))
        object.fail(name, "means nothing for splitting noise: all of its splits are evaluated");
  if (!object.has("models")) object.fail("models", "is missing");
  for (const json& model : object.list("models"))
    spec.models.push_back(parse_model(model, folder, spec.noise, where + ": \"models\""));
  name_models(spec.models);
  std::set<std::string> names;
  for (const SweepModel& model : spec.models) {
    if (!names.insert(model.name).second) {
      object.fail("models", "has two models named '" + model.name + "'; give them a \"name\"");
    }
  }
  read_scale(object, spec.noise, spec.sigmas);
  const auto check_sigmas = [&](const std::vector<double>& sigmas) {
    for (const double sigma : sigmas) {
      CertifySettings settings;
      settings.noise = spec.noise;
      settings.sigma = sigma;
      try {
        validate(settled(settings));
      } catch (const UsageError& error) {
        throw UsageError(where + ": " + error.what());
      }
    }
  };
  check_sigmas(spec.sigmas);
  for (const SweepModel& model : spec.models) {
    check_sigmas(model.sigmas);
    if (model.sigmas.empty() && spec.sigmas.empty()) {
      object.fail(traits.scale, "is missing, and model '" + model.name + "' has none of its own");
    }
  }
  object.counts("n0", spec.n0);
  object.counts("n", spec.n);
  object.numbers("alpha", spec.alphas);
  if (object.has("p_b")) {
    spec.p_bs.clear();
    for (const json& v : object.list("p_b")) {
      const auto bound =
          v.is_string() ? find_name<SecondBound>(v.get<std::string>()) : std::nullopt;
      if (!bound) object.fail("p_b", "must be \"complement\" or \"counted\", or both");
      spec.p_bs.push_back(*bound);
    }
    object.refuse_duplicates("p_b", spec.p_bs);
  }
  object.counts("seed", spec.seeds);
  if (object.has("subset")) {
    spec.subsets.clear();
    for (const json& s : object.list("subset")) {
      spec.subsets.push_back(parse_subset(s, where + ": \"subset\""));
    }
  }
  spec.mode = object.named("mode", spec.mode);
  if (spec.mode == Mode::external) object.fail("mode", "must be \"exact\" or \"fast\"");
  if (object.has("clamp")) spec.clamp = object.flag("clamp", true);
  if (object.has("stop_within") && object.has("stop_at"))
    object.fail("stop_at", "and \"stop_within\" are two rules; an image stops by one");
  for (const auto& [name, rule] :
       {std::pair{"stop_within", StopRule::within}, {"stop_at", StopRule::at}}) {
    std::vector<double> target;
    object.numbers(name, target);
    if (target.empty()) continue;
    if (target.size() > 1) object.fail(name, "must be one number");
    spec.stopping = Stopping{rule, target.front()};
  }
  return spec;
}

SweepSpec load_sweep(const std::filesystem::path& file) {
  const std::vector<std::uint8_t> bytes = read_file(file, std::size_t{16} << 20);
  return parse_sweep(std::string(bytes.begin(), bytes.end()), file.parent_path(),
                     "'" + file.string() + "'");
}

}  // namespace smoothcert
