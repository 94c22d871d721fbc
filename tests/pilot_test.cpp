// What a plan expects of a run from a few votes.
#include "smoothcert/pilot.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "campaign_support.hpp"
#include "smoothcert/backend.hpp"
#include "smoothcert/campaign.hpp"
#include "smoothcert/sweep.hpp"

namespace smoothcert {
namespace {

constexpr ImageShape kShape{1, 28, 28};

CertifySettings sequential_settings(Stopping stopping) {
  CertifySettings settings;
  settings.sigma = 0.5;
  settings.n0 = 100;
  settings.n = 100000;
  settings.alpha = 0.001;
  settings.sequential = true;
  settings.stopping = stopping;
  return settings;
}

TEST(ExpectedSamples, AreAllWhereNothingStopsThem) {
  CertifySettings settings = sequential_settings({});
  const std::vector<StageCounts> pilot = {{{128, 0}, 0}};
  EXPECT_EQ(expected_samples(pilot, settings, kShape), 100100);
  settings.stopping = {StopRule::at, 0.5};
  EXPECT_EQ(expected_samples({}, settings, kShape), 100100) << "no pilot";
}

TEST(ExpectedSamples, AreThoseOfImagesThatStayAsTheyAre) {
  const CertifySettings settings = sequential_settings({StopRule::at, 0.5});
  const std::vector<StageCounts> sure = {{{128, 0}, 0}}, hopeless = {{{70, 58}, 0}};
  // Unanimous: the radius of one sigma, p = 0.841, is certified at the first look.
  EXPECT_EQ(expected_samples(sure, settings, kShape), 600);
  // 70 of 128 are far from 0.841, which the first look knows as well.
  EXPECT_EQ(expected_samples(hopeless, settings, kShape), 600);
  // 108 of 128 are 0.844: just above, all samples are needed.
  const std::vector<StageCounts> close = {{{108, 20}, 0}};
  EXPECT_GT(expected_samples(close, settings, kShape), 20000);
  const std::vector<StageCounts> both = {sure[0], close[0]};
  EXPECT_EQ(expected_samples(both, settings, kShape),
            (600 + expected_samples(close, settings, kShape)) / 2);
  // A radius that is not asked for stops where it can no longer grow much.
  const CertifySettings within = sequential_settings({StopRule::within, 0.05});
  EXPECT_GT(expected_samples(sure, within, kShape), 600);
  EXPECT_LT(expected_samples(sure, within, kShape), 100100);
}

TEST(PilotVotes, AreTheFirstOfTheSelection) {
  const Network network = test::toy_network(1);
  const Dataset data = test::toy_dataset(network);
  test::CountingBackend backend;
  const auto model = backend.load(network);
  CertifySettings settings;
  settings.sigma = 0.5;
  std::vector<std::uint32_t> all(data.size());
  std::iota(all.begin(), all.end(), 0u);
  const auto pilot = pilot_votes(*model, data, all, settings);
  EXPECT_EQ(pilot.size(), 32u);
  std::vector<StageCounts> again(1);
  model
      ->count_votes(vote_settings(settings, data.shape),
                    {{all[0], data.image(all[0]).data(), Purpose::select, 0, 128}},
                    [&](const VoteResult& r) {
                      again[0] = {r.counts, r.invalid};
                    })
      ->wait();
  EXPECT_EQ(pilot[0].counts, again[0].counts);
  for (const StageCounts& votes : pilot) EXPECT_EQ(votes_in(votes.counts, votes.invalid), 128u);
}

}  // namespace
}  // namespace smoothcert
