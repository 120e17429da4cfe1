#include "geodet/rotated_nms.hpp"

#include <algorithm>

#include "geodet/flagged.hpp"
#include "geodet/rotated_batch.hpp"
#include "geodet/rotated_bounds.hpp"
#include "geodet/rotated_overlap.hpp"
#include "geodet/threshold.hpp"

namespace geodet {
namespace {

// Candidates still alive, best first; one array a number so that the tests vectorise.
struct Candidates {
  const RotatedRect* rects;  // by index
  std::int64_t* index;
  UprightBoundsArrays bounds;
  float* area;
  std::uint8_t* dead;
};

// flags[k] = 1 where the IoU of candidate first + k with the best box may exceed the threshold.
// IoU > t means shared > t / (1 + t) (area + best area), and what upright bounds share is at least
// that much: `part` is t / (1 + t), less more than single precision can be wrong by.
GEODET_CLONES void test_block(const Candidates& c, const UprightBounds& best_bounds,
                              float best_area, float part, std::int64_t first, std::int64_t count,
                              std::uint8_t* flags) {
  const float* x1 = c.bounds.x1 + first;
  const float* y1 = c.bounds.y1 + first;
  const float* x2 = c.bounds.x2 + first;
  const float* y2 = c.bounds.y2 + first;
  const float* area = c.area + first;
  const UprightBounds best = best_bounds;
  constexpr float kTiny = 1e-37f;  // below it products lose digits
  for (std::int64_t k = 0; k < count; ++k) {
    const float left = x1[k] > best.x1 ? x1[k] : best.x1;
    const float top = y1[k] > best.y1 ? y1[k] : best.y1;
    const float right = x2[k] < best.x2 ? x2[k] : best.x2;
    const float bottom = y2[k] < best.y2 ? y2[k] : best.y2;
    const int meets = static_cast<int>(left <= right) & static_cast<int>(top <= bottom);
    // Not >=: infinite areas make NaNs, which must pass.
    const int enough = static_cast<int>(
        !((right - left) * (bottom - top) < part * (area[k] + best_area) - kTiny));
    flags[k] = static_cast<std::uint8_t>(meets & enough);
  }
}

// Marks those of the batch that the threshold excludes; returns how many.
template <typename T>
std::int64_t finish(RotatedBatch& batch, T threshold, std::uint8_t* dead) {
  intersect(batch);
  std::int64_t marked = 0;
  for (std::int64_t k = 0; k < batch.count; ++k) {
    const auto iou = static_cast<T>(
        overlap_from_area(batch.pair(k), batch.unit[k], batch.area[k], RotatedOverlap::kIou));
    if (!(iou > threshold)) continue;
    dead[batch.target[k]] = 1;
    ++marked;
  }
  batch.count = 0;
  return marked;
}

// Marks what candidate i suppresses among (i, end); returns how many.
template <typename T>
std::int64_t mark(const Candidates& c, std::int64_t i, std::int64_t end, T threshold, float part,
                  RotatedBatch& batch) {
  const UprightBounds bounds{c.bounds.x1[i], c.bounds.y1[i], c.bounds.x2[i], c.bounds.y2[i]};
  const RotatedRect& best = c.rects[c.index[i]];
  if (!covers_something(best)) return 0;
  const auto test = [&](std::int64_t first, std::int64_t count, std::uint8_t* flags) {
    test_block(c, bounds, c.area[i], part, first, count, flags);
  };
  std::int64_t marked = 0;
  for_each_flagged(i + 1, end, test, [&](std::int64_t j) {
    if (c.dead[j] != 0) return;
    batch.add(best, c.rects[c.index[j]], j);
    if (batch.full()) marked += finish(batch, threshold, c.dead);
  });
  return marked + finish(batch, threshold, c.dead);
}

// Drops the dead among [begin, end); returns the new end. Order is kept.
std::int64_t compact(const Candidates& c, std::int64_t begin, std::int64_t end) {
  std::int64_t out = begin;
  for (std::int64_t j = begin; j < end; ++j) {
    if (c.dead[j] != 0) continue;
    c.bounds.set(out, {c.bounds.x1[j], c.bounds.y1[j], c.bounds.x2[j], c.bounds.y2[j]});
    c.area[out] = c.area[j];
    c.index[out] = c.index[j];
    c.dead[out] = 0;
    ++out;
  }
  return out;
}

// The dead are dropped once they are this part of the candidates.
constexpr std::int64_t kDeadPart = 8;

// Greedy suppression of one group; kept indices are appended to `kept`.
template <typename T>
std::int64_t suppress(const Candidates& c, std::int64_t begin, std::int64_t end, T threshold,
                      std::int64_t* kept) {
  const double exact = static_cast<double>(threshold);
  const auto part = static_cast<float>(0.9999 * exact / (1 + exact));
  RotatedBatch batch;
  std::int64_t num_kept = 0;
  std::int64_t num_dead = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    if (c.dead[i] != 0) continue;
    kept[num_kept++] = c.index[i];
    num_dead += mark(c, i, end, threshold, part, batch);
    if (num_dead > (end - i) / kDeadPart) {
      end = compact(c, i + 1, end);
      num_dead = 0;
    }
  }
  return num_kept;
}

// Splits the caller's scratch.
struct Scratch {
  RotatedRect* rects;
  std::int64_t* rank;
  Candidates candidates;

  Scratch(void* memory, std::int64_t n) {
    rects = static_cast<RotatedRect*>(memory);
    auto* integers = reinterpret_cast<std::int64_t*>(rects + n);
    rank = integers;
    auto* values = reinterpret_cast<float*>(integers + 2 * n);
    candidates = {rects,
                  integers + n,
                  {values, values + n, values + 2 * n, values + 3 * n},
                  values + 4 * n,
                  reinterpret_cast<std::uint8_t*>(values + 5 * n)};
  }

  // Boxes become candidates in the order of candidates.index.
  template <typename T>
  void read(const T* boxes, std::int64_t n) {
    for (std::int64_t i = 0; i < n; ++i) rects[i] = make_rotated_rect(boxes + 5 * i);
    double x = 0;
    double y = 0;
    for (std::int64_t i = n; i-- > 0;) {
      if (!covers_something(rects[i])) continue;
      x = rects[i].cx;
      y = rects[i].cy;
    }
    for (std::int64_t r = 0; r < n; ++r) {
      const RotatedRect& rect = rects[candidates.index[r]];
      candidates.bounds.set(r, upright_bounds(rect, x, y));
      candidates.area[r] = static_cast<float>(4 * rect.area);
      candidates.dead[r] = 0;
    }
  }
};

template <typename T>
std::int64_t suppress_groups(const Scratch& scratch, std::int64_t n, const std::int64_t* groups,
                             T threshold, std::int64_t* kept) {
  const std::int64_t* index = scratch.candidates.index;
  std::int64_t num_kept = 0;
  for (std::int64_t begin = 0; begin < n;) {
    // Read now: what suppress() moves lies before `end`.
    const std::int64_t group = groups[index[begin]];
    std::int64_t end = begin + 1;
    while (end < n && groups[index[end]] == group) ++end;
    num_kept += suppress(scratch.candidates, begin, end, threshold, kept + num_kept);
    begin = end;
  }
  const std::int64_t* rank = scratch.rank;
  std::sort(kept, kept + num_kept,
            [rank](std::int64_t a, std::int64_t b) { return rank[a] < rank[b]; });
  return num_kept;
}

template <typename T>
Status nms(const T* boxes, std::int64_t n, const std::int64_t* order, const std::int64_t* groups,
           double threshold, void* memory, std::int64_t* kept, std::int64_t* num_kept) noexcept {
  if (n < 0 || !(threshold >= 0)) return Status::kInvalidArgument;
  for (std::int64_t r = 0; r < n; ++r) {
    if (order[r] < 0 || order[r] >= n) return Status::kOutOfRange;
  }
  Scratch scratch(memory, n);
  std::int64_t* index = scratch.candidates.index;
  std::copy(order, order + n, index);
  const T bound = round_down<T>(threshold);
  if (groups == nullptr) {
    scratch.read(boxes, n);
    *num_kept = suppress(scratch.candidates, 0, n, bound, kept);
    return Status::kOk;
  }
  for (std::int64_t r = 0; r < n; ++r) scratch.rank[order[r]] = r;
  const std::int64_t* rank = scratch.rank;
  std::sort(index, index + n, [groups, rank](std::int64_t a, std::int64_t b) {
    return groups[a] != groups[b] ? groups[a] < groups[b] : rank[a] < rank[b];
  });
  scratch.read(boxes, n);
  *num_kept = suppress_groups(scratch, n, groups, bound, kept);
  return Status::kOk;
}

}  // namespace

std::int64_t rotated_nms_scratch_bytes(std::int64_t n) noexcept {
  constexpr auto kEach = static_cast<std::int64_t>(
      sizeof(RotatedRect) + 2 * sizeof(std::int64_t) + 5 * sizeof(float) + 1);
  return n * kEach;
}

Status rotated_nms(const float* boxes, std::int64_t n, const std::int64_t* order,
                   const std::int64_t* groups, double threshold, void* scratch,
                   std::int64_t* kept, std::int64_t* num_kept) noexcept {
  return nms(boxes, n, order, groups, threshold, scratch, kept, num_kept);
}

Status rotated_nms(const double* boxes, std::int64_t n, const std::int64_t* order,
                   const std::int64_t* groups, double threshold, void* scratch,
                   std::int64_t* kept, std::int64_t* num_kept) noexcept {
  return nms(boxes, n, order, groups, threshold, scratch, kept, num_kept);
}

}  // namespace geodet
