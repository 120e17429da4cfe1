// Soft suppression: instead of being removed, boxes that overlap a better one lose score.
//
// Bodla et al. 2017, "Soft-NMS - Improving Object Detection With One Line of Code".
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

struct SoftNmsSettings {
  bool gaussian;         // else linear
  double iou_threshold;  // linear: smaller overlaps cost nothing
  double sigma;          // Gaussian: above 0
  double min_score;      // boxes are dropped at this score or below; at least 0
};

// Bytes of scratch for n boxes of `element_size` bytes a coordinate.
std::int64_t soft_nms_scratch_bytes(std::int64_t n, std::int64_t element_size) noexcept;

// Again and again the best box left is kept, equal scores by index, and the scores of the others of
// its group are multiplied by 1 - IoU where the IoU exceeds the threshold (linear), or by
// exp(-IoU^2 / sigma) (Gaussian). A NaN score is dropped.
//   boxes [n, 4]; scores [n]; groups [n] or null for one group;
//   scratch: 8-byte aligned, overwritten;
//   decayed [n]: receives the score each box was kept with, -infinity where it was dropped;
//   kept [n]: receives the kept indices by descending decayed score, equal ones by index, and is
//   overwritten beyond them; num_kept: how many.
Status soft_nms(const float* boxes, const float* scores, std::int64_t n,
                const std::int64_t* groups, const SoftNmsSettings& settings, void* scratch,
                float* decayed, std::int64_t* kept, std::int64_t* num_kept) noexcept;
Status soft_nms(const double* boxes, const double* scores, std::int64_t n,
                const std::int64_t* groups, const SoftNmsSettings& settings, void* scratch,
                double* decayed, std::int64_t* kept, std::int64_t* num_kept) noexcept;

}  // namespace geodet
