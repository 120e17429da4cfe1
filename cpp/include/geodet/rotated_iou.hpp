// Overlap of rotated boxes and its gradient.
//
// Boxes are rows cx, cy, w, h, angle in degrees, counter-clockwise as seen on the screen,
// row-major and contiguous. Everything between reading the boxes and writing the result is done in
// double. A pair gives the same bits in both orders. Boxes with a number that is not finite
// overlap nothing, and neither do those with a side that is not positive.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

enum class RotatedOverlap : int {
  kIntersection = 0,  // shared area in square pixels
  kIou = 1,           // shared area over covered area, in [0, 1]
  // IoU less the part of the convex hull of both that neither covers, in [-1, 1]; 0 where the hull
  // has no area, -1 where a number is not finite.
  kGiou = 2,
};

// Bytes of scratch, 8-byte aligned, for pairwise_rotated_overlap and its backward on n x m boxes.
std::int64_t rotated_scratch_bytes(std::int64_t n, std::int64_t m) noexcept;
std::int64_t rotated_backward_scratch_bytes(std::int64_t n, std::int64_t m) noexcept;

// Every pair: a [n, 5], b [m, 5]; out [n, m], overwritten.
Status pairwise_rotated_overlap(const float* a, std::int64_t n, const float* b, std::int64_t m,
                                RotatedOverlap quantity, void* scratch, float* out,
                                int num_threads) noexcept;
Status pairwise_rotated_overlap(const double* a, std::int64_t n, const double* b, std::int64_t m,
                                RotatedOverlap quantity, void* scratch, double* out,
                                int num_threads) noexcept;

// Row by row: a [n, 5], b [n, 5]; out [n], overwritten.
Status matched_rotated_overlap(const float* a, const float* b, std::int64_t n,
                               RotatedOverlap quantity, float* out, int num_threads) noexcept;
Status matched_rotated_overlap(const double* a, const double* b, std::int64_t n,
                               RotatedOverlap quantity, double* out, int num_threads) noexcept;

// Gradients of sum(grad * overlap): grad [n, m], grad_a [n, 5], grad_b [m, 5], overwritten; sums
// are taken in double and in an order that does not depend on the threads. Where the overlap has
// corners (sides that coincide), the gradient is the mean of what either box would get. Values
// beyond +-limit are brought to it: the type that the gradient will have in the end may be narrower
// than this one.
Status pairwise_rotated_overlap_backward(const float* a, std::int64_t n, const float* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const float* grad, double limit, void* scratch,
                                         float* grad_a, float* grad_b, int num_threads) noexcept;
Status pairwise_rotated_overlap_backward(const double* a, std::int64_t n, const double* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const double* grad, double limit, void* scratch,
                                         double* grad_a, double* grad_b, int num_threads) noexcept;

// The same row by row: grad [n], grad_a [n, 5], grad_b [n, 5].
Status matched_rotated_overlap_backward(const float* a, const float* b, std::int64_t n,
                                        RotatedOverlap quantity, const float* grad, double limit,
                                        float* grad_a, float* grad_b, int num_threads) noexcept;
Status matched_rotated_overlap_backward(const double* a, const double* b, std::int64_t n,
                                        RotatedOverlap quantity, const double* grad, double limit,
                                        double* grad_a, double* grad_b, int num_threads) noexcept;

// The part of each box inside a window: boxes [n, 5], windows [n, 4] as x1, y1, x2, y2;
// points [n, 8, 2], of which the first counts[n] are corners, clockwise as seen on the screen, and
// the rest are 0. What has no area gives 0 corners.
Status clip_rotated_boxes(const float* boxes, const float* windows, std::int64_t n, float* points,
                          std::int64_t* counts) noexcept;
Status clip_rotated_boxes(const double* boxes, const double* windows, std::int64_t n,
                          double* points, std::int64_t* counts) noexcept;

namespace cuda {

// The same on device memory, queued on `stream` (a cudaStream_t); no scratch is needed.
Status pairwise_rotated_overlap(const float* a, std::int64_t n, const float* b, std::int64_t m,
                                RotatedOverlap quantity, float* out, void* stream) noexcept;
Status pairwise_rotated_overlap(const double* a, std::int64_t n, const double* b, std::int64_t m,
                                RotatedOverlap quantity, double* out, void* stream) noexcept;
Status matched_rotated_overlap(const float* a, const float* b, std::int64_t n,
                               RotatedOverlap quantity, float* out, void* stream) noexcept;
Status matched_rotated_overlap(const double* a, const double* b, std::int64_t n,
                               RotatedOverlap quantity, double* out, void* stream) noexcept;
// Sums are taken in a fixed order, which is not that of the CPU.
Status pairwise_rotated_overlap_backward(const float* a, std::int64_t n, const float* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const float* grad, double limit, float* grad_a,
                                         float* grad_b, void* stream) noexcept;
Status pairwise_rotated_overlap_backward(const double* a, std::int64_t n, const double* b,
                                         std::int64_t m, RotatedOverlap quantity,
                                         const double* grad, double limit, double* grad_a,
                                         double* grad_b, void* stream) noexcept;
Status matched_rotated_overlap_backward(const float* a, const float* b, std::int64_t n,
                                        RotatedOverlap quantity, const float* grad, double limit,
                                        float* grad_a, float* grad_b, void* stream) noexcept;
Status matched_rotated_overlap_backward(const double* a, const double* b, std::int64_t n,
                                        RotatedOverlap quantity, const double* grad, double limit,
                                        double* grad_a, double* grad_b, void* stream) noexcept;
Status clip_rotated_boxes(const float* boxes, const float* windows, std::int64_t n, float* points,
                          std::int64_t* counts, void* stream) noexcept;
Status clip_rotated_boxes(const double* boxes, const double* windows, std::int64_t n,
                          double* points, std::int64_t* counts, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
