// One edge of a polygon on COCO's grid: the maths that CPU and CUDA kernels share.
//
// COCO rounds vertices to a grid of five steps a pixel and walks each edge from one grid point to
// the next along its longer axis. The pixels of column c are decided where the outline passes
// from grid column 5 c + 2 to 5 c + 3, around the middle of the pixels: there the outline is
// between two pixels of the column, and every such crossing flips inside and outside below it.
// Since only those steps matter, they are solved for and the walk itself never happens: an edge
// costs as many steps as it crosses columns of the image, wherever its ends are.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

constexpr std::int64_t kGridSteps = 5;
// Vertices further out are refused: no image is near them, and grid numbers stay exact.
constexpr double kMaxCoordinate = 1e8;

struct GridPoint {
  std::int64_t x, y;
};

// Rounds half away from minus infinity for positive numbers; negative ones go towards zero.
GEODET_HD inline std::int64_t to_grid(double coordinate) {
  return static_cast<std::int64_t>(static_cast<double>(kGridSteps) * coordinate + 0.5);
}

GEODET_HD inline GridPoint to_grid(const double* point) {
  return {to_grid(point[0]), to_grid(point[1])};
}

GEODET_HD inline bool is_usable_coordinate(double value) {
  return value >= -kMaxCoordinate && value <= kMaxCoordinate;  // false for NaN
}

class GridEdge {
 public:
  GEODET_HD GridEdge(GridPoint from, GridPoint to) {
    const std::int64_t across = from.x < to.x ? to.x - from.x : from.x - to.x;
    const std::int64_t down = from.y < to.y ? to.y - from.y : from.y - to.y;
    steep_ = down > across;
    length_ = steep_ ? down : across;
    // The walk always goes up its longer axis, so both directions visit the same points.
    const bool backwards = steep_ ? from.y > to.y : from.x > to.x;
    start_ = backwards ? to : from;
    end_ = backwards ? from : to;
    if (length_ > 0) {
      const std::int64_t rise = steep_ ? end_.x - start_.x : end_.y - start_.y;
      slope_ = static_cast<double>(rise) / static_cast<double>(length_);
      if (steep_ && rise != 0) {  // an upright edge crosses no column
        steps_per_column_ = static_cast<double>(length_) / static_cast<double>(rise);
      }
    }
  }

  // Columns of an image of `width` that the edge crosses: [first, first + count).
  struct Columns {
    std::int64_t first, count;
  };

  GEODET_HD Columns crossed(std::int64_t width) const {
    const std::int64_t left = start_.x < end_.x ? start_.x : end_.x;
    const std::int64_t right = start_.x < end_.x ? end_.x : start_.x;
    // left <= 5 c + 2 and 5 c + 3 <= right
    const std::int64_t first = left <= 2 ? 0 : (left + 2) / kGridSteps;
    const std::int64_t beyond = right < 3 ? 0 : (right - 3) / kGridSteps + 1;
    const std::int64_t last = beyond < width ? beyond : width;
    return {first, last > first ? last - first : 0};
  }

  // The row of column c, of an image of `height`, above which the edge passes: 0 to height.
  GEODET_HD std::int64_t row(std::int64_t column, std::int64_t height) const {
    const std::int64_t grid_y = steep_ ? steep_step(column) : flat_step(column);
    if (grid_y <= 2) return 0;
    const std::int64_t below = (grid_y + 2) / kGridSteps;
    return below < height ? below : height;
  }

 private:
  // The other coordinate after t steps, rounded as COCO does.
  GEODET_HD std::int64_t beside(std::int64_t t) const {
    const double from = static_cast<double>(steep_ ? start_.x : start_.y);
    return static_cast<std::int64_t>(from + slope_ * static_cast<double>(t) + 0.5);
  }

  // Grid row of the upper end of the step that crosses a column.
  GEODET_HD std::int64_t flat_step(std::int64_t column) const {
    // Rounding keeps the order: an edge that rises is lower before the step than after it.
    const std::int64_t before = kGridSteps * column + 2 - start_.x;
    return beside(slope_ < 0 ? before + 1 : before);
  }

  // A steep edge crosses in the step to the first t that is past the column: an estimate, then
  // the rounded coordinates themselves decide.
  GEODET_HD std::int64_t steep_step(std::int64_t column) const {
    const std::int64_t limit = kGridSteps * column + 3;
    const double distance = static_cast<double>(limit - start_.x) - 0.5;
    const double estimate = distance * steps_per_column_;
    std::int64_t t = 1;
    if (estimate >= static_cast<double>(length_)) {
      t = length_;
    } else if (estimate > 1) {
      t = static_cast<std::int64_t>(estimate);
    }
    while (t > 1 && is_past(t - 1, limit)) --t;
    while (t < length_ && !is_past(t, limit)) ++t;
    return start_.y + t - 1;
  }

  GEODET_HD bool is_past(std::int64_t t, std::int64_t limit) const {
    return slope_ > 0 ? beside(t) >= limit : beside(t) < limit;
  }

  GridPoint start_, end_;
  std::int64_t length_ = 0;
  double slope_ = 0;
  double steps_per_column_ = 0;
  bool steep_ = false;
};

// Twice the area of a triangle, positive when a, b, c turn clockwise on the screen (y down).
GEODET_HD inline double doubled_triangle(const double* a, const double* b, const double* c) {
  return (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1]);
}

// Area of a ring of `count` points, positive when it runs clockwise on the screen (y down).
// Summed over triangles at its first point: far from the origin no digits are lost.
GEODET_HD inline double ring_area(const double* points, std::int64_t count) {
  double doubled = 0;
  for (std::int64_t k = 2; k < count; ++k) {
    doubled += doubled_triangle(points, points + 2 * (k - 1), points + 2 * k);
  }
  return doubled / 2;
}

}  // namespace geodet
