// What can be said of single rings, and how they are made simpler.
#pragma once

#include <cstdint>

#include "geodet/polygons.hpp"
#include "geodet/status.hpp"

namespace geodet {

// An edge of a ring, by the places of its ends in it, and how far it reaches.
struct EdgeReach {
  double left, right, top, bottom;
  std::int64_t from, to;
};

// is_simple [r]: 1 where a ring has three different points or more and its edges meet only where
// one follows the other; equal points in a row count as one. Exact. edges: scratch [p].
Status rings_are_simple(RingBatch rings, EdgeReach* edges, std::uint8_t* is_simple,
                        int num_threads) noexcept;

// keep [p]: 1 for the points that remain. Of a ring, the first point and the one furthest from it
// stay, and of every stretch between two that stay, the point furthest from the line segment
// between them when that is more than `tolerance` (Douglas & Peucker 1973). Fewer than three left:
// the point that is furthest from the segment stays too, so rings of three points or more keep
// three. stack: scratch [2 p].
Status simplify_rings(RingBatch rings, double tolerance, std::int64_t* stack, std::uint8_t* keep,
                      int num_threads) noexcept;

}  // namespace geodet
