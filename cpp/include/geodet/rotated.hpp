// Rotated rectangles and the area that two of them share: the maths of CPU and CUDA kernels.
//
// A box is centre x, centre y, width, height, angle in degrees, counter-clockwise as seen on the
// screen (y down): the point (u, v) of the upright box lies at
//   x = cx + u cos + v sin,   y = cy - u sin + v cos.
#pragma once

#include <cmath>

#include "geodet/degrees.hpp"
#include "geodet/host_device.hpp"

namespace geodet {

// A box ready to be paired. Sides that are not positive become 0.
struct RotatedRect {
  double cx, cy;
  double half_w, half_h;
  double sin, cos;  // of `angle`
  double angle;     // in [-90, 90]: the region repeats at 180
  double area;      // a quarter of it, to order boxes by; may overflow or vanish
};

// A box with a number that is not finite becomes all 0 with a negative area.
template <typename T>
GEODET_HD inline RotatedRect make_rotated_rect(const T* cxcywha) {
  const double cx = static_cast<double>(cxcywha[0]);
  const double cy = static_cast<double>(cxcywha[1]);
  const double half_w = static_cast<double>(cxcywha[2]) / 2;
  const double half_h = static_cast<double>(cxcywha[3]) / 2;
  const double degrees = static_cast<double>(cxcywha[4]);
  // A number less itself is 0 when it is finite and NaN otherwise.
  const double zero = (cx - cx) + (cy - cy) + (half_w - half_w) + (half_h - half_h) +
                      (degrees - degrees);
  if (!(zero == 0)) return {0, 0, 0, 0, 0, 1, 0, -1};
  RotatedRect rect{cx, cy, half_w > 0 ? half_w : 0, half_h > 0 ? half_h : 0, 0, 1, 0, 0};
  rect.area = rect.half_w * rect.half_h;
  const SinCos turn = half_turn_sin_cos(degrees, &rect.angle);
  rect.sin = turn.sin;
  rect.cos = turn.cos;
  return rect;
}

GEODET_HD inline bool is_finite(const RotatedRect& rect) { return rect.area >= 0; }

GEODET_HD inline bool covers_something(const RotatedRect& rect) {
  return rect.half_w > 0 && rect.half_h > 0;
}

// An order of boxes that does not depend on which is called a and which b, so that results are
// symmetric in every bit. The smaller box comes first: measured in its frame, the larger one's
// corners lose nothing that matters.
GEODET_HD inline bool comes_first(const RotatedRect& a, const RotatedRect& b) {
  if (a.area != b.area) return a.area < b.area;
  if (a.half_w != b.half_w) return a.half_w < b.half_w;
  if (a.half_h != b.half_h) return a.half_h < b.half_h;
  if (a.angle != b.angle) return a.angle < b.angle;
  if (a.cx != b.cx) return a.cx < b.cx;
  return a.cy < b.cy;
}

// Two boxes as numbers of similar size. The first is the window [-half_w1, half_w1] x
// [-half_h1, half_h1] of its own frame.
struct RotatedPair {
  double dx, dy;    // centre of the second minus centre of the first, on the screen
  double sin, cos;  // of the first
  double turn;      // angle of the second minus angle of the first, in [-180, 180]
  double half_w1, half_h1;
  double half_w2, half_h2;
};

// Pixels per unit of the pair's lengths: a power of two, and 1 but for extreme boxes, whose areas
// would overflow or vanish.
GEODET_HD inline double pair_unit(const RotatedRect& first, const RotatedRect& second) {
  constexpr double kLarge = 1e60;
  const double longest = std::fmax(std::fmax(first.half_w, first.half_h),
                                   std::fmax(second.half_w, second.half_h));
  const double shortest = std::fmin(std::fmin(first.half_w, first.half_h),
                                    std::fmin(second.half_w, second.half_h));
  if ((longest < kLarge && shortest > 1 / kLarge) || !(longest > 0)) return 1;
  int exponent = 0;
  (void)std::frexp(longest, &exponent);
  return std::ldexp(1.0, exponent < 1023 ? exponent : 1023);
}

// `first` must not come after `second`; unit: pair_unit of the two.
GEODET_HD inline RotatedPair make_rotated_pair(const RotatedRect& first, const RotatedRect& second,
                                               double unit) {
  RotatedPair pair{second.cx - first.cx, second.cy - first.cy,        first.sin,
                   first.cos,            second.angle - first.angle, first.half_w,
                   first.half_h,         second.half_w,              second.half_h};
  if (unit == 1) return pair;
  pair.dx /= unit;
  pair.dy /= unit;
  pair.half_w1 /= unit;
  pair.half_h1 /= unit;
  pair.half_w2 /= unit;
  pair.half_h2 /= unit;
  return pair;
}

// NaN and values below `low` give low.
GEODET_HD GEODET_INLINE double clamp_to(double value, double low, double high) {
  const double bounded = value < high ? value : high;
  return value > low ? bounded : low;
}

// The second box in the frame of the first.
struct RelativeRect {
  double u, v;            // its centre
  double sin, cos;        // of its turn, brought to [-45, 45] by exchanging the sides
  double half_w, half_h;  // after that exchange
  bool exchanged;
};

GEODET_HD GEODET_INLINE RelativeRect relative_rect(const RotatedPair& pair) {
  // Quarter turns until the angle is in [-45, 45]; an odd number of them exchanges the sides.
  const double quarters = (pair.turn > 45.0 ? 1.0 : 0.0) + (pair.turn > 135.0 ? 1.0 : 0.0) -
                          (pair.turn < -45.0 ? 1.0 : 0.0) - (pair.turn < -135.0 ? 1.0 : 0.0);
  const bool odd = quarters * quarters == 1.0;
  const SinCos turn = sin_cos_to_45(pair.turn - 90.0 * quarters);
  RelativeRect rect;
  rect.u = pair.dx * pair.cos - pair.dy * pair.sin;
  rect.v = pair.dx * pair.sin + pair.dy * pair.cos;
  rect.sin = turn.sin;
  rect.cos = turn.cos;
  rect.half_w = odd ? pair.half_h2 : pair.half_w2;
  rect.half_h = odd ? pair.half_w2 : pair.half_h2;
  rect.exchanged = odd;
  return rect;
}

// Is there a line along a side of either box that has them on different sides? Touching counts.
GEODET_HD GEODET_INLINE bool are_apart(const RotatedPair& pair, const RelativeRect& rect) {
  const double sin = std::fabs(rect.sin);
  const double cos = rect.cos;
  const double w1 = pair.half_w1, h1 = pair.half_h1;
  const double w2 = rect.half_w, h2 = rect.half_h;
  const double u2 = rect.u * cos - rect.v * rect.sin;
  const double v2 = rect.u * rect.sin + rect.v * cos;
  const bool apart_u = std::fabs(rect.u) >= w1 + (w2 * cos + h2 * sin);
  const bool apart_v = std::fabs(rect.v) >= h1 + (w2 * sin + h2 * cos);
  const bool apart_u2 = std::fabs(u2) >= w2 + (w1 * cos + h1 * sin);
  const bool apart_v2 = std::fabs(v2) >= h2 + (w1 * sin + h1 * cos);
  return (apart_u | apart_v) | (apart_u2 | apart_v2);
}

// One side of the second box, from (x0, y0) to (x1, y1): the integral of x dy along it, over the
// part with |y| <= half_h and with x brought to [-half_w, half_w].
//   dx_dy = dx / dy of the side, dy_dx = |dy / dx|; either may be infinite.
GEODET_HD GEODET_INLINE double swept_area(double x0, double y0, double x1, double y1, double dx_dy,
                                          double dy_dx, double half_w, double half_h) {
  const double begin = clamp_to(y0, -half_h, half_h);
  const double end = clamp_to(y1, -half_h, half_h);
  const double least = x0 < x1 ? x0 : x1;
  const double most = x0 < x1 ? x1 : x0;
  const double xa = clamp_to(x0 + (begin - y0) * dx_dy, least, most);
  const double xb = clamp_to(x1 + (end - y1) * dx_dy, least, most);
  const double low = xa < xb ? xa : xb;
  const double high = xa < xb ? xb : xa;
  const double height = std::fabs(end - begin);
  // Heights over which x is left of the window, and right of it.
  const double left = clamp_to((-half_w - low) * dy_dx, 0.0, height);
  const double right = clamp_to((high - half_w) * dy_dx, 0.0, height);
  const double inside =
      (clamp_to(low, -half_w, half_w) + clamp_to(high, -half_w, half_w)) / 2;
  const double area = half_w * (right - left) + ((height - left) - right) * inside;
  return end < begin ? -area : area;
}

// Area that the two boxes share, in the pair's scale.
//
// By Green's theorem: at every height y of the window the second box is an interval [l, r], of
// which the window keeps clamp(r) - clamp(l); that is the integral of clamp(x) dy around the second
// box. No vertex is ever classified, so nothing can go wrong by more than a rounding, and there is
// no branch.
GEODET_HD GEODET_INLINE double intersection_area(const RotatedPair& pair) {
  const RelativeRect rect = relative_rect(pair);
  const double ex = rect.half_w * rect.cos;
  const double ey = -(rect.half_w * rect.sin);
  const double fx = rect.half_h * rect.sin;
  const double fy = rect.half_h * rect.cos;
  const double x0 = rect.u + (-ex - fx), y0 = rect.v + (-ey - fy);
  const double x1 = rect.u + (ex - fx), y1 = rect.v + (ey - fy);
  const double x2 = rect.u + (ex + fx), y2 = rect.v + (ey + fy);
  const double x3 = rect.u + (-ex + fx), y3 = rect.v + (-ey + fy);
  const double tangent = rect.sin / rect.cos;
  const double cotangent = rect.cos / rect.sin;
  const double slope = std::fabs(tangent);
  const double steep = std::fabs(cotangent);
  const double w = pair.half_w1;
  const double h = pair.half_h1;
  const double top = swept_area(x0, y0, x1, y1, -cotangent, slope, w, h);
  const double right = swept_area(x1, y1, x2, y2, tangent, steep, w, h);
  const double bottom = swept_area(x2, y2, x3, y3, -cotangent, slope, w, h);
  const double left = swept_area(x3, y3, x0, y0, tangent, steep, w, h);
  const double sum = (right + left) + (top + bottom);
  const double area1 = 4 * (w * h);
  const double area2 = 4 * (rect.half_w * rect.half_h);
  const double bounded = clamp_to(sum, 0.0, area1 < area2 ? area1 : area2);
  return are_apart(pair, rect) ? 0.0 : bounded;
}

}  // namespace geodet
