#include "geodet/rotated_nms.hpp"

#include "geodet/rotated_overlap.hpp"
#include "geodet/threshold.hpp"
#include "launch.cuh"
#include "suppression.cuh"

namespace geodet::cuda {
namespace {

// One block compares a tile of rows with a tile of columns; bit j of a row's word says that the
// row's box would suppress column box j. Only columns after the row count.
template <typename T>
__global__ void rotated_overlap_kernel(const T* boxes, std::int64_t n, const std::int64_t* groups,
                                       T threshold, std::uint64_t* overlaps) {
  const std::int64_t words = (n + kTile - 1) / kTile;
  const std::int64_t column_tile = blockIdx.x;
  __shared__ RotatedRect columns[kTile];
  __shared__ std::int64_t column_groups[kTile];
  const std::int64_t column = column_tile * kTile + threadIdx.x;
  if (column < n) {
    columns[threadIdx.x] = make_rotated_rect(boxes + 5 * column);
    column_groups[threadIdx.x] = groups != nullptr ? groups[column] : 0;
  }
  __syncthreads();
  for (std::int64_t row_tile = blockIdx.y; row_tile < words; row_tile += gridDim.y) {
    const std::int64_t row = row_tile * kTile + threadIdx.x;
    if (row >= n) continue;
    std::uint64_t word = 0;
    if (column_tile >= row_tile) {
      const RotatedRect rect = make_rotated_rect(boxes + 5 * row);
      const std::int64_t group = groups != nullptr ? groups[row] : 0;
      for (int j = 0; j < kTile; ++j) {
        const std::int64_t other = column_tile * kTile + j;
        if (other <= row || other >= n || column_groups[j] != group) continue;
        if (!may_have_gradient(rect, columns[j], RotatedOverlap::kIou)) continue;
        const auto iou = static_cast<T>(rotated_overlap(rect, columns[j], RotatedOverlap::kIou));
        if (iou > threshold) word |= 1ull << j;
      }
    }
    overlaps[row * words + column_tile] = word;
  }
}

template <typename T>
Status launch(const T* boxes, std::int64_t n, const std::int64_t* groups, double threshold,
              std::uint64_t* overlaps, std::uint8_t* keep, void* stream) noexcept {
  if (n < 0 || !(threshold >= 0)) return Status::kInvalidArgument;
  if (n == 0) return Status::kOk;
  const std::int64_t words = (n + kTile - 1) / kTile;
  const dim3 grid(static_cast<unsigned>(words),
                  static_cast<unsigned>(words < 65535 ? words : 65535));
  rotated_overlap_kernel<<<grid, kTile, 0, as_stream(stream)>>>(
      boxes, n, groups, round_down<T>(threshold), overlaps);
  const Status overlapped = launch_status();
  if (overlapped != Status::kOk) return overlapped;
  sweep_kernel<<<1, kSweepThreads, 0, as_stream(stream)>>>(n, overlaps, keep);
  return launch_status();
}

}  // namespace

Status rotated_nms(const float* boxes, std::int64_t n, const std::int64_t* groups,
                   double threshold, std::uint64_t* overlaps, std::uint8_t* keep,
                   void* stream) noexcept {
  return launch(boxes, n, groups, threshold, overlaps, keep, stream);
}

Status rotated_nms(const double* boxes, std::int64_t n, const std::int64_t* groups,
                   double threshold, std::uint64_t* overlaps, std::uint8_t* keep,
                   void* stream) noexcept {
  return launch(boxes, n, groups, threshold, overlaps, keep, stream);
}

}  // namespace geodet::cuda
