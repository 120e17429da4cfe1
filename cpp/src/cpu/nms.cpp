#include "geodet/nms.hpp"

#include <limits>
#include <type_traits>

#include "geodet/host_device.hpp"
#include "geodet/ranking.hpp"
#include "geodet/rect.hpp"
#include "geodet/threshold.hpp"

namespace geodet {
namespace {

// Boxes that are tested together, before their exact overlaps are looked at.
constexpr std::int64_t kBlock = 32;

std::int64_t padded(std::int64_t n) { return (n + kBlock - 1) / kBlock * kBlock; }

// Kept boxes of a group, best first, one array a coordinate so that the tests vectorise. The last
// block is filled up with boxes that overlap nothing.
template <typename T>
struct KeptBoxes {
  T* x1;
  T* y1;
  T* x2;
  T* y2;
  T* area;
  std::int64_t count;

  GEODET_INLINE void append(const Rect<T>& box, T box_area) {
    if (count % kBlock == 0) {
      for (std::int64_t j = count; j < count + kBlock; ++j) {
        x1[j] = y1[j] = std::numeric_limits<T>::infinity();
        x2[j] = y2[j] = -std::numeric_limits<T>::infinity();
        area[j] = T(0);
      }
    }
    x1[count] = box.x1;
    y1[count] = box.y1;
    x2[count] = box.x2;
    y2[count] = box.y2;
    area[count] = box_area;
    ++count;
  }
};

template <typename T>
GEODET_INLINE T intersection_at(const KeptBoxes<T>& k, const Rect<T>& box, std::int64_t j) {
  return interval_overlap(k.x1[j], k.x2[j], box.x1, box.x2) *
         interval_overlap(k.y1[j], k.y2[j], box.y1, box.y2);
}

template <typename T>
using VectorFlag = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;

// May any box of the block exceed the threshold? Without a division, and on the safe side: `bound`
// lies below the threshold by more than the roundings of the exact test.
template <typename T>
GEODET_INLINE bool may_exceed(const KeptBoxes<T>& k, const Rect<T>& box, T area, T bound,
                              std::int64_t begin) {
  VectorFlag<T> found = 0;
  for (std::int64_t j = begin; j < begin + kBlock; ++j) {
    const T shared = intersection_at(k, box, j);
    const T needed = bound * (k.area[j] + area - shared);
    const T at_least = needed > std::numeric_limits<T>::denorm_min()
                           ? needed
                           : std::numeric_limits<T>::denorm_min();
    found |= static_cast<VectorFlag<T>>(shared >= at_least);
  }
  return found != 0;
}

template <typename T>
GEODET_INLINE bool exceeds(const KeptBoxes<T>& k, const Rect<T>& box, T area, T threshold,
                           std::int64_t begin) {
  VectorFlag<T> found = 0;
  for (std::int64_t j = begin; j < begin + kBlock; ++j) {
    const T iou = iou_from_areas(k.area[j], area, intersection_at(k, box, j));
    found |= static_cast<VectorFlag<T>>(iou > threshold);
  }
  return found != 0;
}

template <typename T>
GEODET_INLINE bool is_suppressed(const KeptBoxes<T>& k, const Rect<T>& box, T area, T threshold) {
  // Below 0 every box exceeds the threshold, those that do not overlap too.
  if (threshold < T(0)) return k.count > 0;
  const T bound = threshold * T(0.9999);
  for (std::int64_t begin = 0; begin < k.count; begin += kBlock) {
    if (may_exceed(k, box, area, bound, begin) && exceeds(k, box, area, threshold, begin)) {
      return true;
    }
  }
  return false;
}

// Boxes of one group by descending score: `order` holds indices; member m of the group stands at
// order[members[m].index], or at order[m] without `members`.
struct Group {
  const std::int64_t* order;
  const Ranked<std::uint64_t>* members;
  std::int64_t begin, end;

  std::int64_t rank(std::int64_t m) const {
    return members != nullptr ? static_cast<std::int64_t>(members[m].index) : m;
  }
};

template <typename T>
GEODET_INLINE void suppress(const T* boxes, const Group& group, T threshold, KeptBoxes<T> kept,
                            std::uint8_t* is_kept) {
  for (std::int64_t m = group.begin; m < group.end; ++m) {
    const std::int64_t rank = group.rank(m);
    const T* values = boxes + 4 * group.order[rank];
    const Rect<T> box{values[0], values[1], values[2], values[3]};
    const T area = rect_area(box);
    const bool suppressed = is_suppressed(kept, box, area, threshold);
    is_kept[rank] = suppressed ? 0 : 1;
    if (!suppressed) kept.append(box, area);
  }
}

GEODET_CLONES void suppress_group(const float* boxes, const Group& group, float threshold,
                                  const KeptBoxes<float>& kept, std::uint8_t* is_kept) {
  suppress(boxes, group, threshold, kept, is_kept);
}

GEODET_CLONES void suppress_group(const double* boxes, const Group& group, double threshold,
                                  const KeptBoxes<double>& kept, std::uint8_t* is_kept) {
  suppress(boxes, group, threshold, kept, is_kept);
}

// Parts of the caller's scratch: room to sort in, then the kept boxes, then a flag a box.
template <typename T>
struct Scratch {
  void* ranked;
  KeptBoxes<T> kept;
  std::uint8_t* is_kept;

  Scratch(void* memory, std::int64_t n) : ranked(memory) {
    auto* values = reinterpret_cast<T*>(static_cast<Ranked<std::uint64_t>*>(memory) + 2 * n);
    const std::int64_t room = padded(n);
    kept = {values, values + room, values + 2 * room, values + 3 * room, values + 4 * room, 0};
    is_kept = reinterpret_cast<std::uint8_t*>(values + 5 * room);
  }
};

// Ranks of the boxes, group by group.
Ranked<std::uint64_t>* rank_by_group(const std::int64_t* groups, const std::int64_t* order,
                                     std::int64_t n, void* scratch) {
  auto* members = static_cast<Ranked<std::uint64_t>*>(scratch);
  std::int64_t least = n > 0 ? groups[0] : 0;
  for (std::int64_t i = 1; i < n; ++i) least = groups[i] < least ? groups[i] : least;
  for (std::int64_t r = 0; r < n; ++r) {
    // Counted from the least, since the sort skips bytes that are always 0.
    const std::uint64_t key =
        static_cast<std::uint64_t>(groups[order[r]]) - static_cast<std::uint64_t>(least);
    members[r] = {key, static_cast<std::uint64_t>(r)};
  }
  sort_by_key(members, members + n, n);
  return members;
}

template <typename T>
Status nms_any(const T* boxes, std::int64_t n, const std::int64_t* order,
               const std::int64_t* groups, double threshold, void* memory, std::int64_t* kept,
               std::int64_t* num_kept) noexcept {
  if (n < 0 || !(threshold == threshold)) return Status::kInvalidArgument;
  for (std::int64_t r = 0; r < n; ++r) {
    if (order[r] < 0 || order[r] >= n) return Status::kOutOfRange;
  }
  const Scratch<T> scratch(memory, n);
  const T bound = round_down<T>(threshold);
  if (groups == nullptr) {
    suppress_group(boxes, {order, nullptr, 0, n}, bound, scratch.kept, scratch.is_kept);
  } else {
    const auto* members = rank_by_group(groups, order, n, scratch.ranked);
    for (std::int64_t begin = 0, end = 0; begin < n; begin = end) {
      while (end < n && members[end].key == members[begin].key) ++end;
      suppress_group(boxes, {order, members, begin, end}, bound, scratch.kept, scratch.is_kept);
    }
  }
  *num_kept = 0;
  for (std::int64_t r = 0; r < n; ++r) {
    if (scratch.is_kept[r] != 0) kept[(*num_kept)++] = order[r];
  }
  return Status::kOk;
}

}  // namespace

std::int64_t nms_scratch_bytes(std::int64_t n, std::int64_t element_size) noexcept {
  return 2 * n * static_cast<std::int64_t>(sizeof(Ranked<std::uint64_t>)) +
         5 * padded(n) * element_size + n;
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
