#include "geodet/keypoints.hpp"

#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "geodet/bicubic.hpp"
#include "geodet/exponential.hpp"
#include "geodet/heatmap_peak.hpp"
#include "random.hpp"

namespace {

using geodet::HeatmapPeak;
using geodet::HeatmapSizes;
using geodet::Status;

template <typename T>
double worst_error_of_exp(double low, double high) {
  geodet::test::Random random(3);
  double worst = 0;
  for (int i = 0; i < 200000; ++i) {
    const T x = static_cast<T>(random.uniform(low, high));
    const double exact = std::exp(static_cast<double>(x));
    worst = std::max(worst, std::fabs(static_cast<double>(geodet::exponential(x)) - exact) / exact);
  }
  return worst / std::numeric_limits<T>::epsilon();
}

// The highest cell of the whole stretched map, as the CUDA kernel finds it.
template <typename T>
HeatmapPeak<T> highest_of_all(const T* map, std::int64_t side, std::int64_t width,
                              std::int64_t height) {
  HeatmapPeak<T> best{-std::numeric_limits<T>::infinity(), INT64_MAX};
  for (std::int64_t k = 0; k < width * height; ++k) {
    const auto row = geodet::cubic_tap<T>(k / width, side, height);
    const auto column = geodet::cubic_tap<T>(k % width, side, width);
    T blended[4];
    for (int j = 0; j < 4; ++j) {
      T values[4];
      for (int i = 0; i < 4; ++i) {
        values[i] = map[geodet::clamp_cell(row.first + i, side) * side +
                        geodet::clamp_cell(column.first + j, side)];
      }
      blended[j] = geodet::cubic_blend(values, row.weights);
    }
    const HeatmapPeak<T> found{geodet::cubic_blend(blended, column.weights), k};
    if (geodet::is_higher(found, best)) best = found;
  }
  return best;
}

template <typename T>
bool peaks_equal_a_full_search(std::int64_t side) {
  geodet::test::Random random(static_cast<std::uint64_t>(side));
  bool equal = true;
  for (int round = 0; round < 60; ++round) {
    std::vector<T> map(static_cast<std::size_t>(side * side));
    for (T& value : map) value = static_cast<T>(random.uniform(-9, 9));
    if (round % 2) {
      for (T& value : map) value = std::round(value / 4);  // many equal peaks
    }
    const T width = static_cast<T>(random.uniform(0, 90));
    const T height = static_cast<T>(random.uniform(0, 90));
    const T box[4] = {T(0), T(0), width, height};
    T out[4];
    const HeatmapSizes sizes{1, 1, side};
    equal = equal && geodet::decode_heatmaps(map.data(), box, sizes, out, 1) == Status::kOk;
    const auto x_axis = geodet::heatmap_axis(box[0], box[2]);
    const auto y_axis = geodet::heatmap_axis(box[1], box[3]);
    const auto best = highest_of_all(map.data(), side, x_axis.cells, y_axis.cells);
    equal = equal && out[2] == best.value &&
            out[0] == geodet::cell_center(x_axis, best.index % x_axis.cells) &&
            out[1] == geodet::cell_center(y_axis, best.index / x_axis.cells);
  }
  return equal;
}

}  // namespace

GEODET_TEST(exponentials_are_within_two_units) {
  GEODET_EXPECT(worst_error_of_exp<float>(-86, 87) < 2);
  GEODET_EXPECT(worst_error_of_exp<float>(-1, 1) < 2);
  GEODET_EXPECT(worst_error_of_exp<double>(-700, 700) < 4);  // std::exp errs itself
  GEODET_EXPECT(geodet::exponential(0.0f) == 1.0f);
  GEODET_EXPECT(geodet::exponential(0.0) == 1.0);
  const float inf = std::numeric_limits<float>::infinity();
  GEODET_EXPECT(geodet::exponential(-inf) == 0.0f);
  GEODET_EXPECT(geodet::exponential(-3e38f) == 0.0f);
  GEODET_EXPECT(geodet::exponential(inf) == inf);
}

GEODET_TEST(cells_passed_over_never_hold_the_peak) {
  for (const std::int64_t side : {1, 2, 3, 7, 20}) {
    GEODET_EXPECT(peaks_equal_a_full_search<float>(side));
    GEODET_EXPECT(peaks_equal_a_full_search<double>(side));
  }
}

GEODET_TEST(blends_stay_below_their_bound) {
  geodet::test::Random random(8);
  bool below = true;
  for (int round = 0; round < 20000; ++round) {
    double cells[4][4], low = 1e9, high = -1e9, inner = -1e9;
    for (int i = 0; i < 4; ++i) {
      for (int j = 0; j < 4; ++j) {
        const double value = round % 2 ? random.uniform(-1, 1) : std::round(random.uniform(-1, 1));
        cells[i][j] = value;
        low = std::fmin(low, value), high = std::fmax(high, value);
        if ((i == 1 || i == 2) && (j == 1 || j == 2)) inner = std::fmax(inner, value);
      }
    }
    const auto tap_y = geodet::cubic_tap<double>(round % 97, 9, 97);
    const auto tap_x = geodet::cubic_tap<double>(round % 89, 9, 89);
    double blended[4];
    for (int j = 0; j < 4; ++j) {
      const double column[4] = {cells[0][j], cells[1][j], cells[2][j], cells[3][j]};
      blended[j] = geodet::cubic_blend(column, tap_y.weights);
    }
    const double value = geodet::cubic_blend(blended, tap_x.weights);
    below = below && value <= geodet::cubic_bound(low, inner, high) + 1e-14;
  }
  GEODET_EXPECT(below);
}

GEODET_TEST(odd_boxes_are_safe_to_decode) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> odd{nan, inf, -inf, 3e38f, -3e38f, 1e9f, -5, 0, 1e-40f, 16384};
  std::vector<float> boxes;
  for (const float low : odd) {
    for (const float high : odd) {
      for (const float value : {low, 0.0f, high, 2.0f}) boxes.push_back(value);
    }
  }
  const HeatmapSizes sizes{static_cast<std::int64_t>(boxes.size() / 4), 1, 3};
  const std::vector<float> maps(static_cast<std::size_t>(9 * sizes.rois), 0.5f);
  std::vector<float> out(boxes.size());
  GEODET_EXPECT(geodet::decode_heatmaps(maps.data(), boxes.data(), sizes, out.data(), 2) ==
                Status::kOk);
  GEODET_EXPECT(geodet::decode_heatmaps(maps.data(), boxes.data(), {1, 1, 0}, out.data(), 1) ==
                Status::kInvalidArgument);
}
