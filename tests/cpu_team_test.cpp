// The threads of a training epoch: every item once, meetings that all see, failures passed on.
#include <gtest/gtest.h>

#include <stdexcept>
#include <thread>
#include <vector>

#include "cpu/team.hpp"

namespace smoothcert::cpu {
namespace {

TEST(Team, EveryItemRunsOnceBetweenTwoMeetings) {
  for (const int threads : {1, 2, 5})
    for (const std::size_t limit : {1, 2, 8}) {
      ThreadPool pool(threads);
      Team team(pool, 11, limit);
      std::vector<int> seen(11, 0);  // unprotected: items are exclusive, meetings order them
      int meetings = 0, wrong = 0;
      const auto caller = std::this_thread::get_id();
      team.run([&](int worker) {
        for (int round = 0; round < 200; ++round) {
          const std::size_t count = static_cast<std::size_t>(round) % 12;
          team.for_each(worker, count, [&](std::size_t item) { ++seen[item]; });
          const bool going = team.together(worker, [&] {
            if (std::this_thread::get_id() != caller) ++wrong;
            for (std::size_t i = 0; i < seen.size(); ++i)
              if (seen[i] != (i < count ? 1 : 0)) ++wrong;
            seen.assign(11, 0);
            ++meetings;
          });
          if (!going) return;
        }
      });
      EXPECT_EQ(meetings, 200);
      EXPECT_EQ(wrong, 0);
    }
}

TEST(Team, AFailureEndsTheRunForAllThreads) {
  ThreadPool pool(3);
  for (const bool in_item : {true, false}) {
    Team team(pool, 4, 3);
    int meetings = 0;
    EXPECT_THROW(team.run([&](int worker) {
      for (int round = 0;; ++round) {
        team.for_each(worker, 4, [&](std::size_t item) {
          if (in_item && round == 5 && item == 2) throw std::runtime_error("item");
        });
        if (!team.together(worker, [&] {
              if (!in_item && round == 5) throw std::runtime_error("meeting");
              ++meetings;
            }))
          return;
      }
    }),
                 std::runtime_error);
    EXPECT_EQ(meetings, 5);
  }
}

}  // namespace
}  // namespace smoothcert::cpu
