// Gradients of what two rotated boxes share, by each box's five numbers.
#pragma once

#include "geodet/host_device.hpp"
#include "geodet/rotated.hpp"
#include "geodet/rotated_hull.hpp"
#include "geodet/rotated_polygon.hpp"

namespace geodet {

// Derivatives by cx, cy, w, h and the angle in radians.
struct BoxGradient {
  double cx, cy, w, h, angle;
};

struct PairGradient {
  BoxGradient first, second;
};

GEODET_HD inline void multiply(BoxGradient& gradient, double factor) {
  gradient.cx *= factor;
  gradient.cy *= factor;
  gradient.w *= factor;
  gradient.h *= factor;
  gradient.angle *= factor;
}

// An area grows where its outline moves outwards: by the length of the moving part times its speed
// along the outward normal. This adds the part of the outline from (x0, y0) to (x1, y1), which lies
// on side `side` of a box with this centre and turn.
GEODET_HD inline void add_outline(BoxGradient& gradient, double weight, double x0, double y0,
                                  double x1, double y1, int side, double u, double v, double sin,
                                  double cos) {
  const double dx = weight * (x1 - x0);
  const double dy = weight * (y1 - y0);
  gradient.cx += dy;  // (dy, -dx) is the outward normal times the length
  gradient.cy -= dx;
  // Turning moves a point at (X, Y) from the centre along (Y, -X): linear along the part, so its
  // middle stands for all of it.
  gradient.angle += ((y0 + y1) / 2 - v) * dy + ((x0 + x1) / 2 - u) * dx;
  const double along_e = dx * cos - dy * sin;
  const double along_f = dx * sin + dy * cos;
  // Each side moves by half of what its pair's distance grows.
  if (side == 0) gradient.h += along_e / 2;
  if (side == 1) gradient.w += along_f / 2;
  if (side == 2) gradient.h -= along_e / 2;
  if (side == 3) gradient.w -= along_f / 2;
}

// The side of the window that both points lie on exactly, or -1.
GEODET_HD inline int window_side_of(double x0, double y0, double x1, double y1, double half_w,
                                    double half_h) {
  if (y0 == -half_h && y1 == -half_h) return 0;
  if (x0 == half_w && x1 == half_w) return 1;
  if (y0 == half_h && y1 == half_h) return 2;
  if (x0 == -half_w && x1 == -half_w) return 3;
  return -1;
}

// Gradient of the shared area in the first box's frame; returns the area. A part of the outline
// where sides of both boxes coincide counts by half for each.
GEODET_HD inline double intersection_gradient(const RotatedPair& pair, const RelativeRect& rect,
                                              PairGradient& gradient) {
  const double w = pair.half_w1;
  const double h = pair.half_h1;
  const BoxPolygon polygon = clip_polygon(
      box_polygon(rect.u, rect.v, rect.half_w, rect.half_h, rect.sin, rect.cos), -w, -h, w, h);
  for (int i = 0; i < polygon.count; ++i) {
    const int j = i + 1 < polygon.count ? i + 1 : 0;
    const double x0 = polygon.x[i], y0 = polygon.y[i];
    const double x1 = polygon.x[j], y1 = polygon.y[j];
    const int side = polygon.side[i];
    if (side >= kWindowSide) {
      add_outline(gradient.first, 1.0, x0, y0, x1, y1, side - kWindowSide, 0, 0, 0, 1);
      continue;
    }
    const int shared = window_side_of(x0, y0, x1, y1, w, h);
    const double part = shared >= 0 ? 0.5 : 1.0;
    add_outline(gradient.second, part, x0, y0, x1, y1, side, rect.u, rect.v, rect.sin, rect.cos);
    if (shared >= 0) add_outline(gradient.first, part, x0, y0, x1, y1, shared, 0, 0, 0, 1);
  }
  return polygon_area(polygon.x, polygon.y, polygon.count);
}

// Gradient of the hull's area times `weight`, in the first box's frame.
GEODET_HD inline void add_hull_gradient(const RelativeRect& rect, const PairHull& hull,
                                        double weight, PairGradient& gradient) {
  for (int i = 0; i < hull.count; ++i) {
    const CornerPoint& point = hull.points[i];
    const CornerPoint& before = hull.points[i > 0 ? i - 1 : hull.count - 1];
    const CornerPoint& after = hull.points[i + 1 < hull.count ? i + 1 : 0];
    int num_owners = 0;
    for (unsigned k = 0; k < 8; ++k) num_owners += static_cast<int>((point.owners >> k) & 1u);
    // Owners of one place share what moving it does to the area.
    const double by_x = weight * (after.y - before.y) / (2 * num_owners);
    const double by_y = weight * (before.x - after.x) / (2 * num_owners);
    for (unsigned k = 0; k < 8; ++k) {
      if (((point.owners >> k) & 1u) == 0) continue;
      const bool second = k >= 4;
      const double sin = second ? rect.sin : 0;
      const double cos = second ? rect.cos : 1;
      const double x = point.x - (second ? rect.u : 0);
      const double y = point.y - (second ? rect.v : 0);
      const double along_e = by_x * cos - by_y * sin;
      const double along_f = by_x * sin + by_y * cos;
      BoxGradient& box = second ? gradient.second : gradient.first;
      box.cx += by_x;
      box.cy += by_y;
      box.angle += by_x * y - by_y * x;
      // Corners 1 and 2 lie at +e, 2 and 3 at +f.
      box.w += ((k & 3) == 1 || (k & 3) == 2 ? along_e : -along_e) / 2;
      box.h += (k & 3) >= 2 ? along_f / 2 : -along_f / 2;
    }
  }
}

}  // namespace geodet
