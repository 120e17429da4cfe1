// How the measures of two boxes change with their coordinates: the maths that CPU and CUDA share.
#pragma once

#include "geodet/box_measures.hpp"

namespace geodet {

// Derivatives of one measure of one pair by the coordinates x1, y1, x2, y2.
template <typename T>
struct PairGradient {
  T a[4];
  T b[4];
};

// Derivatives by the terms that a measure is made of.
template <typename T>
struct MeasurePartials {
  T common = T(0);
  T area_a = T(0);
  T area_b = T(0);
  T enclosing[2] = {T(0), T(0)};  // sides of the smallest box around both
  T offset[2] = {T(0), T(0)};     // centre of a minus centre of b
  T angle = T(0);                 // atan(width / height) of a; that of b is the negative
};

// Part of the derivative of max(x, y) that belongs to x; a tie is shared.
template <typename T>
GEODET_HD inline T share_of_maximum(T x, T y) {
  return x > y ? T(1) : (x == y ? T(0.5) : T(0));
}

template <typename T>
GEODET_HD inline T inverse_or_zero(T value) {
  return value > T(0) ? T(1) / value : T(0);
}

// `sides` and `around`: width and height of what both cover, and of the box around both.
template <BoxMeasure kMeasure, typename T>
GEODET_HD inline MeasurePartials<T> measure_partials(const MeasuredBox<T>& a,
                                                     const MeasuredBox<T>& b, const T* sides,
                                                     const T* around) {
  MeasurePartials<T> by;
  const T common = sides[0] * sides[1];
  const bool overlaps = common > T(0);
  if constexpr (kMeasure == BoxMeasure::kIntersection) {
    by.common = overlaps ? T(1) : T(0);
  } else if constexpr (kMeasure == BoxMeasure::kIoa) {
    by.common = overlaps ? T(1) / b.area : T(0);
    by.area_b = -common * by.common * by.common;
  } else {
    const T all = a.area + b.area - common;
    const T per_all = overlaps ? T(1) / all : T(0);
    const T iou = common * per_all;
    by.common = per_all * (T(1) + iou);
    by.area_a = by.area_b = -iou * per_all;
    if constexpr (kMeasure == BoxMeasure::kGiou) {
      const T per_around = inverse_or_zero(around[0] * around[1]);
      by.common -= overlaps ? per_around : T(0);
      by.area_a += per_around;
      by.area_b += per_around;
      const T by_around = -all * per_around * per_around;
      by.enclosing[0] = by_around * around[1];
      by.enclosing[1] = by_around * around[0];
    }
    if constexpr (kMeasure == BoxMeasure::kDiou || kMeasure == BoxMeasure::kCiou) {
      const T dx = (a.rect.x1 + a.rect.x2) / T(2) - (b.rect.x1 + b.rect.x2) / T(2);
      const T dy = (a.rect.y1 + a.rect.y2) / T(2) - (b.rect.y1 + b.rect.y2) / T(2);
      const T per_diagonal = inverse_or_zero(around[0] * around[0] + around[1] * around[1]);
      const T share = (dx * dx + dy * dy) * per_diagonal;
      by.offset[0] = T(-2) * dx * per_diagonal;
      by.offset[1] = T(-2) * dy * per_diagonal;
      by.enclosing[0] = T(2) * share * per_diagonal * around[0];
      by.enclosing[1] = T(2) * share * per_diagonal * around[1];
    }
    if constexpr (kMeasure == BoxMeasure::kCiou) {
      // alpha is held constant (Zheng 2020, equation 11).
      const T difference = a.aspect - b.aspect;
      const T v = kFourOverPiSquared<T> * difference * difference;
      const T alpha = v > T(0) ? v / ((T(1) - iou) + v) : T(0);
      by.angle = T(-2) * kFourOverPiSquared<T> * alpha * difference;
    }
  }
  return by;
}

// Derivatives by width and height; an inverted side counts as 0, whatever its length.
template <typename T>
GEODET_HD inline void gradient_by_size(const T* low, const T* high, T by_area, T by_angle,
                                       T* by_size) {
  const T width = side_or_zero(low[0], high[0]);
  const T height = side_or_zero(low[1], high[1]);
  const T turn = by_angle * inverse_or_zero(width * width + height * height);
  by_size[0] = high[0] >= low[0] ? by_area * height + turn * height : T(0);
  by_size[1] = high[1] >= low[1] ? by_area * width - turn * width : T(0);
}

// Zeros where a box is not finite, has an area beyond the largest number, or nothing changes.
template <BoxMeasure kMeasure, typename T>
GEODET_HD inline PairGradient<T> measure_gradient(const MeasuredBox<T>& a,
                                                  const MeasuredBox<T>& b) {
  PairGradient<T> gradient{};
  const T areas = a.area + b.area;
  if (!(areas - areas == T(0))) return gradient;
  const T a_low[2] = {a.rect.x1, a.rect.y1};
  const T a_high[2] = {a.rect.x2, a.rect.y2};
  const T b_low[2] = {b.rect.x1, b.rect.y1};
  const T b_high[2] = {b.rect.x2, b.rect.y2};
  T sides[2];
  T around[2];
  for (int k = 0; k < 2; ++k) {
    sides[k] = interval_overlap(a_low[k], a_high[k], b_low[k], b_high[k]);
    around[k] = side_or_zero(a_low[k] < b_low[k] ? a_low[k] : b_low[k],
                             a_high[k] > b_high[k] ? a_high[k] : b_high[k]);
  }
  const MeasurePartials<T> by = measure_partials<kMeasure>(a, b, sides, around);
  T by_size_a[2];
  T by_size_b[2];
  gradient_by_size(a_low, a_high, by.area_a, by.angle, by_size_a);
  gradient_by_size(b_low, b_high, by.area_b, -by.angle, by_size_b);
  for (int k = 0; k < 2; ++k) {
    // A bound of the overlap follows the larger low and the smaller high side, a bound of the
    // enclosing box the other ones.
    const T low_share = share_of_maximum(a_low[k], b_low[k]);
    const T high_share = share_of_maximum(b_high[k], a_high[k]);
    const T side = by.common * sides[1 - k];
    const T half = by.offset[k] / T(2);
    const T enclosing = by.enclosing[k];
    gradient.a[k] = -side * low_share - enclosing * (T(1) - low_share) + half - by_size_a[k];
    gradient.b[k] = -side * (T(1) - low_share) - enclosing * low_share - half - by_size_b[k];
    gradient.a[2 + k] = side * high_share + enclosing * (T(1) - high_share) + half + by_size_a[k];
    gradient.b[2 + k] = side * (T(1) - high_share) + enclosing * high_share - half + by_size_b[k];
  }
  return gradient;
}

}  // namespace geodet
