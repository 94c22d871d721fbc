// Settings by their names on the command line.
#include "settings.hpp"

#include "smoothcert/error.hpp"

namespace smoothcert::python {

namespace nb = nanobind;

namespace {

template <class T>
T number(const nb::dict& keywords, const char* name) {
  return nb::cast<T>(keywords[name]);
}

std::string text(const nb::dict& keywords, const char* name) {
  return nb::cast<nb::str>(keywords[name]).c_str();
}

}  // namespace

Purpose purpose_from_name(const std::string& name) {
  if (name == "select") return Purpose::select;
  if (name == "estimate") return Purpose::estimate;
  if (name == "predict") return Purpose::predict;
  throw_unknown_name("purpose", "stage", name, {"select", "estimate", "predict"});
}

CertifySettings settings_from(const nb::dict& k) {
  CertifySettings s;
  s.sigma = number<double>(k, "sigma");
  s.n0 = number<std::uint64_t>(k, "n0");
  s.n = number<std::uint64_t>(k, "n");
  s.alpha = number<double>(k, "alpha");
  s.seed = number<std::uint64_t>(k, "seed");
  s.noise = from_name<NoiseLaw>(text(k, "noise"), "noise");
  s.clamp = number<bool>(k, "clamp");
  s.mode = from_name<Mode>(text(k, "mode"), "mode");
  s.p_b = from_name<SecondBound>(text(k, "p_b"), "p_b");
  const bool within = !k["stop_within"].is_none(), at = !k["stop_at"].is_none();
  if (within && at)
    throw UsageError("stop_within and stop_at: an image stops by one rule; give one of them");
  if (within || at) {
    s.sequential = true;
    s.stopping = within ? Stopping{StopRule::within, number<double>(k, "stop_within")}
                        : Stopping{StopRule::at, number<double>(k, "stop_at")};
  }
  s = settled(s);  // λ as drawn; n₀, n and α of splitting noise follow from it
  validate(s);
  return s;
}

nb::dict settings_dict(const CertifySettings& s) {
  nb::dict d;
  d["sigma"] = s.sigma;
  d["n0"] = s.n0;
  d["n"] = s.n;
  d["alpha"] = s.alpha;
  d["seed"] = s.seed;
  d["noise"] = nb::str(to_name(s.noise).c_str());
  d["clamp"] = s.clamp;
  d["mode"] = nb::str(to_name(s.mode).c_str());
  d["p_b"] = nb::str(to_name(s.p_b).c_str());
  d["stop_within"] = nb::none();
  d["stop_at"] = nb::none();
  if (s.sequential && s.stopping.rule == StopRule::within) d["stop_within"] = s.stopping.target;
  if (s.sequential && s.stopping.rule == StopRule::at) d["stop_at"] = s.stopping.target;
  return d;
}

}  // namespace smoothcert::python
