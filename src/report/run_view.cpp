// One run as the charts and tables of both reports see it: a model of a comparison, a run of a
// store, or a peer's file.
#include "report/run_view.hpp"

#include <tuple>

namespace smoothcert::report {

std::vector<RunView> run_views(const StudyResult& study) {
  std::vector<RunView> views;
  for (const StudyModel& m : study.models)
    if (!m.certificates.empty())
      views.push_back({m.name, &m.certificates, &study.certify, study.shape, m.clean_accuracy,
                       study.test_hash, nullptr});
  return views;
}

std::vector<RunView> run_views(const SweepResult& sweep) {
  std::vector<RunView> views;
  for (const ReportedRun& run : sweep.runs) {
    const bool ours = !run.imported;
    views.push_back({run.name, &run.certificates, ours ? &run.settings.certify : nullptr,
                     run.settings.shape, -1, ours ? run.settings.dataset_hash : "",
                     run.disproofs.empty() ? nullptr : &run.disproofs});
  }
  return views;
}

Norm norm_of(const RunView& run) {
  return run.settings == nullptr ? Norm::l2 : noise_traits(run.settings->noise).norm;
}

std::string norm_title(Norm norm) {
  return norm == Norm::l1 ? "L1" : norm == Norm::l2 ? "L2" : "L∞";
}

bool is_exact(const RunView& run) {
  return run.settings != nullptr &&
         noise_traits(run.settings->noise).kind == CertificateKind::exact;
}

bool comparable(const RunView& a, const RunView& b) {
  if (a.settings == nullptr || b.settings == nullptr || a.data != b.data) return false;
  const CertifySettings &s = *a.settings, &t = *b.settings;
  return s.sigma == t.sigma && s.n == t.n && s.alpha == t.alpha && s.p_b == t.p_b &&
         s.noise == t.noise && s.clamp == t.clamp && s.mode == t.mode &&
         s.sequential == t.sequential && s.stopping.rule == t.stopping.rule &&
         s.stopping.target == t.stopping.target;
}

std::vector<std::string> differences(const std::vector<const RunView*>& runs) {
  std::vector<std::string> out;
  const auto add = [&](const char* name, auto of) {
    for (const RunView* run : runs)
      if (of(*run) != of(*runs.front())) return out.emplace_back(name), void();
  };
  add("data", [](const RunView& r) { return r.data; });
  add("n", [](const RunView& r) { return r.settings->n; });
  add("α", [](const RunView& r) { return r.settings->alpha; });
  add("p_B", [](const RunView& r) { return r.settings->p_b; });
  add("noise law", [](const RunView& r) { return r.settings->noise; });
  add("clamping", [](const RunView& r) { return r.settings->clamp; });
  add("mode", [](const RunView& r) { return r.settings->mode; });
  add("stopping rule", [](const RunView& r) {
    const CertifySettings& s = *r.settings;
    return std::tuple(s.sequential, s.stopping.rule, s.stopping.target);
  });
  return out;
}

}  // namespace smoothcert::report
