#include <algorithm>

#include "geodet/parallel.hpp"
#include "geodet/rle_shapes.hpp"

namespace geodet {
namespace {

// Corners that a thread should walk before it is worth waking: about 0.3 ms.
constexpr std::int64_t kCornersPerRange = 1 << 14;
constexpr std::int64_t kNoCorner = -1;

std::int64_t masks_per_range(std::int64_t masks, std::int64_t corners) {
  return kCornersPerRange * std::max<std::int64_t>(masks, 1) / (corners + masks + 1) + 1;
}

// Lists the corners of a mask along its vertical lines and joins them along its horizontal ones.
class CornerList {
 public:
  CornerList(const ColumnSegment* segments, const std::int32_t* labels, Corner* corners,
             std::int64_t* open_rows)
      : segments_(segments), labels_(labels), corners_(corners), open_rows_(open_rows) {}

  // The changes of two columns down to row y: a of the left one, b of the right one.
  void visit(std::int64_t x, std::int64_t y, bool left_changes, bool right_changes,
             SegmentRange left, SegmentRange right, std::int64_t a, std::int64_t b) {
    const bool left_below = a % 2 == 1;
    const bool right_below = b % 2 == 1;
    if (!(left_changes && right_changes)) {
      const std::int64_t corner = add(x, y, left, right, a, b);
      if (open_rows_[y] == kNoCorner) {
        open_rows_[y] = corner;
      } else {
        close(y, corner);
      }
      return;
    }
    if (left_below == right_below) return;  // both begin or both end: a straight line
    // Two set pixels touch at this point: one corner for the edge above, one for the edge below.
    const std::int64_t upper = add(x, y, left, right, a, b);
    const std::int64_t lower = add(x, y, left, right, a, b);
    const bool same = label(left, left_below ? a / 2 : a / 2 - 1) ==
                      label(right, right_below ? b / 2 : b / 2 - 1);
    // Pixels of one component: each corner turns around the pixel that is not set. Of two: each
    // turns around a set one. The upper corner so takes the edge to the left, or leaves it.
    const bool upper_goes_left = (left_below == same);
    close(y, upper_goes_left ? upper : lower);
    open_rows_[y] = upper_goes_left ? lower : upper;
  }

  std::int64_t size() const { return size_; }

 private:
  std::int32_t label(SegmentRange range, std::int64_t k) const {
    return labels_[range.begin + k - segments_];
  }

  std::int64_t add(std::int64_t x, std::int64_t y, SegmentRange left, SegmentRange right,
                   std::int64_t a, std::int64_t b) {
    std::int32_t owner = 0;  // of corners without an edge below: no ring begins there
    if (b % 2 == 1) {
      owner = label(right, b / 2);
    } else if (a % 2 == 1) {
      owner = -1 - label(left, a / 2);
    }
    corners_[size_] = {kNoCorner, static_cast<std::int32_t>(x), static_cast<std::int32_t>(y),
                       owner, 0};
    return size_++;
  }

  void close(std::int64_t y, std::int64_t corner) {
    corners_[corner].across = open_rows_[y];
    corners_[open_rows_[y]].across = corner;
    open_rows_[y] = kNoCorner;
  }

  const ColumnSegment* segments_;
  const std::int32_t* labels_;
  Corner* corners_;
  std::int64_t* open_rows_;
  std::int64_t size_ = 0;
};

// Calls visit(corner) along the ring that begins at `first`, set pixels to the right.
template <typename Visit>
void walk(const Corner* corners, std::int64_t first, bool is_outline, Visit&& visit) {
  std::int64_t at = first;
  bool horizontally = is_outline;  // along the top of an outline, down the left side of a hole
  do {
    visit(at);
    at = horizontally ? corners[at].across : at ^ 1;
    horizontally = !horizontally;
  } while (at != first);
}

std::int64_t trace_mask(Corner* corners, std::int64_t count, Ring* rings) {
  std::int64_t num_rings = 0;
  for (std::int64_t first = 0; first < count; ++first) {
    if (corners[first].seen != 0) continue;
    Ring ring{first, 0, 0, corners[first].owner};
    walk(corners, first, ring.owner >= 0, [&](std::int64_t at) {
      corners[at].seen = 1;
      ++ring.length;
    });
    rings[num_rings++] = ring;
  }
  return num_rings;
}

std::int64_t component_of(const Ring& ring) {
  return ring.owner >= 0 ? ring.owner : -1 - std::int64_t{ring.owner};
}

}  // namespace

void count_corners(SegmentBatch batch, std::int64_t* num_corners, int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(batch.size, 4 * batch.offsets[batch.size]);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      std::int64_t corners = 0;
      for_each_line(
          batch.segments + batch.offsets[i], batch.offsets[i + 1] - batch.offsets[i],
          [&](std::int64_t, SegmentRange left, SegmentRange right) {
            for_each_change_of_line(
                left, right,
                [&](std::int64_t, bool in_left, bool in_right, std::int64_t a, std::int64_t b) {
                  if (!(in_left && in_right)) {
                    ++corners;
                  } else if (a % 2 != b % 2) {
                    corners += 2;
                  }
                });
          });
      num_corners[i] = corners;
    }
  });
}

void trace_rings(SegmentBatch batch, const std::int32_t* labels, std::int64_t height,
                 const std::int64_t* corner_offsets, Corner* corners, std::int64_t* open_rows,
                 Ring* rings, std::int64_t* num_rings, int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(batch.size, corner_offsets[batch.size]);
  parallel_for(batch.size, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const ColumnSegment* segments = batch.segments + batch.offsets[i];
      std::int64_t* rows = open_rows + i * (height + 1);
      std::fill(rows, rows + height + 1, kNoCorner);
      CornerList list(segments, labels + batch.offsets[i], corners + corner_offsets[i], rows);
      for_each_line(segments, batch.offsets[i + 1] - batch.offsets[i],
                    [&](std::int64_t x, SegmentRange left, SegmentRange right) {
                      for_each_change_of_line(
                          left, right,
                          [&](std::int64_t y, bool in_left, bool in_right, std::int64_t a,
                              std::int64_t b) {
                            list.visit(x, y, in_left, in_right, left, right, a, b);
                          });
                    });
      num_rings[i] =
          trace_mask(corners + corner_offsets[i], list.size(), rings + corner_offsets[i] / 4);
    }
  });
}

void place_rings(std::int64_t num_masks, const std::int64_t* corner_offsets, Ring* rings,
                 const std::int64_t* num_rings, const std::int64_t* component_offsets,
                 std::int64_t* ring_offsets, std::int64_t* part_offsets,
                 std::int64_t* next) noexcept {
  std::int64_t placed = 0;
  ring_offsets[0] = 0;
  part_offsets[0] = 0;
  for (std::int64_t i = 0; i < num_masks; ++i) {
    Ring* own = rings + corner_offsets[i] / 4;
    const std::int64_t first = component_offsets[i];
    const std::int64_t last = component_offsets[i + 1];
    std::fill(next + first, next + last, 0);
    for (std::int64_t k = 0; k < num_rings[i]; ++k) ++next[first + component_of(own[k])];
    for (std::int64_t c = first; c < last; ++c) {
      const std::int64_t rings_of_part = next[c];
      next[c] = placed;
      placed += rings_of_part;
      part_offsets[c + 1] = placed;
    }
    // Rings were found by their first corners, and no hole begins as far left as its outline.
    for (std::int64_t k = 0; k < num_rings[i]; ++k) {
      own[k].place = next[first + component_of(own[k])]++;
      ring_offsets[own[k].place + 1] = own[k].length;
    }
  }
  for (std::int64_t k = 0; k < placed; ++k) ring_offsets[k + 1] += ring_offsets[k];
}

void write_ring_points(std::int64_t num_masks, const std::int64_t* corner_offsets,
                       const Corner* corners, const Ring* rings, const std::int64_t* num_rings,
                       const std::int64_t* ring_offsets, double* points,
                       int num_threads) noexcept {
  const std::int64_t grain = masks_per_range(num_masks, corner_offsets[num_masks]);
  parallel_for(num_masks, grain, num_threads, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const Corner* own = corners + corner_offsets[i];
      for (std::int64_t k = 0; k < num_rings[i]; ++k) {
        const Ring& ring = rings[corner_offsets[i] / 4 + k];
        double* out = points + 2 * ring_offsets[ring.place];
        walk(own, ring.first, ring.owner >= 0, [&](std::int64_t at) {
          *out++ = own[at].x;
          *out++ = own[at].y;
        });
      }
    }
  });
}

}  // namespace geodet
