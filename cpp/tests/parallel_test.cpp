#include "geodet/parallel.hpp"

#include <atomic>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "check.hpp"

namespace {

using geodet::parallel_for;

// Every index exactly once?
bool covers(std::int64_t count, std::int64_t grain, int threads) {
  std::vector<std::atomic<int>> visits(static_cast<std::size_t>(count));
  parallel_for(count, grain, threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
  });
  for (const auto& visit : visits) {
    if (visit != 1) return false;
  }
  return true;
}

}  // namespace

GEODET_TEST(parallel_for_visits_every_index_once) {
  for (const std::int64_t count : {0, 1, 2, 7, 1000}) {
    for (const std::int64_t grain : {-1, 0, 1, 3, 5000}) {
      for (const int threads : {-1, 0, 1, 2, 4, 200}) GEODET_EXPECT(covers(count, grain, threads));
    }
  }
}

GEODET_TEST(parallel_for_of_nothing_calls_nothing) {
  bool called = false;
  parallel_for(0, 1, 4, [&](std::int64_t, std::int64_t) { called = true; });
  parallel_for(-5, 1, 4, [&](std::int64_t, std::int64_t) { called = true; });
  GEODET_EXPECT(!called);
}

GEODET_TEST(parallel_for_may_be_nested) {
  std::atomic<std::int64_t> sum{0};
  parallel_for(16, 1, 4, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      parallel_for(10, 1, 4, [&](std::int64_t b, std::int64_t e) { sum += e - b; });
    }
  });
  GEODET_EXPECT(sum == 160);
}

GEODET_TEST(parallel_for_serves_many_callers_at_once) {
  std::vector<std::thread> callers;
  std::atomic<int> good{0};
  for (int i = 0; i < 6; ++i) {
    callers.emplace_back([&] {
      for (int round = 0; round < 50; ++round) good += covers(100, 1, 3) ? 1 : 0;
    });
  }
  for (std::thread& caller : callers) caller.join();
  GEODET_EXPECT(good == 300);
}

#if defined(__unix__) || defined(__APPLE__)
GEODET_TEST(parallel_for_works_in_a_forked_child) {
  GEODET_EXPECT(covers(1000, 1, 4));  // the parent has workers by now; the child will not
  const pid_t child = fork();
  if (child == 0) _exit(covers(1000, 1, 4) && covers(1000, 1, 4) ? 0 : 1);
  int status = -1;
  GEODET_EXPECT(child > 0 && waitpid(child, &status, 0) == child);
  GEODET_EXPECT(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  GEODET_EXPECT(covers(1000, 1, 4));
}
#endif
