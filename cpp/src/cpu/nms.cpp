#include "geodet/nms.hpp"

#include <algorithm>
#include <limits>

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

template <typename T>
inline void mark_overlaps(const Candidates<T>& c, std::int64_t i, std::int64_t end, T threshold) {
  const Rect<T> best{c.x1[i], c.y1[i], c.x2[i], c.y2[i]};
  const T best_area = c.area[i];
  const T* x1 = c.x1;
  const T* y1 = c.y1;
  const T* x2 = c.x2;
  const T* y2 = c.y2;
  const T* area = c.area;
  std::uint8_t* dead = c.dead;
  for (std::int64_t j = i + 1; j < end; ++j) {
    const T w = interval_overlap(best.x1, best.x2, x1[j], x2[j]);
    const T h = interval_overlap(best.y1, best.y2, y1[j], y2[j]);
    const T iou = iou_from_areas(best_area, area[j], w * h);
    dead[j] = static_cast<std::uint8_t>(dead[j] | static_cast<std::uint8_t>(iou > threshold));
  }
}

GEODET_CLONES void mark(const Candidates<float>& c, std::int64_t i, std::int64_t end, float t) {
  mark_overlaps(c, i, end, t);
}

GEODET_CLONES void mark(const Candidates<double>& c, std::int64_t i, std::int64_t end, double t) {
  mark_overlaps(c, i, end, t);
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

// A pass over the living is paid back once it saves this many tests.
constexpr std::int64_t kCompactEvery = 16;

// Greedy suppression of one group; kept indices are appended to `kept`.
template <typename T>
std::int64_t suppress(const Candidates<T>& c, std::int64_t begin, std::int64_t end, T threshold,
                      std::int64_t* kept) {
  std::int64_t num_kept = 0;
  std::int64_t since_compaction = 0;
  for (std::int64_t i = begin; i < end; ++i) {
    if (c.dead[i] != 0) continue;
    kept[num_kept++] = c.index[i];
    mark(c, i, end, threshold);
    if (++since_compaction == kCompactEvery) {
      end = compact(c, i + 1, end);
      since_compaction = 0;
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
