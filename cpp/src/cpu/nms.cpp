#include "geodet/nms.hpp"

#include <algorithm>
#include <limits>
#include <type_traits>

#include "geodet/host_device.hpp"
#include "geodet/rect.hpp"
#include "geodet/threshold.hpp"

namespace geodet {
namespace {

// Candidates still alive, best first, one array a coordinate so that the tests vectorise.
template <typename T>
struct Candidates {
  T* x1;
  T* y1;
  T* x2;
  T* y2;
  T* area;
  std::int64_t* index;
  std::uint8_t* dead;
};

// Candidates that are tested before their exact overlaps are looked at.
constexpr std::int64_t kBlock = 64;

template <typename T>
GEODET_INLINE T intersection_at(const Candidates<T>& c, const Rect<T>& best, std::int64_t j) {
  return interval_overlap(best.x1, best.x2, c.x1[j], c.x2[j]) *
         interval_overlap(best.y1, best.y2, c.y1[j], c.y2[j]);
}

// May any candidate of the block exceed the threshold? Without a division, and on the safe side:
// `bound` lies below the threshold by more than the roundings of the exact test.
template <typename T>
GEODET_INLINE bool may_exceed(const Candidates<T>& c, const Rect<T>& best, T best_area, T bound,
                              std::int64_t begin, std::int64_t end) {
  using Flag = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;  // vector lanes
  Flag found = 0;
  for (std::int64_t j = begin; j < end; ++j) {
    const T shared = intersection_at(c, best, j);
    const T needed = bound * (best_area + c.area[j] - shared);
    const T at_least = needed > std::numeric_limits<T>::denorm_min()
                           ? needed
                           : std::numeric_limits<T>::denorm_min();
    found |= static_cast<Flag>(shared >= at_least);
  }
  return found != 0;
}

// Marks what candidate i suppresses among (i, end); returns how many.
template <typename T>
GEODET_INLINE std::int64_t mark_overlaps(const Candidates<T>& candidates, std::int64_t i,
                                         std::int64_t end, T threshold) {
  const Candidates<T> c = candidates;
  const Rect<T> best{c.x1[i], c.y1[i], c.x2[i], c.y2[i]};
  const T best_area = c.area[i];
  // Below 0 every candidate exceeds the threshold, those that do not overlap too.
  const bool all = threshold < T(0);
  const T bound = threshold * T(0.9999);
  std::int64_t marked = 0;
  for (std::int64_t begin = i + 1; begin < end; begin += kBlock) {
    const std::int64_t last = begin + kBlock < end ? begin + kBlock : end;
    if (!all && !may_exceed(c, best, best_area, bound, begin, last)) continue;
    for (std::int64_t j = begin; j < last; ++j) {
      if (c.dead[j] != 0) continue;
      const T iou = iou_from_areas(best_area, c.area[j], intersection_at(c, best, j));
      if (!(iou > threshold)) continue;
      c.dead[j] = 1;
      ++marked;
    }
  }
  return marked;
}

GEODET_CLONES std::int64_t mark(const Candidates<float>& c, std::int64_t i, std::int64_t end,
                                float threshold) {
  return mark_overlaps(c, i, end, threshold);
}

GEODET_CLONES std::int64_t mark(const Candidates<double>& c, std::int64_t i, std::int64_t end,
                                double threshold) {
  return mark_overlaps(c, i, end, threshold);
}

// Drops the dead among [begin, end); returns the new end. Order is kept.
template <typename T>
std::int64_t compact(const Candidates<T>& c, std::int64_t begin, std::int64_t end) {
  std::int64_t out = begin;
  for (std::int64_t j = begin; j < end; ++j) {
    if (c.dead[j] != 0) continue;
    c.x1[out] = c.x1[j];
    c.y1[out] = c.y1[j];
    c.x2[out] = c.x2[j];
    c.y2[out] = c.y2[j];
    c.area[out] = c.area[j];
    c.index[out] = c.index[j];
    c.dead[out] = 0;
    ++out;
  }
  return out;
}

// The dead are dropped once they are this part of the candidates: a pass over all of them costs as
// much as a few rounds of tests.
constexpr std::int64_t kDeadPart = 8;

// Greedy suppression of one group; kept indices are appended to `kept`.
template <typename T>
std::int64_t suppress(const Candidates<T>& c, std::int64_t begin, std::int64_t end, T threshold,
                      std::int64_t* kept) {
  std::int64_t num_kept = 0;
  std::int64_t num_dead = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    if (c.dead[i] != 0) continue;
    kept[num_kept++] = c.index[i];
    num_dead += mark(c, i, end, threshold);
    if (num_dead > (end - i) / kDeadPart) {
      end = compact(c, i + 1, end);
      num_dead = 0;
    }
  }
  return num_kept;
}

template <typename T>
void fill(const Candidates<T>& c, const T* boxes, std::int64_t position, std::int64_t index) {
  const T* box = boxes + 4 * index;
  c.x1[position] = box[0];
  c.y1[position] = box[1];
  c.x2[position] = box[2];
  c.y2[position] = box[3];
  c.area[position] = rect_area(Rect<T>{box[0], box[1], box[2], box[3]});
  c.index[position] = index;
  c.dead[position] = 0;
}

// Splits the caller's scratch; `rank` and `by_group` serve grouped calls.
template <typename T>
struct Scratch {
  Candidates<T> candidates;
  std::int64_t* rank;
  std::int64_t* by_group;

  Scratch(void* memory, std::int64_t n) {
    auto* integers = static_cast<std::int64_t*>(memory);
    candidates.index = integers;
    rank = integers + n;
    by_group = integers + 2 * n;
    auto* values = reinterpret_cast<T*>(integers + 3 * n);
    candidates.x1 = values;
    candidates.y1 = values + n;
    candidates.x2 = values + 2 * n;
    candidates.y2 = values + 3 * n;
    candidates.area = values + 4 * n;
    candidates.dead = reinterpret_cast<std::uint8_t*>(values + 5 * n);
  }
};

template <typename T>
std::int64_t suppress_groups(const T* boxes, std::int64_t n, const std::int64_t* order,
                             const std::int64_t* groups, T threshold, Scratch<T>& scratch,
                             std::int64_t* kept) {
  for (std::int64_t r = 0; r < n; ++r) {
    scratch.rank[order[r]] = r;
    scratch.by_group[r] = order[r];
  }
  const std::int64_t* rank = scratch.rank;
  const auto best_first = [rank](std::int64_t a, std::int64_t b) { return rank[a] < rank[b]; };
  std::sort(scratch.by_group, scratch.by_group + n, [&](std::int64_t a, std::int64_t b) {
    return groups[a] != groups[b] ? groups[a] < groups[b] : best_first(a, b);
  });
  for (std::int64_t r = 0; r < n; ++r) fill(scratch.candidates, boxes, r, scratch.by_group[r]);
  std::int64_t num_kept = 0;
  for (std::int64_t begin = 0; begin < n;) {
    std::int64_t end = begin + 1;
    while (end < n && groups[scratch.by_group[end]] == groups[scratch.by_group[begin]]) ++end;
    num_kept += suppress(scratch.candidates, begin, end, threshold, kept + num_kept);
    begin = end;
  }
  std::sort(kept, kept + num_kept, best_first);
  return num_kept;
}

template <typename T>
Status nms_any(const T* boxes, std::int64_t n, const std::int64_t* order,
               const std::int64_t* groups, double threshold, void* memory, std::int64_t* kept,
               std::int64_t* num_kept) noexcept {
  if (n < 0 || !(threshold == threshold)) return Status::kInvalidArgument;
  for (std::int64_t r = 0; r < n; ++r) {
    if (order[r] < 0 || order[r] >= n) return Status::kOutOfRange;
  }
  Scratch<T> scratch(memory, n);
  const T bound = round_down<T>(threshold);
  if (groups != nullptr) {
    *num_kept = suppress_groups(boxes, n, order, groups, bound, scratch, kept);
  } else {
    for (std::int64_t r = 0; r < n; ++r) fill(scratch.candidates, boxes, r, order[r]);
    *num_kept = suppress(scratch.candidates, 0, n, bound, kept);
  }
  return Status::kOk;
}

}  // namespace

std::int64_t nms_scratch_bytes(std::int64_t n, std::int64_t element_size) noexcept {
  return n * (3 * static_cast<std::int64_t>(sizeof(std::int64_t)) + 5 * element_size + 1);
}

Status nms(const float* boxes, std::int64_t n, const std::int64_t* order,
           const std::int64_t* groups, double threshold, void* scratch, std::int64_t* kept,
           std::int64_t* num_kept) noexcept {
  return nms_any(boxes, n, order, groups, threshold, scratch, kept, num_kept);
}

Status nms(const double* boxes, std::int64_t n, const std::int64_t* order,
           const std::int64_t* groups, double threshold, void* scratch, std::int64_t* kept,
           std::int64_t* num_kept) noexcept {
  return nms_any(boxes, n, order, groups, threshold, scratch, kept, num_kept);
}

}  // namespace geodet
