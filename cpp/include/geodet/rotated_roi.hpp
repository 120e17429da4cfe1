// Where rotated RoIAlign samples a feature map: the maths that CPU and CUDA kernels share.
//
// A rotated roi is image, cx, cy, w, h, angle: pixels of the input and degrees, counter-clockwise
// as seen on the screen. Its cells lie along its own sides, u from left to right and v from top to
// bottom, measured from its centre; a point of it is at
//   x = cx + u cos + v sin,   y = cy - u sin + v cos.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

#include "geodet/degrees.hpp"
#include "geodet/host_device.hpp"
#include "geodet/roi_sampling.hpp"

namespace geodet {

constexpr std::int64_t kRotatedRoiColumns = 6;

// In feature pixels. Beyond it single precision places samples a whole pixel apart.
constexpr double kFarthestRotatedRoi = 16777216.0;

// Samples of a cell along one axis that are all tried; of more, only those near the map.
constexpr std::int64_t kTriedSamples = 32;

template <typename T>
struct RotatedRoi {
  T center_x, center_y;
  T sine, cosine;
  RoiAxis<T> u, v;  // no samples on either where the roi has none
  T slack;          // more than the roundings of a sample's position
};

template <typename T>
GEODET_HD inline RotatedRoi<T> rotated_roi(const T* roi, T scale, std::int64_t cells_u,
                                           std::int64_t cells_v, std::int64_t sampling_ratio) {
  const T width = roi[3] * scale;
  const T height = roi[4] * scale;
  RotatedRoi<T> r;
  r.center_x = roi[1] * scale - T(0.5);
  r.center_y = roi[2] * scale - T(0.5);
  r.u = axis_of(-width / T(2), width, cells_u, sampling_ratio);
  r.v = axis_of(-height / T(2), height, cells_v, sampling_ratio);
  const T reach = std::fabs(r.center_x) + std::fabs(r.center_y) + std::fabs(width) +
                  std::fabs(height);
  r.slack = T(16) * std::numeric_limits<T>::epsilon() * reach;
  r.sine = T(0);
  r.cosine = T(1);
  if (r.u.samples == 0 || r.v.samples == 0 || !(reach <= static_cast<T>(kFarthestRotatedRoi)) ||
      !is_finite(roi[5])) {
    r.u.samples = r.v.samples = 0;
    return r;
  }
  const SinCos turn = full_turn_sin_cos(static_cast<double>(roi[5]));
  r.sine = static_cast<T>(turn.sin);
  r.cosine = static_cast<T>(turn.cos);
  return r;
}

template <typename T>
GEODET_HD inline T rotated_x(const RotatedRoi<T>& r, T u, T v) {
  return v * r.sine + u * r.cosine + r.center_x;
}

template <typename T>
GEODET_HD inline T rotated_y(const RotatedRoi<T>& r, T u, T v) {
  return v * r.cosine - u * r.sine + r.center_y;
}

// Steps 0 ... count - 1 of an even walk from `first` to `last` that may lie in [low, high].
GEODET_HD inline SampleRange steps_inside(double first, double last, std::int64_t count, double low,
                                          double high) {
  const double step = (last - first) / static_cast<double>(count - 1);
  const bool is_still = !(std::fabs(step) > 0.0);
  if (is_still) return first >= low && first <= high ? SampleRange{0, count} : SampleRange{0, 0};
  const double a = (low - first) / step;
  const double b = (high - first) / step;
  const double begin = std::floor(a < b ? a : b) - 1.0;
  const double end = std::ceil(a < b ? b : a) + 2.0;
  const double limit = static_cast<double>(count);
  return {begin > 0.0 ? static_cast<std::int64_t>(begin < limit ? begin : limit) : 0,
          end < limit ? static_cast<std::int64_t>(end > 0.0 ? end : 0.0) : count};
}

struct MapSize {
  std::int64_t height, width;
};

// Rows of samples of a cell that may cross the map.
template <typename T>
GEODET_HD inline SampleRange sample_rows(const RotatedRoi<T>& r, std::int64_t cell_v,
                                         const MapSize& map) {
  if (r.v.samples <= kTriedSamples) return {0, r.v.samples};
  const double margin = 1.0 + static_cast<double>(r.slack);
  double low = std::numeric_limits<double>::infinity();
  double high = -low;
  for (int corner = 0; corner < 4; ++corner) {
    const double x = (corner & 1) != 0 ? static_cast<double>(map.width) + margin : -margin;
    const double y = (corner & 2) != 0 ? static_cast<double>(map.height) + margin : -margin;
    const double v = (x - static_cast<double>(r.center_x)) * static_cast<double>(r.sine) +
                     (y - static_cast<double>(r.center_y)) * static_cast<double>(r.cosine);
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  return steps_inside(static_cast<double>(sample_position(r.v, cell_v, std::int64_t{0})),
                      static_cast<double>(sample_position(r.v, cell_v, r.v.samples - 1)),
                      r.v.samples, low - margin, high + margin);
}

// Samples of one row of a cell that may lie inside the map.
template <typename T>
GEODET_HD inline SampleRange sample_columns(const RotatedRoi<T>& r, std::int64_t cell_u, T v,
                                            const MapSize& map) {
  const std::int64_t count = r.u.samples;
  if (count <= kTriedSamples) return {0, count};
  const double margin = 1.0 + static_cast<double>(r.slack);
  const T first = sample_position(r.u, cell_u, std::int64_t{0});
  const T last = sample_position(r.u, cell_u, count - 1);
  const SampleRange x = steps_inside(
      static_cast<double>(rotated_x(r, first, v)), static_cast<double>(rotated_x(r, last, v)),
      count, -margin, static_cast<double>(map.width) + margin);
  const SampleRange y = steps_inside(
      static_cast<double>(rotated_y(r, first, v)), static_cast<double>(rotated_y(r, last, v)),
      count, -margin, static_cast<double>(map.height) + margin);
  return {x.begin > y.begin ? x.begin : y.begin, x.end < y.end ? x.end : y.end};
}

// Calls visit(row, column) with the taps of every sample of a cell that lies inside the map, in the
// order of v, then u. A sample outside counts as 0.
template <typename T, typename Visit>
GEODET_HD inline void visit_rotated_samples(const RotatedRoi<T>& r, std::int64_t cell_v,
                                            std::int64_t cell_u, const MapSize& map,
                                            Visit&& visit) {
  const SampleRange rows = sample_rows(r, cell_v, map);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    const T v = sample_position(r.v, cell_v, i);
    const SampleRange columns = sample_columns(r, cell_u, v, map);
    for (std::int64_t j = columns.begin; j < columns.end; ++j) {
      const T u = sample_position(r.u, cell_u, j);
      const T x = rotated_x(r, u, v);
      const T y = rotated_y(r, u, v);
      if (!is_inside(x, map.width) || !is_inside(y, map.height)) continue;
      visit(tap_at(y, map.height), tap_at(x, map.width));
    }
  }
}

}  // namespace geodet
