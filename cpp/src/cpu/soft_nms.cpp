#include "geodet/soft_nms.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>

#include "geodet/host_device.hpp"
#include "geodet/ranking.hpp"
#include "geodet/rect.hpp"
#include "geodet/threshold.hpp"

namespace geodet {
namespace {

// Boxes whose best score is remembered, and which are tested for any overlap together.
constexpr std::int64_t kBlock = 64;

std::int64_t blocks_of(std::int64_t n) { return (n + kBlock - 1) / kBlock; }

template <typename T>
constexpr T kGone = -std::numeric_limits<T>::infinity();

// Boxes of one group by index, one array a coordinate, in whole blocks. Boxes that were kept,
// dropped or never there have the score kGone.
template <typename T>
struct Candidates {
  T* x1;
  T* y1;
  T* x2;
  T* y2;
  T* area;
  T* score;
  T* block_best;  // highest score of each block
  std::int64_t* index;
  std::int64_t count;
};

template <typename T>
struct Decay {
  bool gaussian;
  T iou_threshold, sigma, min_score;

  GEODET_INLINE T of(T iou) const {
    if (gaussian) return std::exp(-iou * iou / sigma);
    return iou > iou_threshold ? T(1) - iou : T(1);
  }
};

template <typename T>
GEODET_INLINE T intersection_at(const Candidates<T>& c, const Rect<T>& box, std::int64_t j) {
  return interval_overlap(box.x1, box.x2, c.x1[j], c.x2[j]) *
         interval_overlap(box.y1, box.y2, c.y1[j], c.y2[j]);
}

template <typename T>
GEODET_INLINE void find_block_best(const Candidates<T>& c, std::int64_t block) {
  const T* scores = c.score + block * kBlock;
  T best = kGone<T>;
  for (std::int64_t j = 0; j < kBlock; ++j) best = scores[j] > best ? scores[j] : best;
  c.block_best[block] = best;
}

// Position of the best box left; the first of equal ones.
template <typename T>
GEODET_INLINE std::int64_t find_best(const Candidates<T>& c) {
  const std::int64_t blocks = blocks_of(c.count);
  std::int64_t best = 0;
  for (std::int64_t b = 1; b < blocks; ++b) {
    if (c.block_best[b] > c.block_best[best]) best = b;
  }
  std::int64_t position = best * kBlock;
  while (c.score[position] != c.block_best[best]) ++position;
  return position;
}

template <typename T>
GEODET_INLINE bool overlaps_any(const Candidates<T>& c, const Rect<T>& box, std::int64_t begin) {
  using Flag = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;  // vector lanes
  Flag found = 0;
  for (std::int64_t j = begin; j < begin + kBlock; ++j) {
    found |= static_cast<Flag>(intersection_at(c, box, j) > T(0));
  }
  return found != 0;
}

// Lowers the scores of what overlaps `box`.
template <typename T>
GEODET_INLINE void decay_overlapping(const Candidates<T>& c, const Rect<T>& box,
                                     const Decay<T>& decay) {
  const T box_area = rect_area(box);
  for (std::int64_t block = 0; block < blocks_of(c.count); ++block) {
    const std::int64_t begin = block * kBlock;
    if (c.block_best[block] == kGone<T> || !overlaps_any(c, box, begin)) continue;
    for (std::int64_t j = begin; j < begin + kBlock; ++j) {
      const T shared = intersection_at(c, box, j);
      if (!(shared > T(0)) || c.score[j] == kGone<T>) continue;
      const T score = c.score[j] * decay.of(iou_from_areas(box_area, c.area[j], shared));
      c.score[j] = score > decay.min_score ? score : kGone<T>;
    }
    find_block_best(c, block);
  }
}

template <typename T>
GEODET_INLINE void suppress(const Candidates<T>& c, const Decay<T>& decay, T* decayed) {
  for (std::int64_t block = 0; block < blocks_of(c.count); ++block) find_block_best(c, block);
  for (std::int64_t step = 0; step < c.count; ++step) {
    const std::int64_t best = find_best(c);
    if (c.score[best] == kGone<T>) return;
    decayed[c.index[best]] = c.score[best];
    c.score[best] = kGone<T>;
    find_block_best(c, best / kBlock);
    decay_overlapping(c, Rect<T>{c.x1[best], c.y1[best], c.x2[best], c.y2[best]}, decay);
  }
}

GEODET_CLONES void suppress_group(const Candidates<float>& c, const Decay<float>& decay,
                                  float* decayed) {
  suppress(c, decay, decayed);
}

GEODET_CLONES void suppress_group(const Candidates<double>& c, const Decay<double>& decay,
                                  double* decayed) {
  suppress(c, decay, decayed);
}

template <typename T>
void fill(const T* boxes, const T* scores, T min_score, std::int64_t position,
          std::int64_t index, const Candidates<T>& c) {
  const T* box = boxes + 4 * index;
  c.x1[position] = box[0];
  c.y1[position] = box[1];
  c.x2[position] = box[2];
  c.y2[position] = box[3];
  c.area[position] = rect_area(Rect<T>{box[0], box[1], box[2], box[3]});
  c.score[position] = scores[index] > min_score ? scores[index] : kGone<T>;
  c.index[position] = index;
}

template <typename T>
Status soft_nms_any(const T* boxes, const T* scores, std::int64_t n, const std::int64_t* groups,
                    const SoftNmsSettings& settings, void* scratch, T* decayed,
                    std::int64_t* kept, std::int64_t* num_kept) noexcept {
  if (n < 0 || !(settings.min_score >= 0) || !(settings.iou_threshold >= 0) ||
      (settings.gaussian && !(settings.sigma > 0))) {
    return Status::kInvalidArgument;
  }
  const Decay<T> decay{settings.gaussian, round_down<T>(settings.iou_threshold),
                       static_cast<T>(settings.sigma), round_down<T>(settings.min_score)};
  std::fill(decayed, decayed + n, kGone<T>);
  auto* members = static_cast<Ranked<std::uint64_t>*>(scratch);
  for (std::int64_t i = 0; i < n; ++i) {
    const auto group = groups != nullptr ? static_cast<std::uint64_t>(groups[i]) : 0;
    members[i] = {group, static_cast<std::uint64_t>(i)};
  }
  if (groups != nullptr) sort_by_key(members, members + n, n);
  const std::int64_t room = blocks_of(n) * kBlock;
  auto* index = reinterpret_cast<std::int64_t*>(members + 2 * n);
  T* values = reinterpret_cast<T*>(index + room);
  Candidates<T> c{values,            values + room,     values + 2 * room, values + 3 * room,
                  values + 4 * room, values + 5 * room, values + 6 * room, index,
                  0};
  for (std::int64_t begin = 0, end = 0; begin < n; begin = end) {
    while (end < n && members[end].key == members[begin].key) ++end;
    c.count = end - begin;
    for (std::int64_t k = 0; k < c.count; ++k) {
      fill(boxes, scores, decay.min_score, k,
           static_cast<std::int64_t>(members[begin + k].index), c);
    }
    for (std::int64_t k = c.count; k < blocks_of(c.count) * kBlock; ++k) {
      c.x1[k] = c.y1[k] = c.x2[k] = c.y2[k] = c.area[k] = T(0);
      c.score[k] = kGone<T>;
    }
    suppress_group(c, decay, decayed);
  }
  const Status status = rank_best_first(decayed, n, scratch, kept);
  if (status != Status::kOk) return status;
  *num_kept = 0;
  while (*num_kept < n && decayed[kept[*num_kept]] != kGone<T>) ++*num_kept;
  return Status::kOk;
}

}  // namespace

std::int64_t soft_nms_scratch_bytes(std::int64_t n, std::int64_t element_size) noexcept {
  const std::int64_t room = blocks_of(n) * kBlock;
  return 2 * n * static_cast<std::int64_t>(sizeof(Ranked<std::uint64_t>)) + 8 * room +
         7 * room * element_size;
}

Status soft_nms(const float* boxes, const float* scores, std::int64_t n,
                const std::int64_t* groups, const SoftNmsSettings& settings, void* scratch,
                float* decayed, std::int64_t* kept, std::int64_t* num_kept) noexcept {
  return soft_nms_any(boxes, scores, n, groups, settings, scratch, decayed, kept, num_kept);
}

Status soft_nms(const double* boxes, const double* scores, std::int64_t n,
                const std::int64_t* groups, const SoftNmsSettings& settings, void* scratch,
                double* decayed, std::int64_t* kept, std::int64_t* num_kept) noexcept {
  return soft_nms_any(boxes, scores, n, groups, settings, scratch, decayed, kept, num_kept);
}

}  // namespace geodet
