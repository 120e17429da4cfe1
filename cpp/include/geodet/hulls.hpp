// Convex hulls of sets of points, and the smallest rectangles around them.
//
// Set i is points offsets[i] up to offsets[i + 1] of [p, 2] x, y; order and repetition mean
// nothing; coordinates below 1e-100 count as 0.
#pragma once

#include <cstdint>

#include "geodet/polygons.hpp"
#include "geodet/status.hpp"

namespace geodet {

struct HullPoint {
  double x, y;
};

// hulls [p + n]: the hull of set i at hulls + offsets[i] + i, clockwise on the screen from its
// leftmost (of several, topmost) point, corners only; lengths [n] says how many. Sets of one place
// have one point, sets on a line two. sorted: scratch [p].
Status convex_hulls(RingBatch sets, HullPoint* sorted, HullPoint* hulls, std::int64_t* lengths,
                    int num_threads) noexcept;

// rectangles [n, 5]: cx, cy, w, h and the angle in degrees, counter-clockwise on the screen, in
// [-45, 45). Of equal areas (to 1e-12 of them) the smallest angle without its sign, then the
// positive one. Sets of no points give zeros. sorted, hulls, lengths: scratch as above.
Status min_area_rectangles(RingBatch sets, HullPoint* sorted, HullPoint* hulls,
                           std::int64_t* lengths, double* rectangles, int num_threads) noexcept;

}  // namespace geodet
