#include "geodet/box_fusion.hpp"

#include <algorithm>

#include "geodet/rect.hpp"

namespace geodet {
namespace {

// Sums over the boxes of a fused one.
struct Sums {
  double x1, y1, x2, y2;  // times score
  double score, highest;
  std::int64_t count;
};

Rect<double> rect_at(const double* boxes, std::int64_t i) {
  const double* box = boxes + 4 * i;
  return {box[0], box[1], box[2], box[3]};
}

void put(const Rect<double>& rect, double* box) {
  box[0] = rect.x1;
  box[1] = rect.y1;
  box[2] = rect.x2;
  box[3] = rect.y2;
}

double fused_score(const Sums& sums, const FusionSettings& s) {
  const auto count = static_cast<double>(sums.count);
  const double mean = sums.score / count;
  switch (s.score) {
    case FusedScore::kCapped:
      return mean * std::min(count, static_cast<double>(s.models)) / s.sum_of_weights;
    case FusedScore::kCounted:
      return mean * count / s.sum_of_weights;
    case FusedScore::kMaximum:
      return sums.highest / s.largest_weight;
  }
  return 0.0;
}

// The fused box among [begin, end) that overlaps `box` most, or -1.
std::int64_t find_match(const double* fused_boxes, std::int64_t begin, std::int64_t end,
                        const Rect<double>& box, double threshold) {
  std::int64_t match = -1;
  double most = threshold;
  for (std::int64_t k = begin; k < end; ++k) {
    const double iou = rect_iou(rect_at(fused_boxes, k), box);
    if (iou > most) {
      most = iou;
      match = k;
    }
  }
  return match;
}

void add(const Rect<double>& box, double score, Sums& sums) {
  sums.x1 += score * box.x1;
  sums.y1 += score * box.y1;
  sums.x2 += score * box.x2;
  sums.y2 += score * box.y2;
  sums.score += score;
  sums.highest = std::max(sums.highest, score);
  ++sums.count;
}

}  // namespace

std::int64_t box_fusion_scratch_bytes(std::int64_t n) noexcept {
  return n * static_cast<std::int64_t>(sizeof(Sums));
}

Status fuse_boxes(const double* boxes, const double* scores, const std::int64_t* labels,
                  std::int64_t n, const std::int64_t* order, const FusionSettings& settings,
                  void* scratch, double* fused_boxes, double* fused_scores,
                  std::int64_t* fused_labels, std::int64_t* num_fused) noexcept {
  if (n < 0 || !(settings.iou_threshold >= 0) || !(settings.sum_of_weights > 0) ||
      !(settings.largest_weight > 0)) {
    return Status::kInvalidArgument;
  }
  for (std::int64_t r = 0; r < n; ++r) {
    if (order[r] < 0 || order[r] >= n) return Status::kOutOfRange;
  }
  auto* sums = static_cast<Sums*>(scratch);
  std::int64_t count = 0;
  std::int64_t label_begin = 0;  // fused boxes of the label at hand
  for (std::int64_t r = 0; r < n; ++r) {
    const std::int64_t i = order[r];
    if (r > 0 && labels[i] != labels[order[r - 1]]) label_begin = count;
    const Rect<double> box = rect_at(boxes, i);
    std::int64_t match = find_match(fused_boxes, label_begin, count, box, settings.iou_threshold);
    if (match < 0) {
      match = count++;
      sums[match] = Sums{};
      fused_labels[match] = labels[i];
    }
    Sums& own = sums[match];
    add(box, scores[i], own);
    // A box alone stays as it is, to the last bit.
    put(own.count == 1 ? box
                       : Rect<double>{own.x1 / own.score, own.y1 / own.score,
                                      own.x2 / own.score, own.y2 / own.score},
        fused_boxes + 4 * match);
  }
  for (std::int64_t k = 0; k < count; ++k) fused_scores[k] = fused_score(sums[k], settings);
  *num_fused = count;
  return Status::kOk;
}

}  // namespace geodet
