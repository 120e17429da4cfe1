#include "geodet/ranking.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "check.hpp"
#include "random.hpp"

namespace {

using geodet::Status;

template <typename T>
std::vector<std::int64_t> ranked(const std::vector<T>& scores) {
  const auto n = static_cast<std::int64_t>(scores.size());
  const std::int64_t bytes = geodet::ranking_scratch_bytes(n, sizeof(T));
  std::vector<std::int64_t> scratch(static_cast<std::size_t>(bytes / 8));
  std::vector<std::int64_t> order(scores.size());
  GEODET_EXPECT(geodet::rank_best_first(scores.data(), n, scratch.data(), order.data()) ==
                Status::kOk);
  return order;
}

template <typename T>
std::vector<std::int64_t> ranked_by_the_library(const std::vector<T>& scores) {
  const auto value = [&](std::int64_t i) {
    const T score = scores[static_cast<std::size_t>(i)];
    return std::isnan(score) ? -std::numeric_limits<T>::infinity() : score;
  };
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::int64_t a, std::int64_t b) { return value(a) > value(b); });
  return order;
}

template <typename T>
void expect_stable_orders() {
  const T inf = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  const std::vector<T> odd{nan, -nan,    inf,   -inf, T(0), T(-0.0), T(1),
                           -T(1), T(1e30), -T(1e30), std::numeric_limits<T>::denorm_min(),
                           -std::numeric_limits<T>::denorm_min()};
  geodet::test::Random random(7);
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{1000}}) {
    std::vector<T> scores(n);
    for (T& score : scores) {
      const bool is_odd = random.below(4) == 0;
      score = is_odd ? odd[static_cast<std::size_t>(random.below(12))]
                     : static_cast<T>(std::floor(random.uniform(-20, 20)) / 7);
    }
    GEODET_EXPECT(ranked(scores) == ranked_by_the_library(scores));
  }
}

}  // namespace

GEODET_TEST(ranking_is_a_stable_sort) {
  expect_stable_orders<float>();
  expect_stable_orders<double>();
}

GEODET_TEST(ranking_refuses_negative_counts) {
  GEODET_EXPECT(geodet::rank_best_first(static_cast<const float*>(nullptr), -1, nullptr,
                                        nullptr) == Status::kInvalidArgument);
}
