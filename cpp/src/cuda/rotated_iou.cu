#include "geodet/rotated_clip.hpp"
#include "geodet/rotated_iou.hpp"
#include "geodet/rotated_overlap.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

// A block computes tiles of kTileRows x kTileColumns pairs, whose boxes it prepares once.
constexpr int kTileRows = 8;
constexpr int kTileColumns = 32;

template <typename T>
__global__ void pairwise_kernel(const T* a, std::int64_t n, const T* b, std::int64_t m,
                                RotatedOverlap quantity, T* out) {
  __shared__ RotatedRect rows[kTileRows];
  __shared__ RotatedRect columns[kTileColumns];
  const int row = static_cast<int>(threadIdx.x) / kTileColumns;
  const int column = static_cast<int>(threadIdx.x) % kTileColumns;
  const std::int64_t wide = (m + kTileColumns - 1) / kTileColumns;
  const std::int64_t tiles = wide * ((n + kTileRows - 1) / kTileRows);
  for (std::int64_t tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    const std::int64_t first_row = tile / wide * kTileRows;
    const std::int64_t first_column = tile % wide * kTileColumns;
    __syncthreads();
    if (row == 0 && first_column + column < m) {
      columns[column] = make_rotated_rect(b + 5 * (first_column + column));
    }
    if (row == 1 && column < kTileRows && first_row + column < n) {
      rows[column] = make_rotated_rect(a + 5 * (first_row + column));
    }
    __syncthreads();
    const std::int64_t i = first_row + row;
    const std::int64_t j = first_column + column;
    if (i >= n || j >= m) continue;
    const bool near = may_have_gradient(rows[row], columns[column], quantity);
    out[i * m + j] =
        near ? static_cast<T>(rotated_overlap(rows[row], columns[column], quantity)) : T(0);
  }
}

template <typename T>
__global__ void matched_kernel(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity,
                               T* out) {
  for (std::int64_t i = first_item(); i < n; i += item_stride()) {
    out[i] = static_cast<T>(
        rotated_overlap(make_rotated_rect(a + 5 * i), make_rotated_rect(b + 5 * i), quantity));
  }
}

template <typename T>
__global__ void clip_kernel(const T* boxes, const T* windows, std::int64_t n, T* points,
                            std::int64_t* counts) {
  for (std::int64_t i = first_item(); i < n; i += item_stride()) {
    counts[i] = clip_one(boxes + 5 * i, windows + 4 * i, points + 2 * kMaxPolygonPoints * i);
  }
}

template <typename T>
Status pairwise(const T* a, std::int64_t n, const T* b, std::int64_t m, RotatedOverlap quantity,
                T* out, void* stream) noexcept {
  if (n < 0 || m < 0) return Status::kInvalidArgument;
  if (n == 0 || m == 0) return Status::kOk;
  const std::int64_t tiles =
      ((m + kTileColumns - 1) / kTileColumns) * ((n + kTileRows - 1) / kTileRows);
  pairwise_kernel<<<blocks_for(tiles, 1), kTileRows * kTileColumns, 0, as_stream(stream)>>>(
      a, n, b, m, quantity, out);
  return launch_status();
}

template <typename T>
Status matched(const T* a, const T* b, std::int64_t n, RotatedOverlap quantity, T* out,
               void* stream) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  if (n == 0) return Status::kOk;
  matched_kernel<<<blocks_for(n), kThreads, 0, as_stream(stream)>>>(a, b, n, quantity, out);
  return launch_status();
}

template <typename T>
Status clip(const T* boxes, const T* windows, std::int64_t n, T* points, std::int64_t* counts,
            void* stream) noexcept {
  if (n < 0) return Status::kInvalidArgument;
  if (n == 0) return Status::kOk;
  clip_kernel<<<blocks_for(n), kThreads, 0, as_stream(stream)>>>(boxes, windows, n, points,
                                                                 counts);
  return launch_status();
}

}  // namespace

Status pairwise_rotated_overlap(const float* a, std::int64_t n, const float* b, std::int64_t m,
                                RotatedOverlap quantity, float* out, void* stream) noexcept {
  return pairwise(a, n, b, m, quantity, out, stream);
}

Status pairwise_rotated_overlap(const double* a, std::int64_t n, const double* b, std::int64_t m,
                                RotatedOverlap quantity, double* out, void* stream) noexcept {
  return pairwise(a, n, b, m, quantity, out, stream);
}

Status matched_rotated_overlap(const float* a, const float* b, std::int64_t n,
                               RotatedOverlap quantity, float* out, void* stream) noexcept {
  return matched(a, b, n, quantity, out, stream);
}

Status matched_rotated_overlap(const double* a, const double* b, std::int64_t n,
                               RotatedOverlap quantity, double* out, void* stream) noexcept {
  return matched(a, b, n, quantity, out, stream);
}

Status clip_rotated_boxes(const float* boxes, const float* windows, std::int64_t n, float* points,
                          std::int64_t* counts, void* stream) noexcept {
  return clip(boxes, windows, n, points, counts, stream);
}

Status clip_rotated_boxes(const double* boxes, const double* windows, std::int64_t n,
                          double* points, std::int64_t* counts, void* stream) noexcept {
  return clip(boxes, windows, n, points, counts, stream);
}

}  // namespace geodet::cuda
