// Pairwise and matched overlap of axis-aligned boxes.
//
// Boxes are rows x1, y1, x2, y2 in continuous pixels, row-major and contiguous. What each measure
// means, and what it gives for boxes that are not finite or have no area: box_measures.hpp.
#pragma once

#include <cstdint>

#include "geodet/box_measures.hpp"
#include "geodet/status.hpp"

namespace geodet {

// Values of scratch that pairwise_box_overlap needs for each of the m columns.
constexpr std::int64_t kBoxScratch = 6;

// The measure of every pair.
//   a [n, 4], b [m, 4]; scratch: at least kBoxScratch * m values, overwritten;
//   out [n, m], overwritten.
Status pairwise_box_overlap(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                            std::int64_t m, float* scratch, float* out, int num_threads) noexcept;
Status pairwise_box_overlap(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                            std::int64_t m, double* scratch, double* out,
                            int num_threads) noexcept;

// The measure of row i of a with row i of b.
//   a [n, 4], b [n, 4]; out [n], overwritten.
Status matched_box_overlap(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                           float* out, int num_threads) noexcept;
Status matched_box_overlap(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                           double* out, int num_threads) noexcept;

// Gradients of a sum of measures by the coordinates of the boxes, box_gradients.hpp.
//   grad [n, m] by the result of pairwise_box_overlap, [n] by that of matched_box_overlap;
//   grad_a [n, 4], grad_b [m, 4] or [n, 4], overwritten. Summed in one order, on one thread.
Status pairwise_box_gradients(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                              std::int64_t m, const float* grad, float* grad_a,
                              float* grad_b) noexcept;
Status pairwise_box_gradients(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                              std::int64_t m, const double* grad, double* grad_a,
                              double* grad_b) noexcept;
Status matched_box_gradients(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                             const float* grad, float* grad_a, float* grad_b) noexcept;
Status matched_box_gradients(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                             const double* grad, double* grad_a, double* grad_b) noexcept;

namespace cuda {

// The same on device memory, queued on `stream` (a cudaStream_t); no scratch is needed.
// CIoU differs from the CPU's by the rounding of atan2, everything else by nothing.
Status pairwise_box_overlap(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                            std::int64_t m, float* out, void* stream) noexcept;
Status pairwise_box_overlap(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                            std::int64_t m, double* out, void* stream) noexcept;
Status matched_box_overlap(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                           float* out, void* stream) noexcept;
Status matched_box_overlap(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                           double* out, void* stream) noexcept;
Status pairwise_box_gradients(BoxMeasure measure, const float* a, std::int64_t n, const float* b,
                              std::int64_t m, const float* grad, float* grad_a, float* grad_b,
                              void* stream) noexcept;
Status pairwise_box_gradients(BoxMeasure measure, const double* a, std::int64_t n, const double* b,
                              std::int64_t m, const double* grad, double* grad_a, double* grad_b,
                              void* stream) noexcept;
Status matched_box_gradients(BoxMeasure measure, const float* a, const float* b, std::int64_t n,
                             const float* grad, float* grad_a, float* grad_b,
                             void* stream) noexcept;
Status matched_box_gradients(BoxMeasure measure, const double* a, const double* b, std::int64_t n,
                             const double* grad, double* grad_a, double* grad_b,
                             void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
