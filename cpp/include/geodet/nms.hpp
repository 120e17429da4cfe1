// Greedy non-maximum suppression of axis-aligned boxes.
//
// A box is suppressed by an earlier kept box of its group when their IoU is greater than the
// threshold. The IoU is computed as in rect.hpp, and the threshold rounded down to the type of
// the boxes, so "greater" means the same on every device.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

// Bytes of scratch that `nms` needs for n boxes of `element_size` bytes a coordinate.
std::int64_t nms_scratch_bytes(std::int64_t n, std::int64_t element_size) noexcept;

// Suppression inside each group.
//   boxes [n, 4]; order [n]: box indices, best first (see ranking.hpp), each index once;
//   groups [n]: the group of each box, or null for one group;
//   scratch: nms_scratch_bytes(n, sizeof(element)), 8-byte aligned, overwritten;
//   kept [n]: receives the kept indices in the order of `order`; num_kept: how many.
// Indices in `order` outside [0, n) give kOutOfRange and nothing is read through them.
Status nms(const float* boxes, std::int64_t n, const std::int64_t* order,
           const std::int64_t* groups, double threshold, void* scratch, std::int64_t* kept,
           std::int64_t* num_kept) noexcept;
Status nms(const double* boxes, std::int64_t n, const std::int64_t* order,
           const std::int64_t* groups, double threshold, void* scratch, std::int64_t* kept,
           std::int64_t* num_kept) noexcept;

namespace cuda {

// On device memory: boxes and groups already lie in order, best first.
//   overlaps [n, (n + 63) / 64]: scratch, overwritten; keep [n]: 1 for kept boxes, else 0.
Status nms(const float* boxes, std::int64_t n, const std::int64_t* groups, double threshold,
           std::uint64_t* overlaps, std::uint8_t* keep, void* stream) noexcept;
Status nms(const double* boxes, std::int64_t n, const std::int64_t* groups, double threshold,
           std::uint64_t* overlaps, std::uint8_t* keep, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
