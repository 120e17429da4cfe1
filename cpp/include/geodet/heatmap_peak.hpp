// What the CPU and the GPU share of decoding a keypoint's heatmap.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "geodet/exponential.hpp"
#include "geodet/host_device.hpp"
#include "geodet/keypoints.hpp"

namespace geodet {

// The best cell so far of the stretched map.
template <typename T>
struct HeatmapPeak {
  T value;
  std::int64_t index;  // row * width + column
};

// The first of equal values wins, whatever the order in which they are offered.
template <typename T>
GEODET_HD GEODET_INLINE bool is_higher(const HeatmapPeak<T>& a, const HeatmapPeak<T>& b) {
  return a.value > b.value || (a.value == b.value && a.index < b.index);
}

// A box along one axis, stretched over a whole number of cells.
template <typename T>
struct HeatmapAxis {
  T begin, length;
  std::int64_t cells;  // 0: this box cannot be decoded
};

template <typename T>
GEODET_HD GEODET_INLINE HeatmapAxis<T> heatmap_axis(T low, T high) {
  const T length = high - low > T(1) ? high - low : T(1);
  const bool usable = length <= static_cast<T>(kMaxDecodedBoxSide) &&
                      std::fabs(low) <= std::numeric_limits<T>::max() &&
                      std::fabs(high) <= std::numeric_limits<T>::max();
  return {low, length, usable ? static_cast<std::int64_t>(std::ceil(length)) : 0};
}

// Centre of a cell of the stretched map, in the pixels of the box.
template <typename T>
GEODET_HD GEODET_INLINE T cell_center(const HeatmapAxis<T>& axis, std::int64_t cell) {
  return (static_cast<T>(cell) + T(0.5)) * (axis.length / static_cast<T>(axis.cells)) +
         axis.begin;
}

constexpr std::int64_t kExpLanes = 8;

// Sum of exp(value - peak) over one row of the small map, in eight interleaved sums.
template <typename T>
GEODET_HD GEODET_INLINE T row_sum_of_exp(const T* row, std::int64_t count, T peak) {
  T sums[kExpLanes] = {};
  std::int64_t x = 0;
  for (; x + kExpLanes <= count; x += kExpLanes) {
    for (std::int64_t lane = 0; lane < kExpLanes; ++lane) {
      sums[lane] += exponential(row[x + lane] - peak);
    }
  }
  for (std::int64_t lane = 0; x + lane < count; ++lane) {
    sums[lane] += exponential(row[x + lane] - peak);
  }
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) +
         ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

template <typename T>
GEODET_HD GEODET_INLINE bool row_is_finite(const T* row, std::int64_t count) {
  int bad = 0;
  for (std::int64_t x = 0; x < count; ++x) {
    bad |= !(std::fabs(row[x]) <= std::numeric_limits<T>::max());
  }
  return bad == 0;
}

template <typename T>
GEODET_HD GEODET_INLINE void store_peak(const HeatmapPeak<T>& peak, const HeatmapAxis<T>& x_axis,
                                        const HeatmapAxis<T>& y_axis, double sum, T* out) {
  out[0] = cell_center(x_axis, peak.index % x_axis.cells);
  out[1] = cell_center(y_axis, peak.index / x_axis.cells);
  out[2] = peak.value;
  out[3] = static_cast<T>(1 / sum);
}

template <typename T>
GEODET_HD GEODET_INLINE void store_nothing(T* out) {
  for (int i = 0; i < 4; ++i) out[i] = std::numeric_limits<T>::quiet_NaN();
}

}  // namespace geodet
