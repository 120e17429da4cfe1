// The edges of a ring on COCO's grid, one after the other.
#pragma once

#include <cstdint>

#include "geodet/polygons.hpp"

namespace geodet {

// Where a ring is looked at: a point p appears at (p - origin) * scale.
struct Frame {
  double x = 0, y = 0, scale_x = 1, scale_y = 1;

  double shown_x(double value) const { return (value - x) * scale_x; }
  double shown_y(double value) const { return (value - y) * scale_y; }
};

// Calls visit(edge) for every edge of ring i, the closing one included.
template <typename Visit>
void for_each_edge(RingBatch rings, std::int64_t i, const Frame& frame, Visit&& visit) {
  const double* points = rings.points + 2 * rings.offsets[i];
  const std::int64_t count = rings.offsets[i + 1] - rings.offsets[i];
  if (count < 3) return;  // one edge there and back
  const auto on_grid = [&](std::int64_t k) {
    return GridPoint{to_grid(frame.shown_x(points[2 * k])),
                     to_grid(frame.shown_y(points[2 * k + 1]))};
  };
  GridPoint previous = on_grid(count - 1);
  for (std::int64_t k = 0; k < count; ++k) {
    const GridPoint point = on_grid(k);
    visit(GridEdge(previous, point));
    previous = point;
  }
}

}  // namespace geodet
