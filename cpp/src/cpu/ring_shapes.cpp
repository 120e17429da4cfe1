#include "geodet/ring_shapes.hpp"

#include <algorithm>
#include <cmath>

#include "geodet/orientation.hpp"
#include "geodet/parallel.hpp"

namespace geodet {
namespace {

// Points that a thread should have before it is worth waking: about 0.3 ms.
constexpr std::int64_t kPointsPerRange = 1 << 13;

std::int64_t rings_per_range(RingBatch rings) {
  const std::int64_t points = rings.offsets[rings.size];
  return kPointsPerRange * std::max<std::int64_t>(rings.size, 1) / (points + 1) + 1;
}

const double* point_at(const double* points, std::int64_t k) { return points + 2 * k; }

bool same_place(const double* a, const double* b) { return a[0] == b[0] && a[1] == b[1]; }

// Whether c, on the line through a and b, lies between them or on one of them.
bool is_between(const double* a, const double* b, const double* c) {
  return std::min(a[0], b[0]) <= c[0] && c[0] <= std::max(a[0], b[0]) &&
         std::min(a[1], b[1]) <= c[1] && c[1] <= std::max(a[1], b[1]);
}

bool segments_meet(const double* a, const double* b, const double* c, const double* d) {
  const int c_side = orientation(a, b, c);
  const int d_side = orientation(a, b, d);
  const int a_side = orientation(c, d, a);
  const int b_side = orientation(c, d, b);
  if (c_side * d_side < 0 && a_side * b_side < 0) return true;
  return (c_side == 0 && is_between(a, b, c)) || (d_side == 0 && is_between(a, b, d)) ||
         (a_side == 0 && is_between(c, d, a)) || (b_side == 0 && is_between(c, d, b));
}

// Whether the edges before and after b lie on each other.
bool turns_back(const double* a, const double* b, const double* c) {
  return orientation(a, b, c) == 0 && !is_between(a, c, b);
}

// The edges of a ring but those of no length; returns how many.
std::int64_t gather_edges(const double* points, std::int64_t count, EdgeReach* edges) {
  std::int64_t size = 0;
  std::int64_t from = 0;
  for (std::int64_t k = 1; k <= count; ++k) {
    const std::int64_t to = k < count ? k : 0;
    const double* a = point_at(points, from);
    const double* b = point_at(points, to);
    if (same_place(a, b)) continue;
    edges[size++] = {std::min(a[0], b[0]), std::max(a[0], b[0]), std::min(a[1], b[1]),
                     std::max(a[1], b[1]), from,                 to};
    from = to;
  }
  if (size > 0) edges[size - 1].to = edges[0].from;  // also when the ring repeats its first point
  return size;
}

bool edges_are_apart(const double* points, const EdgeReach& a, const EdgeReach& b) {
  const double* a_from = point_at(points, a.from);
  const double* a_to = point_at(points, a.to);
  const double* b_from = point_at(points, b.from);
  const double* b_to = point_at(points, b.to);
  if (a.to == b.from) return !turns_back(a_from, a_to, b_to);
  if (b.to == a.from) return !turns_back(b_from, b_to, a_to);
  return !segments_meet(a_from, a_to, b_from, b_to);
}

// Edges in order of their left ends: each is compared with those that begin before it ends.
bool is_simple_ring(const double* points, std::int64_t count, EdgeReach* edges) {
  const std::int64_t size = gather_edges(points, count, edges);
  if (size < 3) return false;
  std::sort(edges, edges + size, [](const EdgeReach& a, const EdgeReach& b) {
    return a.left < b.left || (a.left == b.left && a.from < b.from);
  });
  for (std::int64_t i = 0; i < size; ++i) {
    for (std::int64_t j = i + 1; j < size && edges[j].left <= edges[i].right; ++j) {
      if (edges[j].top > edges[i].bottom || edges[i].top > edges[j].bottom) continue;
      if (!edges_are_apart(points, edges[i], edges[j])) return false;
    }
  }
  return true;
}

double squared_distance(const double* a, const double* b) {
  const double dx = b[0] - a[0];
  const double dy = b[1] - a[1];
  return dx * dx + dy * dy;
}

double squared_distance(const double* from, const double* to, const double* point) {
  const double length = squared_distance(from, to);
  const double along = (point[0] - from[0]) * (to[0] - from[0]) +
                       (point[1] - from[1]) * (to[1] - from[1]);
  if (!(length > 0) || along <= 0) return squared_distance(from, point);
  if (along >= length) return squared_distance(to, point);
  const double across = doubled_triangle(from, to, point);
  return across * across / length;
}

struct Furthest {
  std::int64_t index;
  double squared;
};

// Of the points between two of a ring, the first of those furthest from their line segment. Index
// `count` stands for point 0 again.
Furthest furthest_between(const double* points, std::int64_t count, std::int64_t from,
                          std::int64_t to) {
  Furthest found{-1, -1};
  const double* end = point_at(points, to < count ? to : 0);
  for (std::int64_t k = from + 1; k < to; ++k) {
    const double squared = squared_distance(point_at(points, from), end, point_at(points, k));
    if (squared > found.squared) found = {k, squared};
  }
  return found;
}

void simplify_ring(const double* points, std::int64_t count, double tolerance,
                   std::int64_t* stack, std::uint8_t* keep) {
  std::fill(keep, keep + count, std::uint8_t{count < 4});
  if (count < 4) return;
  const std::int64_t opposite = furthest_between(points, count, 0, count).index;
  keep[0] = keep[opposite] = 1;
  std::int64_t kept = 2;
  std::int64_t depth = 0;
  const auto push = [&](std::int64_t from, std::int64_t to) {
    if (to - from < 2) return;
    stack[depth++] = from;
    stack[depth++] = to;
  };
  push(opposite, count);
  push(0, opposite);
  while (depth > 0) {
    const std::int64_t to = stack[--depth];
    const std::int64_t from = stack[--depth];
    const Furthest furthest = furthest_between(points, count, from, to);
    if (!(furthest.squared > tolerance * tolerance)) continue;
    keep[furthest.index] = 1;
    ++kept;
    push(furthest.index, to);
    push(from, furthest.index);
  }
  if (kept > 2) return;
  const Furthest there = furthest_between(points, count, 0, opposite);
  const Furthest back = furthest_between(points, count, opposite, count);
  keep[there.squared >= back.squared ? there.index : back.index] = 1;
}

}  // namespace

Status rings_are_simple(RingBatch rings, EdgeReach* edges, std::uint8_t* is_simple,
                        int num_threads) noexcept {
  parallel_for(rings.size, rings_per_range(rings), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t first = rings.offsets[i];
                   is_simple[i] = is_simple_ring(rings.points + 2 * first,
                                                 rings.offsets[i + 1] - first, edges + first)
                                      ? 1
                                      : 0;
                 }
               });
  return Status::kOk;
}

Status simplify_rings(RingBatch rings, double tolerance, std::int64_t* stack, std::uint8_t* keep,
                      int num_threads) noexcept {
  if (!(tolerance >= 0)) return Status::kInvalidArgument;
  parallel_for(rings.size, rings_per_range(rings), num_threads,
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t i = begin; i < end; ++i) {
                   const std::int64_t first = rings.offsets[i];
                   simplify_ring(rings.points + 2 * first, rings.offsets[i + 1] - first,
                                 tolerance, stack + 2 * first, keep + first);
                 }
               });
  return Status::kOk;
}

}  // namespace geodet
