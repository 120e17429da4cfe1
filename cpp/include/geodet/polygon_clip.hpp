// Polygons cut to a rectangle.
#pragma once

#include <cstdint>

#include "geodet/polygon_fill.hpp"
#include "geodet/status.hpp"

namespace geodet {

struct RingPoint {
  double x, y;
};

// Parts that are being made: ring i ends before points[ring_ends[i]], part i before ring
// part_ends[i]; each begins where the one before it ends.
struct PartList {
  RingPoint* points;
  std::int64_t* ring_ends;
  std::int64_t* part_ends;
  std::int64_t num_points, num_rings, num_parts;
};

// A stretch of a ring inside, from where it enters to where it leaves.
struct ClipChain {
  std::int64_t begin, end;
  double entry, exit;  // along the border
  std::int64_t next;
  bool is_used;
};

struct ClipRing {
  std::int64_t begin, end;
  bool is_hole;
  std::int64_t owner;
};

// Room for parts of so many points and rings, once they are cut: a border takes at least one point
// of every stretch outside and adds two, of at most half as many stretches as points; there are
// four borders, and 1.5^4 < 6.
constexpr std::int64_t clipped_size(std::int64_t num_points, std::int64_t num_rings) {
  return 6 * (num_points + num_rings) + 16;
}

// Scratch for the largest part: every array has room for clipped_size of it.
struct ClipScratch {
  PartList here, there;
  RingPoint* chain_points;
  ClipChain* chains;
  std::int64_t* entries;
  std::int64_t* exits;
  RingPoint* ring_points;
  ClipRing* rings;
};

// Cuts every part to the window x1, y1, x2, y2 and appends what is left to `out`, which has room
// for clipped_size of each part; mask_ends [n]: how many parts there are up to and with
// each mask. A part may come apart into several; a hole that touches the border becomes part of the
// outline. Parts that lie inside are copied as they are; of rings that are cut, those without area
// are left out. Exact but for the rounding of new points, where rings do not cross themselves or
// each other.
// Method: each border in turn; crossings are joined in order along it (Weiler & Atherton 1977).
Status clip_polygons(PolygonBatch polygons, const double* window, ClipScratch scratch,
                     PartList* out, std::int64_t* mask_ends) noexcept;

}  // namespace geodet
