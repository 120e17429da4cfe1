// What is computed from two rotated boxes, and its gradient: the maths of CPU and CUDA kernels.
#pragma once

#include "geodet/host_device.hpp"
#include "geodet/rect.hpp"
#include "geodet/rotated.hpp"
#include "geodet/rotated_gradient.hpp"
#include "geodet/rotated_hull.hpp"
#include "geodet/rotated_iou.hpp"

namespace geodet {

// The pair's value from the area it shares, both in the pair's unit.
GEODET_HD inline double overlap_from_area(const RotatedPair& pair, double unit, double shared,
                                          RotatedOverlap quantity) {
  if (quantity == RotatedOverlap::kIntersection) return shared * unit * unit;
  const double area1 = 4 * (pair.half_w1 * pair.half_h1);
  const double area2 = 4 * (pair.half_w2 * pair.half_h2);
  const double iou = iou_from_areas(area1, area2, shared);
  if (quantity == RotatedOverlap::kIou) return iou;
  const double hull = hull_area(pair_hull(pair, relative_rect(pair)));
  if (!(hull > 0)) return 0;
  // 1 also where the hull overflows.
  const double outside = (hull - (area1 + area2 - shared)) / hull;
  return iou - (outside > 0 ? (outside < 1 ? outside : 1) : (outside <= 0 ? 0 : 1));
}

GEODET_HD inline double rotated_overlap(const RotatedRect& a, const RotatedRect& b,
                                        RotatedOverlap quantity) {
  // As if infinitely far away, which is what the measures of upright boxes say of it too.
  if (!is_finite(a) || !is_finite(b)) return quantity == RotatedOverlap::kGiou ? -1 : 0;
  const bool solid = covers_something(a) && covers_something(b);
  if (!solid && quantity != RotatedOverlap::kGiou) return 0;
  const bool ordered = comes_first(a, b);
  const RotatedRect& first = ordered ? a : b;
  const RotatedRect& second = ordered ? b : a;
  const double unit = pair_unit(first, second);
  const RotatedPair pair = make_rotated_pair(first, second, unit);
  return overlap_from_area(pair, unit, solid ? intersection_area(pair) : 0, quantity);
}

// d quantity = by_shared d(shared area) + by_area d(sum of both areas) + by_hull d(hull).
struct OverlapWeights {
  double by_shared, by_area, by_hull;
};

GEODET_HD inline OverlapWeights overlap_weights(double area1, double area2, double shared,
                                                double hull, RotatedOverlap quantity) {
  if (quantity == RotatedOverlap::kIntersection) return {1, 0, 0};
  OverlapWeights weights{0, 0, 0};
  const double all = area1 + area2 - shared;
  if (shared > 0) weights = {(1 + shared / all) / all, -shared / (all * all), 0};
  if (quantity == RotatedOverlap::kIou || !(hull > 0)) return weights;
  // GIoU = IoU - 1 + union / hull
  weights.by_shared -= 1 / hull;
  weights.by_area += 1 / hull;
  weights.by_hull = -all / (hull * hull);
  return weights;
}

// From the frame of the first box and the pair's unit to the screen, pixels and degrees.
GEODET_HD inline void to_screen(BoxGradient& gradient, double sin, double cos, double unit,
                                double weight, bool is_area) {
  constexpr double kRadians = 0.017453292519943295;
  const double by_length = weight * (is_area ? unit : 1 / unit);
  const double x = gradient.cx * cos + gradient.cy * sin;
  const double y = gradient.cy * cos - gradient.cx * sin;
  gradient.cx = by_length * x;
  gradient.cy = by_length * y;
  gradient.w *= by_length;
  gradient.h *= by_length;
  gradient.angle *= weight * kRadians * (is_area ? unit * unit : 1);
}

// Gradient by `first` and `second` times `weight`; 0 where the value is constant.
GEODET_HD inline PairGradient ordered_gradient(const RotatedRect& first, const RotatedRect& second,
                                               RotatedOverlap quantity, double weight) {
  PairGradient gradient{{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
  const double unit = pair_unit(first, second);
  const RotatedPair pair = make_rotated_pair(first, second, unit);
  const RelativeRect rect = relative_rect(pair);
  const bool with_hull = quantity == RotatedOverlap::kGiou;
  const bool overlaps =
      covers_something(first) && covers_something(second) && !are_apart(pair, rect);
  if (!overlaps && !with_hull) return gradient;
  double shared = overlaps ? intersection_gradient(pair, rect, gradient) : 0;
  const double area1 = 4 * (pair.half_w1 * pair.half_h1);
  const double area2 = 4 * (pair.half_w2 * pair.half_h2);
  shared = clamp_to(shared, 0.0, area1 < area2 ? area1 : area2);
  PairHull hull;
  if (with_hull) hull = pair_hull(pair, rect);
  const OverlapWeights weights =
      overlap_weights(area1, area2, shared, with_hull ? hull_area(hull) : 0, quantity);
  multiply(gradient.first, weights.by_shared);
  multiply(gradient.second, weights.by_shared);
  if (with_hull) add_hull_gradient(rect, hull, weights.by_hull, gradient);
  gradient.first.w += weights.by_area * 2 * pair.half_h1;
  gradient.first.h += weights.by_area * 2 * pair.half_w1;
  gradient.second.w += weights.by_area * 2 * rect.half_h;
  gradient.second.h += weights.by_area * 2 * rect.half_w;
  if (rect.exchanged) {
    const double w = gradient.second.w;
    gradient.second.w = gradient.second.h;
    gradient.second.h = w;
  }
  const bool is_area = quantity == RotatedOverlap::kIntersection;
  to_screen(gradient.first, pair.sin, pair.cos, unit, weight, is_area);
  to_screen(gradient.second, pair.sin, pair.cos, unit, weight, is_area);
  return gradient;
}

// False only for pairs that are so far apart that their gradient is 0.
GEODET_HD inline bool may_have_gradient(const RotatedRect& a, const RotatedRect& b,
                                        RotatedOverlap quantity) {
  if (quantity == RotatedOverlap::kGiou) return true;
  const double dx = a.cx - b.cx;
  const double dy = a.cy - b.cy;
  const double reach = (a.half_w + a.half_h) + (b.half_w + b.half_h);
  return dx <= reach && -dx <= reach && dy <= reach && -dy <= reach;
}

// The same for boxes in any order.
GEODET_HD inline PairGradient rotated_overlap_gradient(const RotatedRect& a, const RotatedRect& b,
                                                       RotatedOverlap quantity, double weight) {
  if (!is_finite(a) || !is_finite(b) || weight == 0) return {{0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}};
  const bool ordered = comes_first(a, b);
  // One call in the text: compilers unfold it, and it is long.
  const PairGradient pair = ordered_gradient(ordered ? a : b, ordered ? b : a, quantity, weight);
  if (ordered) return pair;
  return {pair.second, pair.first};
}

GEODET_HD inline void add(BoxGradient& sum, const BoxGradient& term) {
  sum.cx += term.cx;
  sum.cy += term.cy;
  sum.w += term.w;
  sum.h += term.h;
  sum.angle += term.angle;
}

// Finite whatever came before: a NaN (from lengths beyond 1e150) becomes 0.
template <typename T>
GEODET_HD inline void write_gradient(const BoxGradient& gradient, double limit, T* row) {
  const double values[5] = {gradient.cx, gradient.cy, gradient.w, gradient.h, gradient.angle};
  for (int k = 0; k < 5; ++k) {
    const double value = values[k] == values[k] ? values[k] : 0;
    row[k] = static_cast<T>(clamp_to(value, -limit, limit));
  }
}

}  // namespace geodet
