// Pairwise overlap of axis-aligned boxes.
//
// Boxes are rows x1, y1, x2, y2 in continuous pixels, row-major and contiguous.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

// Intersection over union of every pair.
//   a [n, 4], b [m, 4]; scratch: at least 5 * m values, overwritten; iou [n, m], overwritten.
// 0 where boxes do not overlap, have no area, or hold a NaN.
Status pairwise_box_iou(const float* a, std::int64_t n, const float* b, std::int64_t m,
                        float* scratch, float* iou, int num_threads) noexcept;
Status pairwise_box_iou(const double* a, std::int64_t n, const double* b, std::int64_t m,
                        double* scratch, double* iou, int num_threads) noexcept;


namespace cuda {

// The same on device memory, queued on `stream` (a cudaStream_t); no scratch is needed.
Status pairwise_box_iou(const float* a, std::int64_t n, const float* b, std::int64_t m, float* iou,
                        void* stream) noexcept;
Status pairwise_box_iou(const double* a, std::int64_t n, const double* b, std::int64_t m,
                        double* iou, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
