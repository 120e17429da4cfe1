// Greedy non-maximum suppression of rotated boxes.
//
// A box is suppressed by an earlier kept box of its group when their IoU is greater than the
// threshold. The IoU is that of rotated_iou.hpp in the type of the boxes, and the threshold is
// rounded down to that type, so "greater" means the same on every device.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

// Bytes of scratch, 8-byte aligned, that `rotated_nms` needs for n boxes.
std::int64_t rotated_nms_scratch_bytes(std::int64_t n) noexcept;

// Suppression inside each group.
//   boxes [n, 5]; order [n]: box indices, best first, each index once;
//   groups [n]: the group of each box, or null for one group; threshold: at least 0;
//   scratch: rotated_nms_scratch_bytes(n), overwritten;
//   kept [n]: receives the kept indices in the order of `order`; num_kept: how many.
// Indices in `order` outside [0, n) give kOutOfRange and nothing is read through them.
Status rotated_nms(const float* boxes, std::int64_t n, const std::int64_t* order,
                   const std::int64_t* groups, double threshold, void* scratch,
                   std::int64_t* kept, std::int64_t* num_kept) noexcept;
Status rotated_nms(const double* boxes, std::int64_t n, const std::int64_t* order,
                   const std::int64_t* groups, double threshold, void* scratch,
                   std::int64_t* kept, std::int64_t* num_kept) noexcept;

namespace cuda {

// On device memory: boxes and groups already lie in order, best first.
//   overlaps [n, (n + 63) / 64]: scratch, overwritten; keep [n]: 1 for kept boxes, else 0.
Status rotated_nms(const float* boxes, std::int64_t n, const std::int64_t* groups,
                   double threshold, std::uint64_t* overlaps, std::uint8_t* keep,
                   void* stream) noexcept;
Status rotated_nms(const double* boxes, std::int64_t n, const std::int64_t* groups,
                   double threshold, std::uint64_t* overlaps, std::uint8_t* keep,
                   void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
