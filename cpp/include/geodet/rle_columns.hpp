// Runs cut at the ends of columns: what shapes are made of, where runs only know positions.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"
#include "geodet/rle.hpp"
#include "geodet/rle_runs.hpp"
#include "geodet/status.hpp"

namespace geodet {

// Set pixels (x, y1) to (x, y2 - 1); the pixels above and below are not set.
struct ColumnSegment {
  std::int32_t x, y1, y2;
};

// Calls visit(x, y1, y2) for the segments of a mask from left to right, downwards.
template <typename Visit>
void for_each_segment(Runs runs, std::int64_t height, Visit&& visit) {
  if (height <= 0) return;
  std::int64_t x = 0;  // column and row of the next pixel
  std::int64_t y = 0;
  std::int64_t pending = 0;  // ones just before it that were not visited, all in its column
  const auto flush = [&] {
    if (pending > 0) {
      visit(static_cast<std::int32_t>(x), static_cast<std::int32_t>(y - pending),
            static_cast<std::int32_t>(y));
    }
    pending = 0;
  };
  for (std::int64_t k = 0; k < runs.count; ++k) {
    std::int64_t left = runs.lengths[k];
    if (left == 0) continue;  // ones on both sides of an empty run are one segment
    if (k % 2 == 0) {
      flush();
      y += left;
      if (y >= height) {
        x += y / height;
        y %= height;
      }
      continue;
    }
    while (left > 0) {
      const std::int64_t here = left < height - y ? left : height - y;
      pending += here;
      y += here;
      left -= here;
      if (y == height) {
        flush();
        y = 0;
        ++x;
      }
    }
  }
  flush();
}

// num_segments [n].
void rle_count_segments(RleBatch batch, std::int64_t height, std::int64_t* num_segments) noexcept;

// The segments of one mask, and where those of each column begin and end among them.
struct SegmentRange {
  const ColumnSegment* begin;
  std::int64_t size;

  // Row where the k-th change from or to set pixels lies: every segment has two.
  std::int64_t change(std::int64_t k) const {
    return k % 2 == 0 ? begin[k / 2].y1 : begin[k / 2].y2;
  }
};

// Calls visit(x, left, right) for every vertical line x between columns x - 1 (left) and x (right)
// of which at least one has segments.
template <typename Visit>
void for_each_line(const ColumnSegment* segments, std::int64_t count, Visit&& visit) {
  SegmentRange left{segments, 0};
  std::int64_t next = 0;
  while (next < count || left.size > 0) {
    const std::int64_t x =
        left.size > 0 ? std::int64_t{left.begin[0].x} + 1 : std::int64_t{segments[next].x};
    SegmentRange right{segments + next, 0};
    while (next < count && segments[next].x == x) {
      ++next;
      ++right.size;
    }
    visit(x, left, right);
    left = right;
  }
}

// Calls visit(y, left_changes, right_changes, a, b) downwards for every row y where one or both
// of two columns change; a and b changes lie at or above y.
template <typename Visit>
void for_each_change_of_line(SegmentRange left, SegmentRange right, Visit&& visit) {
  const std::int64_t left_count = 2 * left.size;
  const std::int64_t right_count = 2 * right.size;
  std::int64_t a = 0;
  std::int64_t b = 0;
  while (a < left_count || b < right_count) {
    const bool take_left =
        a < left_count && (b == right_count || left.change(a) <= right.change(b));
    const bool take_right =
        b < right_count && (a == left_count || right.change(b) <= left.change(a));
    const std::int64_t y = take_left ? left.change(a) : right.change(b);
    a += take_left ? 1 : 0;
    b += take_right ? 1 : 0;
    visit(y, take_left, take_right, a, b);
  }
}

}  // namespace geodet
