#include "geodet/nms.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "geodet/rect.hpp"
#include "random.hpp"

namespace {

using geodet::Rect;
using geodet::Status;

struct Problem {
  std::vector<float> boxes;
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> groups;

  std::int64_t count() const { return static_cast<std::int64_t>(order.size()); }
};

Problem random_problem(std::int64_t n, std::int64_t num_groups, std::uint64_t seed) {
  geodet::test::Random random(seed);
  Problem problem;
  problem.order.resize(static_cast<std::size_t>(n));
  std::iota(problem.order.begin(), problem.order.end(), 0);
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = random.uniform(0, 40);
    const double y = random.uniform(0, 40);
    for (const double value : {x, y, x + random.uniform(0, 20), y + random.uniform(0, 20)}) {
      problem.boxes.push_back(static_cast<float>(value));
    }
    problem.groups.push_back(random.below(num_groups) - 1);
    std::swap(problem.order[static_cast<std::size_t>(i)],
              problem.order[static_cast<std::size_t>(random.below(i + 1))]);
  }
  return problem;
}

std::vector<std::int64_t> suppress(const Problem& problem, bool grouped, double threshold) {
  const std::int64_t n = problem.count();
  const std::int64_t bytes = geodet::nms_scratch_bytes(n, sizeof(float));
  std::vector<std::int64_t> scratch(static_cast<std::size_t>(bytes / 8 + 1));
  std::vector<std::int64_t> kept(static_cast<std::size_t>(n));
  std::int64_t num_kept = -1;
  GEODET_EXPECT(geodet::nms(problem.boxes.data(), n, problem.order.data(),
                            grouped ? problem.groups.data() : nullptr, threshold, scratch.data(),
                            kept.data(), &num_kept) == Status::kOk);
  kept.resize(static_cast<std::size_t>(num_kept));
  return kept;
}

Rect<float> box_at(const Problem& problem, std::int64_t index) {
  const float* box = problem.boxes.data() + 4 * index;
  return {box[0], box[1], box[2], box[3]};
}

std::vector<std::int64_t> suppress_slowly(const Problem& problem, bool grouped,
                                          double threshold) {
  std::vector<std::int64_t> kept;
  for (const std::int64_t index : problem.order) {
    const bool free = std::all_of(kept.begin(), kept.end(), [&](std::int64_t other) {
      if (grouped && problem.groups[static_cast<std::size_t>(other)] !=
                         problem.groups[static_cast<std::size_t>(index)]) {
        return true;
      }
      const float iou = geodet::rect_iou(box_at(problem, other), box_at(problem, index));
      return static_cast<double>(iou) <= threshold;
    });
    if (free) kept.push_back(index);
  }
  return kept;
}

}  // namespace

GEODET_TEST(nms_equals_its_definition) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    const Problem problem = random_problem(static_cast<std::int64_t>(20 * seed), 4, seed);
    for (const double threshold : {0.0, 0.3, 0.7, 1.0}) {
      GEODET_EXPECT(suppress(problem, false, threshold) ==
                    suppress_slowly(problem, false, threshold));
      GEODET_EXPECT(suppress(problem, true, threshold) ==
                    suppress_slowly(problem, true, threshold));
    }
  }
}

GEODET_TEST(nms_keeps_boxes_that_hold_a_nan) {
  Problem problem = random_problem(3, 1, 0);
  std::fill(problem.boxes.begin(), problem.boxes.end(), std::numeric_limits<float>::quiet_NaN());
  GEODET_EXPECT(suppress(problem, false, 0.5) == problem.order);
}

GEODET_TEST(nms_keeps_one_of_equal_boxes) {
  Problem problem = random_problem(200, 1, 0);
  for (std::size_t i = 4; i < problem.boxes.size(); ++i) problem.boxes[i] = problem.boxes[i - 4];
  GEODET_EXPECT(suppress(problem, false, 0.99) ==
                std::vector<std::int64_t>{problem.order.front()});
}

GEODET_TEST(nms_refuses_wrong_orders_and_thresholds) {
  Problem problem = random_problem(4, 1, 0);
  std::vector<std::int64_t> scratch(64);
  std::vector<std::int64_t> kept(4);
  std::int64_t num_kept = 0;
  const auto run = [&](std::int64_t n, double threshold) {
    return geodet::nms(problem.boxes.data(), n, problem.order.data(), nullptr, threshold,
                       scratch.data(), kept.data(), &num_kept);
  };
  GEODET_EXPECT(run(-1, 0.5) == Status::kInvalidArgument);
  GEODET_EXPECT(run(4, std::numeric_limits<double>::quiet_NaN()) == Status::kInvalidArgument);
  for (const std::int64_t wrong : {std::int64_t{4}, std::int64_t{-1}}) {
    problem.order[2] = wrong;
    GEODET_EXPECT(run(4, 0.5) == Status::kOutOfRange);
  }
}
