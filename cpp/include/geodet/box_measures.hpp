// How much two axis-aligned boxes have to do with each other: the maths that CPU and CUDA share.
#pragma once

#include <cmath>
#include <type_traits>

#include "geodet/host_device.hpp"
#include "geodet/rect.hpp"
#include "geodet/status.hpp"

namespace geodet {

enum class BoxMeasure : int {
  kIntersection = 0,  // area in both
  kIou,               // intersection / union, in [0, 1]
  kIoa,               // intersection / area of the second box, in [0, 1]
  kGiou,              // IoU - the part of the enclosing box that lies in neither, in [-1, 1]
  kDiou,              // IoU - (distance of centres / diagonal of the enclosing box)^2, in [-1, 1]
  kCiou,              // DIoU - alpha v, v from the aspect ratios, in (-1.5, 1]
};
constexpr int kNumBoxMeasures = 6;

// Calls `body` with the measure as a compile-time constant.
template <typename Body>
Status with_measure(BoxMeasure measure, Body&& body) noexcept {
  switch (measure) {
    case BoxMeasure::kIntersection:
      return body(std::integral_constant<BoxMeasure, BoxMeasure::kIntersection>{});
    case BoxMeasure::kIou:
      return body(std::integral_constant<BoxMeasure, BoxMeasure::kIou>{});
    case BoxMeasure::kIoa:
      return body(std::integral_constant<BoxMeasure, BoxMeasure::kIoa>{});
    case BoxMeasure::kGiou:
      return body(std::integral_constant<BoxMeasure, BoxMeasure::kGiou>{});
    case BoxMeasure::kDiou:
      return body(std::integral_constant<BoxMeasure, BoxMeasure::kDiou>{});
    case BoxMeasure::kCiou:
      return body(std::integral_constant<BoxMeasure, BoxMeasure::kCiou>{});
  }
  return Status::kInvalidArgument;
}

template <typename T>
constexpr T kFourOverPiSquared = T(0.40528473456935108577551785283891);

// What is worked out once per box. Inverted sides count as 0.
template <typename T>
struct MeasuredBox {
  Rect<T> rect;
  T area;    // NaN where a coordinate is not finite, so that every pair knows
  T aspect;  // atan(width / height); 0 where the measure does not need it
};

template <typename T>
GEODET_HD GEODET_INLINE T side_or_zero(T low, T high) {
  const T length = high - low;
  return length > T(0) ? length : T(0);
}

template <typename T>
GEODET_HD inline MeasuredBox<T> measured(const Rect<T>& r, BoxMeasure measure) {
  const T width = side_or_zero(r.x1, r.x2);
  const T height = side_or_zero(r.y1, r.y2);
  // x - x is 0, or NaN where x is not finite.
  const T nothing = (r.x1 - r.x1) + (r.y1 - r.y1) + (r.x2 - r.x2) + (r.y2 - r.y2);
  using std::atan2;
  const T aspect = measure == BoxMeasure::kCiou ? atan2(width, height) : T(0);
  return {r, width * height + nothing, aspect};
}

// part / whole in [0, 1]; 0 of nothing is 0, and what is not a number otherwise is 1.
template <typename T>
GEODET_HD GEODET_INLINE T bounded_ratio(T part, T whole) {
  const T ratio = part / whole;
  const T low = ratio > T(0) ? ratio : T(0);
  const T unbounded = (whole == T(0)) & (part == T(0)) ? T(0) : T(1);
  return ratio < T(1) ? low : unbounded;
}

// The measure of one pair. A box that is not finite meets nothing and counts as infinitely far:
// its intersection, IoU and IoA are 0, its GIoU, DIoU and CIoU -1.
template <BoxMeasure kMeasure, typename T>
GEODET_HD GEODET_INLINE T measure_pair(const MeasuredBox<T>& a, const MeasuredBox<T>& b) {
  const T common = interval_overlap(a.rect.x1, a.rect.x2, b.rect.x1, b.rect.x2) *
                   interval_overlap(a.rect.y1, a.rect.y2, b.rect.y1, b.rect.y2);
  if constexpr (kMeasure == BoxMeasure::kIou) {
    return iou_from_areas(a.area, b.area, common);
  } else if constexpr (kMeasure == BoxMeasure::kIntersection) {
    return (a.area + b.area >= T(0)) & (common > T(0)) ? common : T(0);
  } else if constexpr (kMeasure == BoxMeasure::kIoa) {
    // Not more than 1, as the common sides are not longer than b's. inf / inf falls to 0.
    const T ratio = common / b.area;
    return (a.area >= T(0)) & (common > T(0)) & (ratio > T(0)) ? ratio : T(0);
  } else {
    const T iou = iou_from_areas(a.area, b.area, common);
    const T width = side_or_zero(a.rect.x1 < b.rect.x1 ? a.rect.x1 : b.rect.x1,
                                 a.rect.x2 > b.rect.x2 ? a.rect.x2 : b.rect.x2);
    const T height = side_or_zero(a.rect.y1 < b.rect.y1 ? a.rect.y1 : b.rect.y1,
                                  a.rect.y2 > b.rect.y2 ? a.rect.y2 : b.rect.y2);
    if constexpr (kMeasure == BoxMeasure::kGiou) {
      const T enclosing = width * height;
      return iou - bounded_ratio(enclosing - (a.area + b.area - common), enclosing);
    } else {
      const T dx = (a.rect.x1 + a.rect.x2) / T(2) - (b.rect.x1 + b.rect.x2) / T(2);
      const T dy = (a.rect.y1 + a.rect.y2) / T(2) - (b.rect.y1 + b.rect.y2) / T(2);
      const T diou = iou - bounded_ratio(dx * dx + dy * dy, width * width + height * height);
      if constexpr (kMeasure == BoxMeasure::kDiou) {
        return diou;
      } else {
        const T difference = a.aspect - b.aspect;
        const T v = kFourOverPiSquared<T> * difference * difference;
        // alpha v = v^2 / (1 - IoU + v); nothing where the aspects agree or are unknown.
        const T penalty = v * (v / ((T(1) - iou) + v));
        return (a.area + b.area >= T(0)) & (v > T(0)) ? diou - penalty : diou;
      }
    }
  }
}

}  // namespace geodet
