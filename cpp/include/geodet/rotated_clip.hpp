// The part of a rotated box inside an upright window, as CPU and CUDA compute it.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/rotated.hpp"
#include "geodet/rotated_iou.hpp"
#include "geodet/rotated_polygon.hpp"

namespace geodet {

// Leaves out points that repeat the one before them: a corner exactly on the window's side is cut
// there once more.
GEODET_HD inline void drop_repetitions(BoxPolygon& polygon) {
  int kept = 0;
  for (int k = 0; k < polygon.count; ++k) {
    const int before = kept > 0 ? kept - 1 : polygon.count - 1;
    if (polygon.x[k] == polygon.x[before] && polygon.y[k] == polygon.y[before]) continue;
    polygon.x[kept] = polygon.x[k];
    polygon.y[kept] = polygon.y[k];
    ++kept;
  }
  polygon.count = kept;
}

// Writes kMaxPolygonPoints points (x, y), zeros after the last corner; returns how many corners.
template <typename T>
GEODET_HD inline std::int64_t clip_one(const T* box, const T* window, T* points) {
  const RotatedRect rect = make_rotated_rect(box);
  const auto x1 = static_cast<double>(window[0]);
  const auto y1 = static_cast<double>(window[1]);
  const auto x2 = static_cast<double>(window[2]);
  const auto y2 = static_cast<double>(window[3]);
  BoxPolygon polygon;
  polygon.count = 0;
  // False for a NaN in the window too.
  if (covers_something(rect) && x1 < x2 && y1 < y2) {
    polygon = clip_polygon(
        box_polygon(rect.cx, rect.cy, rect.half_w, rect.half_h, rect.sin, rect.cos), x1, y1, x2,
        y2);
    if (!(polygon_area(polygon.x, polygon.y, polygon.count) > 0)) polygon.count = 0;
    drop_repetitions(polygon);
  }
  for (int k = 0; k < kMaxPolygonPoints; ++k) {
    points[2 * k] = k < polygon.count ? static_cast<T>(polygon.x[k]) : T(0);
    points[2 * k + 1] = k < polygon.count ? static_cast<T>(polygon.y[k]) : T(0);
  }
  return polygon.count;
}

}  // namespace geodet
