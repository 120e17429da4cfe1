#include "geodet/rotated_nms.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "geodet/rotated_overlap.hpp"
#include "random.hpp"

namespace {

using geodet::RotatedOverlap;
using geodet::Status;

struct Problem {
  std::vector<float> boxes;
  std::vector<std::int64_t> order;
  std::vector<std::int64_t> groups;

  std::int64_t count() const { return static_cast<std::int64_t>(order.size()); }
};

Problem random_problem(std::int64_t n, std::uint64_t seed) {
  geodet::test::Random random(seed);
  Problem problem;
  problem.order.resize(static_cast<std::size_t>(n));
  std::iota(problem.order.begin(), problem.order.end(), 0);
  for (std::int64_t i = 0; i < n; ++i) {
    for (const double value : {random.uniform(0, 40), random.uniform(0, 40),
                               random.uniform(-1, 20), random.uniform(-1, 20),
                               random.uniform(-180, 180)}) {
      problem.boxes.push_back(static_cast<float>(value));
    }
    problem.groups.push_back(random.below(3) - 1);
    std::swap(problem.order[static_cast<std::size_t>(i)],
              problem.order[static_cast<std::size_t>(random.below(i + 1))]);
  }
  return problem;
}

Status run(const Problem& problem, bool grouped, double threshold,
           std::vector<std::int64_t>* kept) {
  const std::int64_t n = problem.count();
  std::vector<double> scratch(
      static_cast<std::size_t>(geodet::rotated_nms_scratch_bytes(n) / 8 + 1));
  kept->resize(static_cast<std::size_t>(n));
  std::int64_t num_kept = 0;
  const Status status = geodet::rotated_nms(
      problem.boxes.data(), n, problem.order.data(), grouped ? problem.groups.data() : nullptr,
      threshold, scratch.data(), kept->data(), &num_kept);
  kept->resize(static_cast<std::size_t>(num_kept));
  return status;
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
      const auto iou = static_cast<float>(
          geodet::rotated_overlap(geodet::make_rotated_rect(problem.boxes.data() + 5 * other),
                                  geodet::make_rotated_rect(problem.boxes.data() + 5 * index),
                                  RotatedOverlap::kIou));
      return static_cast<double>(iou) <= threshold;
    });
    if (free) kept.push_back(index);
  }
  return kept;
}

}  // namespace

GEODET_TEST(rotated_nms_equals_its_definition) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Problem problem = random_problem(static_cast<std::int64_t>(20 * seed), seed);
    for (const double threshold : {0.0, 0.3, 0.7, 1.0}) {
      for (const bool grouped : {false, true}) {
        std::vector<std::int64_t> kept;
        GEODET_EXPECT(run(problem, grouped, threshold, &kept) == Status::kOk);
        GEODET_EXPECT(kept == suppress_slowly(problem, grouped, threshold));
      }
    }
  }
}

GEODET_TEST(rotated_nms_keeps_one_of_equal_boxes_and_all_that_hold_a_nan) {
  Problem problem = random_problem(200, 0);
  problem.boxes[2] = problem.boxes[3] = 5;
  for (std::size_t i = 5; i < problem.boxes.size(); ++i) problem.boxes[i] = problem.boxes[i - 5];
  std::vector<std::int64_t> kept;
  GEODET_EXPECT(run(problem, false, 0.99, &kept) == Status::kOk);
  GEODET_EXPECT(kept == std::vector<std::int64_t>{problem.order.front()});
  std::fill(problem.boxes.begin(), problem.boxes.end(), std::numeric_limits<float>::quiet_NaN());
  GEODET_EXPECT(run(problem, false, 0.5, &kept) == Status::kOk);
  GEODET_EXPECT(kept == problem.order);
}

GEODET_TEST(rotated_nms_refuses_wrong_orders_and_thresholds) {
  Problem problem = random_problem(4, 0);
  std::vector<std::int64_t> kept;
  GEODET_EXPECT(run(problem, false, -0.1, &kept) == Status::kInvalidArgument);
  GEODET_EXPECT(run(problem, false, std::numeric_limits<double>::quiet_NaN(), &kept) ==
                Status::kInvalidArgument);
  for (const std::int64_t wrong : {std::int64_t{4}, std::int64_t{-1}}) {
    problem.order[2] = wrong;
    GEODET_EXPECT(run(problem, false, 0.5, &kept) == Status::kOutOfRange);
  }
}
