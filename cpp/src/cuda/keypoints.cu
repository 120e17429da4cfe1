#include "geodet/keypoints.hpp"

#include "geodet/bicubic.hpp"
#include "geodet/heatmap_peak.hpp"
#include "geodet/keypoint_similarity.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

__global__ void similarity_kernel(SimilarityInput input, SimilaritySizes s, double* out) {
  for (std::int64_t k = first_item(); k < s.predictions * s.targets; k += item_stride()) {
    const std::int64_t i = k / s.targets, j = k % s.targets;
    out[k] = keypoint_similarity(input.predictions + 3 * s.points * i,
                                 input.targets + 3 * s.points * j, input.areas[j],
                                 input.boxes + 4 * j, input.sigmas, s.points);
  }
}

// One output cell of the stretched map, blended down the columns first as on the CPU.
template <typename T>
__device__ T stretched(const T* map, std::int64_t side, const CubicTap<T>& row,
                       const CubicTap<T>& column) {
  T blended[4];
  for (int j = 0; j < 4; ++j) {
    const T* cells = map + clamp_cell(column.first + j, side);
    T values[4];
    for (int i = 0; i < 4; ++i) values[i] = cells[clamp_cell(row.first + i, side) * side];
    blended[j] = cubic_blend(values, row.weights);
  }
  return cubic_blend(blended, column.weights);
}

// Where all threads of a block put one value each.
template <typename T>
__device__ HeatmapPeak<T>* peaks_of_block() {
  __shared__ HeatmapPeak<T> peaks[kThreads];
  return peaks;
}

template <typename T>
__device__ HeatmapPeak<T> highest_of_block(HeatmapPeak<T> own) {
  HeatmapPeak<T>* peaks = peaks_of_block<T>();
  peaks[threadIdx.x] = own;
  __syncthreads();
  for (unsigned half = kThreads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half && is_higher(peaks[threadIdx.x + half], peaks[threadIdx.x])) {
      peaks[threadIdx.x] = peaks[threadIdx.x + half];
    }
    __syncthreads();
  }
  const HeatmapPeak<T> highest = peaks[0];
  __syncthreads();
  return highest;
}

// One block a heatmap.
template <typename T>
__global__ void decode_kernel(const T* heatmaps, const T* boxes, HeatmapSizes s, T* out) {
  __shared__ double sums[kMaxHeatmapSide];
  for (std::int64_t k = blockIdx.x; k < s.rois * s.points; k += gridDim.x) {
    const T* map = heatmaps + k * s.side * s.side;
    const T* box = boxes + 4 * (k / s.points);
    const HeatmapAxis<T> x_axis = heatmap_axis(box[0], box[2]);
    const HeatmapAxis<T> y_axis = heatmap_axis(box[1], box[3]);
    int bad = x_axis.cells == 0 || y_axis.cells == 0;
    for (std::int64_t y = threadIdx.x; y < s.side; y += kThreads) {
      bad |= !row_is_finite(map + y * s.side, s.side);
    }
    if (__syncthreads_or(bad)) {
      if (threadIdx.x == 0) store_nothing(out + 4 * k);
      continue;
    }
    HeatmapPeak<T> best{-std::numeric_limits<T>::infinity(), INT64_MAX};
    for (std::int64_t i = threadIdx.x; i < x_axis.cells * y_axis.cells; i += kThreads) {
      const auto row = cubic_tap<T>(i / x_axis.cells, s.side, y_axis.cells);
      const auto column = cubic_tap<T>(i % x_axis.cells, s.side, x_axis.cells);
      const HeatmapPeak<T> found{stretched(map, s.side, row, column), i};
      if (is_higher(found, best)) best = found;
    }
    best = highest_of_block(best);
    for (std::int64_t y = threadIdx.x; y < s.side; y += kThreads) {
      sums[y] = row_sum_of_exp(map + y * s.side, s.side, best.value);
    }
    __syncthreads();
    if (threadIdx.x == 0) {
      double sum = 0;
      for (std::int64_t y = 0; y < s.side; ++y) sum += sums[y];
      store_peak(best, x_axis, y_axis, sum, out + 4 * k);
    }
    __syncthreads();
  }
}

template <typename T>
Status decode(const T* heatmaps, const T* boxes, const HeatmapSizes& s, T* out,
              void* stream) noexcept {
  if (s.rois < 0 || s.points < 0 || s.side < 1 || s.side > kMaxHeatmapSide) {
    return Status::kInvalidArgument;
  }
  const std::int64_t maps = s.rois * s.points;
  if (maps == 0) return Status::kOk;
  decode_kernel<<<blocks_for(maps, 1), kThreads, 0, as_stream(stream)>>>(heatmaps, boxes, s, out);
  return launch_status();
}

}  // namespace

Status object_keypoint_similarity(const SimilarityInput& input, const SimilaritySizes& s,
                                  double* out, void* stream) noexcept {
  if (s.predictions < 0 || s.targets < 0 || s.points < 0) return Status::kInvalidArgument;
  const std::int64_t pairs = s.predictions * s.targets;
  if (pairs == 0) return Status::kOk;
  similarity_kernel<<<blocks_for(pairs), kThreads, 0, as_stream(stream)>>>(input, s, out);
  return launch_status();
}

Status decode_heatmaps(const float* heatmaps, const float* boxes, const HeatmapSizes& sizes,
                       float* out, void* stream) noexcept {
  return decode(heatmaps, boxes, sizes, out, stream);
}

Status decode_heatmaps(const double* heatmaps, const double* boxes, const HeatmapSizes& sizes,
                       double* out, void* stream) noexcept {
  return decode(heatmaps, boxes, sizes, out, stream);
}

}  // namespace geodet::cuda
