#include "geodet/roi_align.hpp"

#include "geodet/roi_sampling.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

// Visits the samples of one output cell with the weight each has in the mean.
template <typename T, typename Visit>
__device__ void visit_samples(const T* roi, const RoiAlignSizes& s, std::int64_t cell_y,
                              std::int64_t cell_x, Visit&& visit) {
  const T scale = static_cast<T>(s.spatial_scale);
  const RoiAxis<T> x = roi_axis(roi[1], roi[3], scale, s.aligned, s.out_width, s.sampling_ratio);
  const RoiAxis<T> y = roi_axis(roi[2], roi[4], scale, s.aligned, s.out_height, s.sampling_ratio);
  if (x.samples == 0 || y.samples == 0) return;
  const SampleRange columns = sample_range(x, cell_x, s.width);
  const SampleRange rows = sample_range(y, cell_y, s.height);
  const T count = static_cast<T>(x.samples) * static_cast<T>(y.samples);
  for (std::int64_t i = rows.begin; i < rows.end; ++i) {
    const T position_y = sample_position(y, cell_y, i);
    if (!is_inside(position_y, s.height)) continue;
    const Tap<T> row = tap_at(position_y, s.height);
    for (std::int64_t j = columns.begin; j < columns.end; ++j) {
      const T position_x = sample_position(x, cell_x, j);
      if (!is_inside(position_x, s.width)) continue;
      visit(row, tap_at(position_x, s.width), count);
    }
  }
}

// Indices of one element of [rois, channels, out_height, out_width].
struct Cell {
  std::int64_t roi, channel, y, x;
};

__device__ Cell cell_at(std::int64_t k, const RoiAlignSizes& s) {
  const std::int64_t row = k / s.out_width;
  const std::int64_t plane = row / s.out_height;
  return {plane / s.channels, plane % s.channels, row % s.out_height, k % s.out_width};
}

template <typename T>
__global__ void forward_kernel(const T* features, const T* rois, RoiAlignSizes s,
                               std::int64_t items, T* out) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const Cell cell = cell_at(k, s);
    const T* roi = rois + 5 * cell.roi;
    const std::int64_t image = image_index(roi[0], s.images);
    if (image < 0) {
      out[k] = static_cast<T>(NAN);
      continue;
    }
    const T* plane = features + (image * s.channels + cell.channel) * s.height * s.width;
    T sum = T(0);
    T samples = T(1);
    visit_samples(roi, s, cell.y, cell.x, [&](const Tap<T>& row, const Tap<T>& column, T count) {
      const T* low = plane + row.low * s.width;
      const T* high = plane + row.high * s.width;
      sum += row.low_weight *
                 (column.low_weight * low[column.low] + column.high_weight * low[column.high]) +
             row.high_weight *
                 (column.low_weight * high[column.low] + column.high_weight * high[column.high]);
      samples = count;
    });
    out[k] = sum / samples;
  }
}

template <typename T>
__global__ void backward_kernel(const T* grad_out, const T* rois, RoiAlignSizes s,
                                std::int64_t items, T* grad_features) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const Cell cell = cell_at(k, s);
    const T* roi = rois + 5 * cell.roi;
    const std::int64_t image = image_index(roi[0], s.images);
    if (image < 0) continue;
    T* plane = grad_features + (image * s.channels + cell.channel) * s.height * s.width;
    visit_samples(roi, s, cell.y, cell.x, [&](const Tap<T>& row, const Tap<T>& column, T count) {
      const T value = grad_out[k] / count;
      T* low = plane + row.low * s.width;
      T* high = plane + row.high * s.width;
      atomicAdd(low + column.low, value * row.low_weight * column.low_weight);
      atomicAdd(low + column.high, value * row.low_weight * column.high_weight);
      atomicAdd(high + column.low, value * row.high_weight * column.low_weight);
      atomicAdd(high + column.high, value * row.high_weight * column.high_weight);
    });
  }
}

bool usable(const RoiAlignSizes& s) {
  return s.images >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0 && s.rois >= 0 &&
         s.out_height > 0 && s.out_width > 0 && s.sampling_ratio >= 0 &&
         s.sampling_ratio <= kMaxSamplingRatio && s.spatial_scale > 0 &&
         is_finite(s.spatial_scale);
}

template <typename T>
Status forward(const T* features, const T* rois, const RoiAlignSizes& s, T* out,
               void* stream) noexcept {
  if (!usable(s)) return Status::kInvalidArgument;
  const std::int64_t items = s.rois * s.channels * s.out_height * s.out_width;
  if (items == 0) return Status::kOk;
  forward_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(features, rois, s, items,
                                                                        out);
  return launch_status();
}

template <typename T>
Status backward(const T* grad_out, const T* rois, const RoiAlignSizes& s, T* grad_features,
                void* stream) noexcept {
  if (!usable(s)) return Status::kInvalidArgument;
  const std::int64_t items = s.rois * s.channels * s.out_height * s.out_width;
  if (items == 0) return Status::kOk;
  backward_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(grad_out, rois, s, items,
                                                                         grad_features);
  return launch_status();
}

}  // namespace

Status roi_align(const float* features, const float* rois, const RoiAlignSizes& sizes, float* out,
                 void* stream) noexcept {
  return forward(features, rois, sizes, out, stream);
}

Status roi_align(const double* features, const double* rois, const RoiAlignSizes& sizes,
                 double* out, void* stream) noexcept {
  return forward(features, rois, sizes, out, stream);
}

Status roi_align_backward(const float* grad_out, const float* rois, const RoiAlignSizes& sizes,
                          float* grad_features, void* stream) noexcept {
  return backward(grad_out, rois, sizes, grad_features, stream);
}

Status roi_align_backward(const double* grad_out, const double* rois, const RoiAlignSizes& sizes,
                          double* grad_features, void* stream) noexcept {
  return backward(grad_out, rois, sizes, grad_features, stream);
}

}  // namespace geodet::cuda
