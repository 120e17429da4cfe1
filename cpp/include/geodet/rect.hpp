// Axis-aligned rectangles in continuous pixels: the maths that CPU and CUDA kernels share.
#pragma once

#include "geodet/host_device.hpp"

namespace geodet {

// Stored corners; width is x2 - x1, nothing is added.
template <typename T>
struct Rect {
  T x1, y1, x2, y2;
};

template <typename T>
GEODET_HD inline T rect_area(const Rect<T>& r) {
  return (r.x2 - r.x1) * (r.y2 - r.y1);
}

// Overlap of two intervals, 0 when they are apart. Written so that a NaN bound gives 0 too.
template <typename T>
GEODET_HD inline T interval_overlap(T a1, T a2, T b1, T b2) {
  const T low = a1 > b1 ? a1 : b1;
  const T high = a2 < b2 ? a2 : b2;
  const T length = high - low;
  return length > T(0) ? length : T(0);
}

template <typename T>
GEODET_HD inline T rect_intersection(const Rect<T>& a, const Rect<T>& b) {
  return interval_overlap(a.x1, a.x2, b.x1, b.x2) * interval_overlap(a.y1, a.y2, b.y1, b.y2);
}

// Intersection over union from its three areas; 0 when there is no overlap, at most 1.
// Areas that are not finite give 0: a NaN would win or lose every later comparison by accident.
template <typename T>
GEODET_HD inline T iou_from_areas(T area_a, T area_b, T intersection) {
  const T ratio = intersection / (area_a + area_b - intersection);
  const T bounded = ratio < T(1) ? ratio : (ratio >= T(1) ? T(1) : T(0));
  return intersection > T(0) ? bounded : T(0);
}

template <typename T>
GEODET_HD inline T rect_iou(const Rect<T>& a, const Rect<T>& b) {
  return iou_from_areas(rect_area(a), rect_area(b), rect_intersection(a, b));
}

}  // namespace geodet
