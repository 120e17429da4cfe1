// Keypoints: how alike two sets of points are, and where the peaks of their heatmaps lie.
//
// All arrays are row-major and contiguous. keypoint_similarity.hpp and bicubic.hpp have the maths.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

struct SimilaritySizes {
  std::int64_t predictions, targets, points;
};

struct SimilarityInput {
  const double* predictions;  // [predictions, points, 3]: x, y, anything
  const double* targets;      // [targets, points, 3]: x, y, visibility
  const double* areas;        // [targets]
  const double* boxes;        // [targets, 4]: x1, y1, x2, y2
  const double* sigmas;       // [points]
};

// out [predictions, targets]: COCO's object keypoint similarity, overwritten.
Status object_keypoint_similarity(const SimilarityInput& input, const SimilaritySizes& sizes,
                                  double* out, int num_threads) noexcept;

// Heatmaps longer than this are refused, and boxes longer than that give NaN.
constexpr std::int64_t kMaxHeatmapSide = 1024;
constexpr std::int64_t kMaxDecodedBoxSide = 1 << 14;

struct HeatmapSizes {
  std::int64_t rois, points, side;
};

// The peak of every heatmap stretched bicubically over its box, a whole number of cells each way.
//   heatmaps [rois, points, side, side]; boxes [rois, 4]: x1, y1, x2, y2; out [rois, points, 4]:
//   x, y, peak, exp(peak - peak) over the sum of exp(value - peak) of the small map; overwritten.
// The first of equal peaks in row order wins. A map or box that is not finite, or a box longer
// than kMaxDecodedBoxSide, gives NaN. Only cells that can hold the peak are stretched.
Status decode_heatmaps(const float* heatmaps, const float* boxes, const HeatmapSizes& sizes,
                       float* out, int num_threads) noexcept;
Status decode_heatmaps(const double* heatmaps, const double* boxes, const HeatmapSizes& sizes,
                       double* out, int num_threads) noexcept;

namespace cuda {

// The same on device memory.
Status object_keypoint_similarity(const SimilarityInput& input, const SimilaritySizes& sizes,
                                  double* out, void* stream) noexcept;
Status decode_heatmaps(const float* heatmaps, const float* boxes, const HeatmapSizes& sizes,
                       float* out, void* stream) noexcept;
Status decode_heatmaps(const double* heatmaps, const double* boxes, const HeatmapSizes& sizes,
                       double* out, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
