// Runs of a store, image by image, put to the search.
#include "smoothcert/disproof_campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "smoothcert/campaign.hpp"
#include "smoothcert/error.hpp"
#include "smoothcert/subsets.hpp"

namespace smoothcert {
namespace {

// So many contradictions by chance, or more: below this the program or a store is at fault.
constexpr double kDefect = 1e-4;

DisprovedRun disprove_run(ResultsStore& store, const RunInfo& run, BackendModel& model,
                          const DisproofCampaign& campaign, const DisproofObserver& observer,
                          const std::stop_token& stop) {
  DisprovedRun outcome;
  outcome.run = run;
  std::set<std::uint32_t> tested;
  for (const Disproof& d : store.disproofs(run.id)) tested.insert(d.image);
  const auto certificates = store.certificates(run.id);
  std::vector<std::uint32_t> images;
  for (const Certificate& c : certificates)
    if (c.radius > 0) {
      images.push_back(c.image);
      outcome.certificates.emplace(c.image, c);
    }
  if (campaign.most > 0) images = spread_over(images, campaign.most);
  outcome.certified = images.size();
  for (std::size_t i = 0; i < images.size(); ++i) {
    if (observer.progress) observer.progress(run.id, i, images.size());
    if (tested.contains(images[i])) continue;
    const auto found = find_disproof(model, campaign.data, outcome.certificates.at(images[i]),
                                     run.settings.certify, campaign.settings, stop);
    if (found) store.add_disproof(run.id, *found);
  }
  outcome.tests = store.disproofs(run.id);
  std::erase_if(outcome.tests,
                [&](const Disproof& d) { return !outcome.certificates.contains(d.image); });
  outcome.brackets = summarise(brackets(certificates, outcome.tests));
  double alpha = 0;
  for (const Disproof& d : outcome.tests) alpha = std::max(alpha, d.alpha);
  outcome.contradictions = contradictions(outcome.tests.size(), outcome.brackets.below,
                                          run.settings.certify.alpha, alpha);
  return outcome;
}

}  // namespace

std::vector<DisprovedRun> disprove_into_store(ResultsStore& store, BackendModel& model,
                                              const DisproofCampaign& campaign,
                                              const DisproofObserver& observer,
                                              std::stop_token stop) {
  validate(campaign.settings);
  std::vector<DisprovedRun> outcomes;
  for (const RunInfo& run : store.runs()) {
    const RunSettings ours = make_run_settings(campaign.network, run.settings.model_name, model,
                                               campaign.data, run.settings.certify);
    if (run_key(ours) != run.key) continue;
    const NoiseTraits& law = noise_traits(run.settings.certify.noise);
    if (law.norm != Norm::l2) {
      if (observer.say)
        observer.say(fmt::format("run {} is of {}; the search is in L2, and leaves it out", run.id,
                                 law.words));
      continue;
    }
    outcomes.push_back(disprove_run(store, run, model, campaign, observer, stop));
  }
  if (outcomes.empty())
    throw UsageError(
        fmt::format("disprove: no L2 run of {} is of this model, data set and program version",
                    campaign.store_name));
  return outcomes;
}

void require_no_defect(const std::vector<DisprovedRun>& runs) {
  for (const DisprovedRun& outcome : runs)
    if (outcome.contradictions.p_value < kDefect)
      throw Error(fmt::format(
          "run {}: {} of {} confirmed points lie within the certified radius; chance explains it "
          "with p = {:.1e}, a defect of this program or a changed store otherwise; please report "
          "this",
          outcome.run.id, outcome.contradictions.contradictions, outcome.contradictions.tests,
          outcome.contradictions.p_value));
}

}  // namespace smoothcert
