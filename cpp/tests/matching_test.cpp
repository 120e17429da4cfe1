#include "geodet/matching.hpp"

#include <cstdint>
#include <memory>
#include <vector>

#include "check.hpp"
#include "random.hpp"

namespace {

using geodet::MatchInput;
using geodet::MatchSizes;
using geodet::Status;

struct Problem {
  std::vector<double> similarities;
  std::vector<std::int64_t> pred_offsets, target_offsets;
  std::vector<double> thresholds;
  std::unique_ptr<bool[]> ignored, crowd;
  MatchSizes sizes;

  MatchInput input() const {
    return {similarities.data(), pred_offsets.data(), target_offsets.data(),
            ignored.get(),       crowd.get(),         thresholds.data()};
  }
};

Problem random_problem(std::int64_t groups, std::int64_t most) {
  geodet::test::Random random(5);
  const auto count = [&] { return static_cast<std::int64_t>(random.uniform(0, 1) * double(most)); };
  Problem p;
  p.pred_offsets = p.target_offsets = {0};
  for (std::int64_t g = 0; g < groups; ++g) {
    const std::int64_t d = count(), t = count();
    p.pred_offsets.push_back(p.pred_offsets.back() + d);
    p.target_offsets.push_back(p.target_offsets.back() + t);
    for (std::int64_t i = 0; i < d * t; ++i) p.similarities.push_back(random.uniform(0, 1));
  }
  p.thresholds = {0.5, 0.9, 0.7};
  p.sizes = {groups,
             p.pred_offsets.back(),
             p.target_offsets.back(),
             static_cast<std::int64_t>(p.similarities.size()),
             2,
             3};
  const auto targets = static_cast<std::size_t>(p.sizes.targets);
  p.crowd = std::make_unique<bool[]>(targets);
  p.ignored = std::make_unique<bool[]>(2 * targets);
  for (std::size_t i = 0; i < targets; ++i) p.crowd[i] = random.uniform(0, 1) < 0.2;
  for (std::size_t i = 0; i < 2 * targets; ++i) {
    p.ignored[i] = p.crowd[i % targets] || random.uniform(0, 1) < 0.3;
  }
  return p;
}

Status run(const Problem& p, int threads, std::vector<std::int64_t>& matches) {
  const std::int64_t bytes = geodet::match_scratch_bytes(p.sizes);
  std::vector<std::int64_t> scratch(static_cast<std::size_t>(bytes) / 8 + 1, 77);
  matches.assign(static_cast<std::size_t>(6 * p.sizes.predictions), -7);
  return geodet::match_greedily(p.input(), p.sizes, scratch.data(), matches.data(), threads);
}

}  // namespace

GEODET_TEST(a_target_serves_one_prediction_and_a_crowd_many) {
  const Problem p = random_problem(400, 90);
  std::vector<std::int64_t> matches, threaded;
  GEODET_EXPECT(run(p, 1, matches) == Status::kOk);
  GEODET_EXPECT(run(p, 3, threaded) == Status::kOk);
  GEODET_EXPECT(matches == threaded);
  bool sound = true;
  for (std::int64_t way = 0; way < 6; ++way) {
    std::vector<int> served(static_cast<std::size_t>(p.sizes.targets));
    std::int64_t group = 0;
    for (std::int64_t d = 0; d < p.sizes.predictions; ++d) {
      while (d >= p.pred_offsets[static_cast<std::size_t>(group + 1)]) ++group;
      const std::int64_t t = matches[static_cast<std::size_t>(way * p.sizes.predictions + d)];
      if (t < 0) continue;
      sound = sound && t >= p.target_offsets[static_cast<std::size_t>(group)] &&
              t < p.target_offsets[static_cast<std::size_t>(group + 1)];
      const int times = ++served[static_cast<std::size_t>(t)];
      sound = sound && (times == 1 || p.crowd[static_cast<std::size_t>(t)]);
    }
  }
  GEODET_EXPECT(sound);
}

GEODET_TEST(offsets_that_point_outside_are_refused) {
  Problem p = random_problem(10, 8);
  std::vector<std::int64_t> matches;
  p.pred_offsets[3] += 1;  // rises still, but the blocks no longer fill the similarities
  const bool changed = p.target_offsets[3] - p.target_offsets[2] !=
                       p.target_offsets[4] - p.target_offsets[3];
  GEODET_EXPECT(!changed || run(p, 1, matches) == Status::kOutOfRange);
  p.pred_offsets[3] = INT64_MAX;
  GEODET_EXPECT(run(p, 1, matches) == Status::kOutOfRange);
  p = random_problem(10, 8);
  p.target_offsets[0] = -1;
  GEODET_EXPECT(run(p, 1, matches) == Status::kOutOfRange);
  p.sizes.groups = -1;
  GEODET_EXPECT(geodet::match_scratch_bytes(p.sizes) == -1);
}
