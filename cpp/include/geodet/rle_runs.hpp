// Run lengths of one mask: the maths that CPU and CUDA kernels share.
//
// Pixels are visited column by column, top to bottom, left to right: pixel (x, y) of a mask of
// height h has position x * h + y. Runs alternate zeros, ones, zeros, ... and start with zeros;
// a run may be empty in what is read. What is written is canonical: no empty run but the first,
// which is there when pixel (0, 0) is set; a mask without pixels is the one run 0.
#pragma once

#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

// The most pixels a mask may have: positions and run lengths are 32-bit.
constexpr std::int64_t kMaxMaskPixels = 2147483647;

struct Runs {
  const std::int32_t* lengths;
  std::int64_t count;
};

// Appends stretches of equal pixels and writes canonical runs; counts only when `out` is null.
class RunWriter {
 public:
  GEODET_HD explicit RunWriter(std::int32_t* out) : out_(out) {}

  GEODET_HD void add(bool value, std::int64_t length) {
    if (length == 0) return;
    if (value != value_) {
      flush();
      value_ = value;
    }
    pending_ += length;
  }

  // Writes the last run and returns how many there are.
  GEODET_HD std::int64_t finish() {
    flush();
    return count_;
  }

 private:
  GEODET_HD void flush() {
    if (out_ != nullptr) out_[count_] = static_cast<std::int32_t>(pending_);
    ++count_;
    pending_ = 0;
  }

  std::int32_t* out_;
  std::int64_t count_ = 0;
  std::int64_t pending_ = 0;
  bool value_ = false;
};

GEODET_HD inline std::int64_t runs_area(Runs runs) {
  std::int64_t area = 0;
  for (std::int64_t k = 1; k < runs.count; k += 2) area += runs.lengths[k];
  return area;
}

// Half-open bounds of the set pixels of a mask, and its first and last set position + 1.
struct RunsExtent {
  std::int32_t x1, y1, x2, y2;
  std::int32_t first, last;
};

// All zeros when no pixel is set. The rows are those of a mask of one column when h is 0.
GEODET_HD inline RunsExtent runs_extent(Runs runs, std::int64_t height) {
  const std::int64_t h = height > 0 ? height : kMaxMaskPixels;
  RunsExtent extent{0, 0, 0, 0, 0, 0};
  bool any = false;
  std::int64_t x = 0;  // column and row where the run begins
  std::int64_t y = 0;
  std::int64_t position = 0;
  for (std::int64_t k = 0; k < runs.count; ++k) {
    const std::int64_t length = runs.lengths[k];
    if (k % 2 == 1 && length > 0) {
      const std::int64_t below = y + length;
      const std::int64_t last_x = below <= h ? x : x + (below - 1) / h;
      const auto top = static_cast<std::int32_t>(below <= h ? y : 0);
      const auto bottom = static_cast<std::int32_t>(below <= h ? below : h);
      if (!any) {
        extent = {static_cast<std::int32_t>(x), top, 0, bottom,
                  static_cast<std::int32_t>(position), 0};
        any = true;
      }
      extent.y1 = top < extent.y1 ? top : extent.y1;
      extent.y2 = bottom > extent.y2 ? bottom : extent.y2;
      extent.x2 = static_cast<std::int32_t>(last_x + 1);
      extent.last = static_cast<std::int32_t>(position + length);
    }
    position += length;
    y += length;
    if (y >= h) {
      x += y / h;
      y %= h;
    }
  }
  return extent;
}

// Whether masks of these extents may have a pixel in common.
GEODET_HD inline bool extents_overlap(const RunsExtent& a, const RunsExtent& b) {
  return a.first < b.last && b.first < a.last && a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 &&
         b.y1 < a.y2;
}

// Whether a position is set, from the positions where runs end.
GEODET_HD inline bool ends_contain(const std::int32_t* ends, std::int64_t count,
                                   std::int64_t position) {
  std::int64_t low = 0;  // runs that end at or before the position
  std::int64_t high = count;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (ends[middle] <= position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low % 2 == 1;
}

// Index of the first pair (2 i, 2 i + 1) of run ends whose ones reach beyond `position`.
GEODET_HD inline std::int64_t first_pair_beyond(const std::int32_t* ends, std::int64_t pairs,
                                                std::int32_t position) {
  std::int64_t low = 0;
  std::int64_t high = pairs;
  while (low < high) {
    const std::int64_t middle = (low + high) / 2;
    if (ends[2 * middle + 1] <= position) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// Number of positions that both masks set, from the positions where their runs end. `begin` is a
// position before which at least one of them sets nothing.
GEODET_HD inline std::int64_t ends_intersection(const std::int32_t* a, std::int64_t a_count,
                                                const std::int32_t* b, std::int64_t b_count,
                                                std::int32_t begin) {
  // Ones of pair i lie in [ends[2 i], ends[2 i + 1]); a last run of zeros needs no pair.
  const std::int64_t a_pairs = a_count / 2;
  const std::int64_t b_pairs = b_count / 2;
  std::int64_t i = first_pair_beyond(a, a_pairs, begin);
  std::int64_t j = first_pair_beyond(b, b_pairs, begin);
  std::int64_t common = 0;
  while (i < a_pairs && j < b_pairs) {
    const std::int32_t a_end = a[2 * i + 1];
    const std::int32_t b_end = b[2 * j + 1];
    const std::int32_t low = a[2 * i] > b[2 * j] ? a[2 * i] : b[2 * j];
    const std::int32_t high = a_end < b_end ? a_end : b_end;
    common += high > low ? high - low : 0;
    // Without branches: which side ends first is a coin toss that no predictor learns.
    const bool a_first = a_end <= b_end;
    i += a_first ? 1 : 0;
    j += a_first ? 0 : 1;
  }
  return common;
}

// What a comparison of pairs keeps of a mask.
struct RunsSummary {
  std::int64_t area;
  RunsExtent extent;
};

// COCO's overlap: the union is replaced by the area of `a` when b is a crowd.
GEODET_HD inline double overlap_ratio(std::int64_t common, std::int64_t a_area,
                                      std::int64_t b_area, bool b_is_crowd) {
  if (common == 0) return 0.0;
  const std::int64_t whole = b_is_crowd ? a_area : a_area + b_area - common;
  return static_cast<double>(common) / static_cast<double>(whole);
}

// Overlap of two masks from their summaries and the positions where their runs end.
GEODET_HD inline double runs_overlap(const RunsSummary& a, const std::int32_t* a_ends,
                                     std::int64_t a_count, const RunsSummary& b,
                                     const std::int32_t* b_ends, std::int64_t b_count,
                                     bool b_is_crowd) {
  if (!extents_overlap(a.extent, b.extent)) return 0.0;
  const std::int32_t begin = a.extent.first > b.extent.first ? a.extent.first : b.extent.first;
  const std::int64_t common = ends_intersection(a_ends, a_count, b_ends, b_count, begin);
  return overlap_ratio(common, a.area, b.area, b_is_crowd);
}

// Whether pixel (x, y) of a dense mask of bytes differs from the one before it; before the top of
// a column comes the bottom of the column to its left, and before everything a zero.
GEODET_HD inline bool changes_at(const std::uint8_t* mask, std::int64_t height,
                                 std::int64_t width, std::int64_t x, std::int64_t y) {
  const bool here = mask[y * width + x] != 0;
  if (y > 0) return here != (mask[(y - 1) * width + x] != 0);
  if (x > 0) return here != (mask[(height - 1) * width + x - 1] != 0);
  return here;
}

// Pixelwise combination of two masks.
enum class RunsOperation { kUnion, kIntersection, kDifference };

GEODET_HD inline bool combine_pixels(RunsOperation operation, bool a, bool b) {
  switch (operation) {
    case RunsOperation::kUnion:
      return a || b;
    case RunsOperation::kIntersection:
      return a && b;
    case RunsOperation::kDifference:
      return a && !b;
  }
  return false;
}

// Steps through the runs of a mask, empty ones left out.
class RunReader {
 public:
  GEODET_HD explicit RunReader(Runs runs) : runs_(runs) { skip_empty(); }

  GEODET_HD bool value() const { return next_ % 2 == 0; }
  GEODET_HD std::int64_t left() const { return left_; }  // 0 at the end

  GEODET_HD void take(std::int64_t length) {
    left_ -= length;
    skip_empty();
  }

 private:
  GEODET_HD void skip_empty() {
    while (left_ == 0 && next_ < runs_.count) left_ = runs_.lengths[next_++];
  }

  Runs runs_;
  std::int64_t next_ = 0;  // run after the current one: even while the current one is of ones
  std::int64_t left_ = 0;
};

// Combines two masks of the same number of pixels; time O(runs of both). Returns the number of
// runs, at most max(1, a.count + b.count).
GEODET_HD inline std::int64_t combine_runs(RunsOperation operation, Runs a, Runs b,
                                           std::int32_t* out) {
  RunReader from_a(a);
  RunReader from_b(b);
  RunWriter writer(out);
  while (from_a.left() > 0 && from_b.left() > 0) {
    const std::int64_t length = from_a.left() < from_b.left() ? from_a.left() : from_b.left();
    writer.add(combine_pixels(operation, from_a.value(), from_b.value()), length);
    from_a.take(length);
    from_b.take(length);
  }
  return writer.finish();
}

}  // namespace geodet
