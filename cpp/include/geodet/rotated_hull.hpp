// The convex hull of two rotated boxes, and the gradient of its area.
// Reference: Andrew 1979, "Another efficient algorithm for convex hulls in two dimensions".
#pragma once

#include "geodet/host_device.hpp"
#include "geodet/rotated.hpp"
#include "geodet/rotated_polygon.hpp"

namespace geodet {

// Corners of both boxes, 0 to 3 of the first and 4 to 7 of the second; corners at one place are one
// point with several owners.
struct CornerPoint {
  double x, y;
  unsigned owners;  // one bit a corner
};

struct PairHull {
  CornerPoint points[8];
  int count;
};

GEODET_HD inline bool comes_before(const CornerPoint& p, const CornerPoint& q) {
  return p.x != q.x ? p.x < q.x : p.y < q.y;
}

// Does the way from p over q to r turn left, in axes with y up?
GEODET_HD inline bool turns_left(const CornerPoint& p, const CornerPoint& q, const CornerPoint& r) {
  return (q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x) > 0;
}

// All corners by x, then y, without repetitions; returns how many.
GEODET_HD inline int sorted_corners(const BoxPolygon& first, const BoxPolygon& second,
                                    CornerPoint* points) {
  int count = 0;
  for (int k = 0; k < 8; ++k) {
    const BoxPolygon& polygon = k < 4 ? first : second;
    const CornerPoint point{polygon.x[k & 3], polygon.y[k & 3], 1u << k};
    int place = 0;
    while (place < count && comes_before(points[place], point)) ++place;
    if (place < count && points[place].x == point.x && points[place].y == point.y) {
      points[place].owners |= point.owners;
      continue;
    }
    for (int move = count; move > place; --move) points[move] = points[move - 1];
    points[place] = point;
    ++count;
  }
  return count;
}

// In the frame of the first box, in the direction in which polygon_area is positive.
GEODET_HD inline PairHull pair_hull(const RotatedPair& pair, const RelativeRect& rect) {
  CornerPoint points[8];
  const int count =
      sorted_corners(box_polygon(0, 0, pair.half_w1, pair.half_h1, 0, 1),
                     box_polygon(rect.u, rect.v, rect.half_w, rect.half_h, rect.sin, rect.cos),
                     points);
  CornerPoint chain[17];
  int size = 0;
  for (int i = 0; i < count; ++i) {
    while (size > 1 && !turns_left(chain[size - 2], chain[size - 1], points[i])) --size;
    chain[size++] = points[i];
  }
  const int lower = size;
  for (int i = count - 2; i >= 0; --i) {
    while (size > lower && !turns_left(chain[size - 2], chain[size - 1], points[i])) --size;
    chain[size++] = points[i];
  }
  PairHull hull;
  hull.count = size > 1 ? size - 1 : size;  // the last point is the first again
  for (int i = 0; i < hull.count && i < 8; ++i) hull.points[i] = chain[i];
  return hull;
}

GEODET_HD inline double hull_area(const PairHull& hull) {
  double x[8], y[8];
  for (int i = 0; i < hull.count; ++i) {
    x[i] = hull.points[i].x;
    y[i] = hull.points[i].y;
  }
  return polygon_area(x, y, hull.count);
}

}  // namespace geodet
