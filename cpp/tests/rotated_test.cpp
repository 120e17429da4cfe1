#include "geodet/rotated_iou.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "geodet/rotated_overlap.hpp"
#include "random.hpp"

namespace {

using geodet::RotatedOverlap;
using geodet::RotatedRect;
using geodet::Status;

constexpr double kPi = 3.14159265358979323846;

template <typename T>
std::vector<T> random_boxes(std::int64_t n, std::uint64_t seed) {
  geodet::test::Random random(seed);
  std::vector<T> boxes;
  for (std::int64_t i = 0; i < n; ++i) {
    for (const double value : {random.uniform(0, 40), random.uniform(0, 40),
                               random.uniform(-1, 20), random.uniform(-1, 20),
                               random.uniform(-360, 360)}) {
      boxes.push_back(static_cast<T>(value));
    }
  }
  return boxes;
}

template <typename T>
std::vector<T> matrix(const std::vector<T>& a, const std::vector<T>& b, RotatedOverlap quantity,
                      int threads) {
  const auto n = static_cast<std::int64_t>(a.size() / 5);
  const auto m = static_cast<std::int64_t>(b.size() / 5);
  std::vector<double> scratch(
      static_cast<std::size_t>(geodet::rotated_scratch_bytes(n, m) / 8 + 1));
  std::vector<T> out(static_cast<std::size_t>(n * m), T(-7));
  GEODET_EXPECT(geodet::pairwise_rotated_overlap(a.data(), n, b.data(), m, quantity,
                                                 scratch.data(), out.data(),
                                                 threads) == Status::kOk);
  return out;
}

template <typename T>
void check_equals_the_shared_maths(RotatedOverlap quantity) {
  const std::vector<T> a = random_boxes<T>(61, 1);
  const std::vector<T> b = random_boxes<T>(137, 2);
  const std::vector<T> out = matrix(a, b, quantity, 1);
  bool equal = true;
  for (std::size_t i = 0; i < 61; ++i) {
    for (std::size_t j = 0; j < 137; ++j) {
      const RotatedRect p = geodet::make_rotated_rect(a.data() + 5 * i);
      const RotatedRect q = geodet::make_rotated_rect(b.data() + 5 * j);
      equal = equal &&
              out[i * 137 + j] == static_cast<T>(geodet::rotated_overlap(p, q, quantity));
    }
  }
  GEODET_EXPECT(equal);
}

}  // namespace

GEODET_TEST(rotated_matrix_equals_the_maths_that_cuda_runs) {
  for (const RotatedOverlap quantity :
       {RotatedOverlap::kIntersection, RotatedOverlap::kIou, RotatedOverlap::kGiou}) {
    check_equals_the_shared_maths<float>(quantity);
    check_equals_the_shared_maths<double>(quantity);
  }
}

GEODET_TEST(rotated_area_by_sweeping_equals_area_by_clipping) {
  // Two derivations of one number: an integral around one box, and the clipped polygon.
  const std::vector<double> boxes = random_boxes<double>(400, 3);
  double worst = 0;
  for (std::size_t i = 0; i + 1 < 400; ++i) {
    const RotatedRect a = geodet::make_rotated_rect(boxes.data() + 5 * i);
    const RotatedRect b = geodet::make_rotated_rect(boxes.data() + 5 * (i + 1));
    if (!geodet::covers_something(a) || !geodet::covers_something(b)) continue;
    const geodet::RotatedPair pair =
        geodet::comes_first(a, b) ? geodet::make_rotated_pair(a, b, 1.0)
                                  : geodet::make_rotated_pair(b, a, 1.0);
    geodet::PairGradient unused{{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
    const double clipped =
        geodet::intersection_gradient(pair, geodet::relative_rect(pair), unused);
    worst = std::fmax(worst, std::fabs(clipped - geodet::intersection_area(pair)));
  }
  GEODET_EXPECT(worst < 1e-12);
}

GEODET_TEST(rotated_angles_in_degrees_are_right) {
  double worst = 0;
  for (int k = -4500; k <= 4500; ++k) {
    const double degrees = k / 100.0;
    const geodet::SinCos turn = geodet::sin_cos_to_45(degrees);
    worst = std::fmax(worst, std::fabs(turn.sin - std::sin(degrees * kPi / 180)));
    worst = std::fmax(worst, std::fabs(turn.cos - std::cos(degrees * kPi / 180)));
  }
  GEODET_EXPECT(worst < 3e-16);
  for (int quarter = -9; quarter <= 9; ++quarter) {
    double reduced = 0;
    const geodet::SinCos turn = geodet::half_turn_sin_cos(90.0 * quarter, &reduced);
    const bool odd = quarter % 2 != 0;
    GEODET_EXPECT(std::fabs(turn.sin) == (odd ? 1.0 : 0.0));
    GEODET_EXPECT(std::fabs(turn.cos) == (odd ? 0.0 : 1.0));
  }
}

GEODET_TEST(rotated_iou_of_a_box_with_itself_is_one) {
  for (const float angle : {0.0f, 17.3f, 45.0f, 90.0f, -135.0f, 1e6f}) {
    const float box[5] = {296.66f, 458.74f, 23.5f, 47.7f, angle};
    const RotatedRect rect = geodet::make_rotated_rect(box);
    GEODET_EXPECT(geodet::rotated_overlap(rect, rect, RotatedOverlap::kIou) == 1.0);
    GEODET_EXPECT(geodet::rotated_overlap(rect, rect, RotatedOverlap::kGiou) == 1.0);
  }
}

GEODET_TEST(rotated_threads_change_nothing) {
  const std::vector<float> a = random_boxes<float>(600, 4);
  GEODET_EXPECT(matrix(a, a, RotatedOverlap::kIou, 1) == matrix(a, a, RotatedOverlap::kIou, 4));
}

GEODET_TEST(rotated_boxes_that_are_not_finite_overlap_nothing) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  for (std::size_t k = 0; k < 5; ++k) {
    for (const float odd : {nan, inf, -inf}) {
      std::vector<float> boxes{0, 0, 4, 4, 0, 0, 0, 4, 4, 0};
      boxes[5 + k] = odd;
      for (const RotatedOverlap quantity : {RotatedOverlap::kIou, RotatedOverlap::kGiou}) {
        const float none = quantity == RotatedOverlap::kGiou ? -1.0f : 0.0f;
        const std::vector<float> expected{1, none, none, none};
        GEODET_EXPECT(matrix(boxes, boxes, quantity, 1) == expected);
      }
    }
  }
}

GEODET_TEST(rotated_gradients_of_extreme_boxes_are_finite) {
  const float most = std::numeric_limits<float>::max();
  std::vector<float> boxes;
  for (const float w : {-1.0f, 0.0f, 1e-45f, 1e-20f, 1.0f, most}) {
    for (const float h : {0.0f, 1e-45f, 1.0f, most}) {
      for (const float value : {most / 2, -1.0f, w, h, 30.0f}) boxes.push_back(value);
    }
  }
  const auto n = static_cast<std::int64_t>(boxes.size() / 5);
  const std::vector<float> grad(static_cast<std::size_t>(n * n), 1.0f);
  std::vector<float> grad_a(boxes.size()), grad_b(boxes.size());
  std::vector<double> scratch(
      static_cast<std::size_t>(geodet::rotated_backward_scratch_bytes(n, n) / 8 + 1));
  for (const RotatedOverlap quantity :
       {RotatedOverlap::kIntersection, RotatedOverlap::kIou, RotatedOverlap::kGiou}) {
    GEODET_EXPECT(geodet::pairwise_rotated_overlap_backward(
                      boxes.data(), n, boxes.data(), n, quantity, grad.data(),
                      static_cast<double>(most), scratch.data(), grad_a.data(), grad_b.data(),
                      2) == Status::kOk);
    bool finite = true;
    for (const float value : grad_a) finite = finite && std::isfinite(value);
    for (const float value : grad_b) finite = finite && std::isfinite(value);
    GEODET_EXPECT(finite);
  }
}

GEODET_TEST(rotated_clipping_stays_in_the_window) {
  const std::vector<float> boxes = random_boxes<float>(500, 5);
  std::vector<float> windows;
  for (std::size_t i = 0; i < 500; ++i) {
    for (const float value : {10.0f, 5.0f, 30.0f, 20.0f}) windows.push_back(value);
  }
  std::vector<float> points(500 * 16);
  std::vector<std::int64_t> counts(500);
  GEODET_EXPECT(geodet::clip_rotated_boxes(boxes.data(), windows.data(), 500, points.data(),
                                           counts.data()) == Status::kOk);
  bool inside = true;
  std::int64_t most = 0;
  for (std::size_t i = 0; i < 500; ++i) {
    most = counts[i] > most ? counts[i] : most;
    for (std::size_t k = 0; k < static_cast<std::size_t>(counts[i]); ++k) {
      const float x = points[16 * i + 2 * k];
      const float y = points[16 * i + 2 * k + 1];
      inside = inside && x >= 10 && x <= 30 && y >= 5 && y <= 20;
    }
  }
  GEODET_EXPECT(inside);
  GEODET_EXPECT(most > 4 && most <= 8);
}

GEODET_TEST(rotated_overlap_of_nothing_writes_nothing) {
  const std::vector<float> some = random_boxes<float>(3, 1);
  GEODET_EXPECT(matrix<float>({}, {}, RotatedOverlap::kIou, 2).empty());
  GEODET_EXPECT(matrix<float>(some, {}, RotatedOverlap::kGiou, 2).empty());
  GEODET_EXPECT(matrix<float>({}, some, RotatedOverlap::kIntersection, 2).empty());
  const float* none = nullptr;
  GEODET_EXPECT(geodet::matched_rotated_overlap(none, none, -1, RotatedOverlap::kIou,
                                                static_cast<float*>(nullptr),
                                                1) == Status::kInvalidArgument);
}
