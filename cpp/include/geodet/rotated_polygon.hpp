// Clipping of a rotated box by a window, with the box that each side of the result belongs to.
// Reference: Sutherland & Hodgman 1974, "Reentrant polygon clipping".
#pragma once

#include "geodet/host_device.hpp"
#include "geodet/rotated.hpp"

namespace geodet {

// Four corners and one more for each side of the window.
constexpr int kMaxPolygonPoints = 8;

// Sides are numbered in the order of the corners: top, right, bottom, left of the upright box.
// Those of the box are 0 to 3, those of the window 4 to 7.
constexpr int kWindowSide = 4;

struct BoxPolygon {
  double x[kMaxPolygonPoints];
  double y[kMaxPolygonPoints];
  int side[kMaxPolygonPoints];  // that the line from this point to the next lies on
  int count;

  GEODET_HD void add(double px, double py, int owner) {
    // A convex outline gains one point at each cut. One that rounding made concave could gain more,
    // all within a rounding of each other: they are left out.
    if (count == kMaxPolygonPoints) return;
    x[count] = px;
    y[count] = py;
    side[count] = owner;
    ++count;
  }
};

// The corners at centre -e-f, +e-f, +e+f, -e+f, where e and f are the half axes of a box.
GEODET_HD inline BoxPolygon box_polygon(double u, double v, double half_w, double half_h,
                                        double sin, double cos) {
  const double ex = half_w * cos, ey = -(half_w * sin);
  const double fx = half_h * sin, fy = half_h * cos;
  return {{u + (-ex - fx), u + (ex - fx), u + (ex + fx), u + (-ex + fx)},
          {v + (-ey - fy), v + (ey - fy), v + (ey + fy), v + (-ey + fy)},
          {0, 1, 2, 3},
          4};
}

// Cuts away what lies beyond one side of the window: the part with x (kVertical) or y greater than
// `bound` (kUpper), or less. New points lie exactly on the side.
template <bool kVertical, bool kUpper>
GEODET_HD inline BoxPolygon cut_beyond(const BoxPolygon& polygon, double bound, int owner) {
  BoxPolygon kept;
  kept.count = 0;
  for (int i = 0; i < polygon.count; ++i) {
    const int j = i + 1 < polygon.count ? i + 1 : 0;
    const double here = kVertical ? polygon.x[i] : polygon.y[i];
    const double next = kVertical ? polygon.x[j] : polygon.y[j];
    const bool here_in = kUpper ? here <= bound : here >= bound;
    const bool next_in = kUpper ? next <= bound : next >= bound;
    if (here_in) kept.add(polygon.x[i], polygon.y[i], polygon.side[i]);
    if (here_in == next_in) continue;
    const double part = (bound - here) / (next - here);
    const int along = here_in ? owner : polygon.side[i];
    if (kVertical) {
      kept.add(bound, polygon.y[i] + part * (polygon.y[j] - polygon.y[i]), along);
    } else {
      kept.add(polygon.x[i] + part * (polygon.x[j] - polygon.x[i]), bound, along);
    }
  }
  return kept;
}

GEODET_HD inline BoxPolygon clip_polygon(const BoxPolygon& polygon, double x1, double y1, double x2,
                                         double y2) {
  BoxPolygon kept = cut_beyond<false, false>(polygon, y1, kWindowSide);
  kept = cut_beyond<true, true>(kept, x2, kWindowSide + 1);
  kept = cut_beyond<false, true>(kept, y2, kWindowSide + 2);
  return cut_beyond<true, false>(kept, x1, kWindowSide + 3);
}

// Enclosed area; coordinates are taken from the first point, so that far polygons lose nothing.
GEODET_HD inline double polygon_area(const double* x, const double* y, int count) {
  double twice = 0;
  for (int i = 1; i + 1 < count; ++i) {
    twice += (x[i] - x[0]) * (y[i + 1] - y[0]) - (x[i + 1] - x[0]) * (y[i] - y[0]);
  }
  return twice / 2;
}

}  // namespace geodet
