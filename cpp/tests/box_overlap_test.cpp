#include "geodet/box_overlap.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "geodet/rect.hpp"
#include "geodet/threshold.hpp"
#include "random.hpp"

namespace {

using geodet::BoxMeasure;
using geodet::Rect;
using geodet::Status;

template <typename T>
std::vector<T> random_boxes(std::int64_t n, std::uint64_t seed) {
  geodet::test::Random random(seed);
  std::vector<T> boxes;
  for (std::int64_t i = 0; i < n; ++i) {
    const double x = random.uniform(0, 50);
    const double y = random.uniform(0, 50);
    for (const double value : {x, y, x + random.uniform(-1, 20), y + random.uniform(-1, 20)}) {
      boxes.push_back(static_cast<T>(value));
    }
  }
  return boxes;
}

constexpr BoxMeasure kMeasures[] = {BoxMeasure::kIntersection, BoxMeasure::kIou,
                                    BoxMeasure::kIoa,          BoxMeasure::kGiou,
                                    BoxMeasure::kDiou,         BoxMeasure::kCiou};

template <typename T>
std::vector<T> matrix(BoxMeasure measure, const std::vector<T>& a, const std::vector<T>& b,
                      int threads) {
  const auto n = static_cast<std::int64_t>(a.size() / 4);
  const auto m = static_cast<std::int64_t>(b.size() / 4);
  std::vector<T> scratch(static_cast<std::size_t>(geodet::kBoxScratch * m));
  std::vector<T> out(static_cast<std::size_t>(n * m), T(-9));
  GEODET_EXPECT(geodet::pairwise_box_overlap(measure, a.data(), n, b.data(), m, scratch.data(),
                                             out.data(), threads) == Status::kOk);
  return out;
}

// The vector code of the matrix against the scalar code of the matches, which CUDA shares.
template <typename T>
void check_equals_the_shared_maths() {
  const std::vector<T> a = random_boxes<T>(37, 1);
  const std::vector<T> b = random_boxes<T>(53, 2);
  for (const BoxMeasure measure : kMeasures) {
    const std::vector<T> all = matrix(measure, a, b, 1);
    bool equal = true;
    for (std::size_t i = 0; i < 37; ++i) {
      std::vector<T> repeated;
      for (std::size_t j = 0; j < 53; ++j) {
        repeated.insert(repeated.end(), a.begin() + static_cast<std::ptrdiff_t>(4 * i),
                        a.begin() + static_cast<std::ptrdiff_t>(4 * i + 4));
      }
      std::vector<T> row(53, T(-9));
      GEODET_EXPECT(geodet::matched_box_overlap(measure, repeated.data(), b.data(), 53, row.data(),
                                                1) == Status::kOk);
      for (std::size_t j = 0; j < 53; ++j) equal = equal && all[i * 53 + j] == row[j];
    }
    GEODET_EXPECT(equal);
  }
}

// rect_iou is what suppression uses.
template <typename T>
void check_equals_suppressions_iou() {
  const std::vector<T> a = random_boxes<T>(37, 1);
  const std::vector<T> b = random_boxes<T>(53, 2);
  const std::vector<T> iou = matrix(BoxMeasure::kIou, a, b, 1);
  bool equal = true;
  for (std::size_t i = 0; i < 37; ++i) {
    for (std::size_t j = 0; j < 53; ++j) {
      const Rect<T> p{a[4 * i], a[4 * i + 1], a[4 * i + 2], a[4 * i + 3]};
      const Rect<T> q{b[4 * j], b[4 * j + 1], b[4 * j + 2], b[4 * j + 3]};
      equal = equal && iou[i * 53 + j] == geodet::rect_iou(p, q);
    }
  }
  GEODET_EXPECT(equal);
}

}  // namespace

GEODET_TEST(box_matrices_equal_the_maths_that_cuda_runs) {
  check_equals_the_shared_maths<float>();
  check_equals_the_shared_maths<double>();
}

GEODET_TEST(iou_matrix_equals_the_iou_of_suppression) {
  check_equals_suppressions_iou<float>();
  check_equals_suppressions_iou<double>();
}

GEODET_TEST(iou_of_a_box_with_itself_is_one) {
  const Rect<float> box{0.1f, 0.2f, 7.3f, 9.9f};
  GEODET_EXPECT(geodet::rect_iou(box, box) == 1.0f);
}

GEODET_TEST(iou_without_overlap_or_area_is_zero) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const Rect<float> box{0, 0, 4, 4};
  for (const Rect<float> other :
       {Rect<float>{4, 0, 8, 4}, {2, 2, 2, 3}, {3, 3, 1, 1}, {nan, 0, 4, 4}, {0, 0, 4, nan},
        {-inf, -inf, inf, inf}, {inf, inf, inf, inf}}) {
    GEODET_EXPECT(geodet::rect_iou(box, other) == 0.0f);
    GEODET_EXPECT(geodet::rect_iou(other, box) == 0.0f);
  }
}

GEODET_TEST(iou_of_huge_boxes_stays_in_range) {
  const Rect<float> huge{-3e38f, -3e38f, 3e38f, 3e38f};
  const float iou = geodet::rect_iou(huge, huge);
  GEODET_EXPECT(iou >= 0.0f && iou <= 1.0f);
}

GEODET_TEST(box_measures_of_odd_boxes_are_numbers) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> odd = {0,    0,   4,   4,      nan,    0,     0,     nan,
                                  -inf, -inf, inf, inf,   -3e38f, -3e38f, 3e38f, 3e38f,
                                  9,    9,   1,   1,      2,      2,     2,     2};
  for (const BoxMeasure measure : kMeasures) {
    bool sound = true;
    for (const float value : matrix(measure, odd, odd, 1)) sound = sound && value >= -1.5f;
    GEODET_EXPECT(sound);
  }
}

// Central differences of the measures, in double, where no two coordinates tie.
GEODET_TEST(box_gradients_equal_differences) {
  const std::vector<double> a = random_boxes<double>(20, 5);
  const std::vector<double> b = random_boxes<double>(20, 6);
  const std::vector<double> grad(20, 1.0);
  const double step = 1e-6;
  for (const BoxMeasure measure : kMeasures) {
    if (measure == BoxMeasure::kCiou) continue;  // its gradient holds alpha constant
    std::vector<double> grad_a(80), grad_b(80), low(20), high(20);
    GEODET_EXPECT(geodet::matched_box_gradients(measure, a.data(), b.data(), 20, grad.data(),
                                                grad_a.data(), grad_b.data()) == Status::kOk);
    for (std::size_t c = 0; c < 4; ++c) {
      std::vector<double> less = a;
      std::vector<double> more = a;
      for (std::size_t i = c; i < 80; i += 4) {
        less[i] -= step;
        more[i] += step;
      }
      GEODET_EXPECT(geodet::matched_box_overlap(measure, less.data(), b.data(), 20, low.data(),
                                                1) == Status::kOk);
      GEODET_EXPECT(geodet::matched_box_overlap(measure, more.data(), b.data(), 20, high.data(),
                                                1) == Status::kOk);
      for (std::size_t i = 0; i < 20; ++i) {
        const double slope = (high[i] - low[i]) / (2 * step);
        GEODET_EXPECT(std::abs(slope - grad_a[4 * i + c]) < 1e-5 * (1 + std::abs(slope)));
      }
    }
  }
}

GEODET_TEST(pairwise_box_gradients_are_sums_of_matched_ones) {
  const std::vector<float> a = random_boxes<float>(7, 5);
  const std::vector<float> b = random_boxes<float>(9, 6);
  const std::vector<float> grad(63, 0.5f);
  for (const BoxMeasure measure : kMeasures) {
    std::vector<float> grad_a(28), grad_b(36), sum_b(36, 0.0f);
    GEODET_EXPECT(geodet::pairwise_box_gradients(measure, a.data(), 7, b.data(), 9, grad.data(),
                                                 grad_a.data(), grad_b.data()) == Status::kOk);
    for (std::size_t i = 0; i < 7; ++i) {
      std::vector<float> repeated;
      for (int j = 0; j < 9; ++j) {
        repeated.insert(repeated.end(), &a[4 * i], &a[4 * i] + 4);
      }
      std::vector<float> row_a(36), row_b(36);
      GEODET_EXPECT(geodet::matched_box_gradients(measure, repeated.data(), b.data(), 9,
                                                  grad.data(), row_a.data(),
                                                  row_b.data()) == Status::kOk);
      for (std::size_t k = 0; k < 4; ++k) {
        float sum = 0;
        for (std::size_t j = 0; j < 9; ++j) sum += row_a[4 * j + k];
        GEODET_EXPECT(sum == grad_a[4 * i + k]);
      }
      for (std::size_t k = 0; k < 36; ++k) sum_b[k] += row_b[k];
    }
    GEODET_EXPECT(sum_b == grad_b);
  }
}

GEODET_TEST(box_overlap_threads_change_nothing) {
  const std::vector<float> a = random_boxes<float>(1500, 3);
  for (const BoxMeasure measure : kMeasures) {
    GEODET_EXPECT(matrix(measure, a, a, 1) == matrix(measure, a, a, 4));
  }
}

GEODET_TEST(box_overlap_of_nothing_writes_nothing) {
  GEODET_EXPECT(matrix<float>(BoxMeasure::kCiou, {}, {}, 2).empty());
  GEODET_EXPECT(matrix<float>(BoxMeasure::kIou, random_boxes<float>(3, 1), {}, 2).empty());
  GEODET_EXPECT(matrix<float>(BoxMeasure::kIou, {}, random_boxes<float>(3, 1), 2).empty());
}

GEODET_TEST(box_overlap_refuses_negative_counts_and_unknown_measures) {
  const float* none = nullptr;
  GEODET_EXPECT(geodet::pairwise_box_overlap(BoxMeasure::kIou, none, -1, none, 0, nullptr, nullptr,
                                             1) == Status::kInvalidArgument);
  GEODET_EXPECT(geodet::matched_box_overlap(BoxMeasure::kIou, none, none, -1, nullptr, 1) ==
                Status::kInvalidArgument);
  GEODET_EXPECT(geodet::matched_box_overlap(static_cast<BoxMeasure>(6), none, none, 0, nullptr,
                                            1) == Status::kInvalidArgument);
}

GEODET_TEST(thresholds_are_rounded_down) {
  for (const double threshold : {0.0, 0.1, 0.3, 0.5, 0.7, 1.0, -0.1}) {
    const float bound = geodet::round_down<float>(threshold);
    GEODET_EXPECT(static_cast<double>(bound) <= threshold);
    GEODET_EXPECT(static_cast<double>(std::nextafter(bound, 2.0f)) > threshold);
  }
}
