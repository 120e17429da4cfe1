#include "geodet/roi_align_rotated.hpp"

#include "geodet/rotated_roi.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

// Indices of one element of [rois, channels, out_height, out_width].
struct Cell {
  std::int64_t roi, channel, v, u;
};

__device__ Cell cell_at(std::int64_t k, const RoiAlignSizes& s) {
  const std::int64_t row = k / s.out_width;
  const std::int64_t plane = row / s.out_height;
  return {plane / s.channels, plane % s.channels, row % s.out_height, k % s.out_width};
}

template <typename T>
__device__ RotatedRoi<T> roi_at(const T* roi, const RoiAlignSizes& s) {
  return rotated_roi(roi, static_cast<T>(s.spatial_scale), s.out_width, s.out_height,
                     s.sampling_ratio);
}

template <typename T>
__device__ T samples_of(const RotatedRoi<T>& roi) {
  return static_cast<T>(roi.u.samples) * static_cast<T>(roi.v.samples);
}

template <typename T>
__global__ void forward_kernel(const T* features, const T* rois, RoiAlignSizes s,
                               std::int64_t items, T* out) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const Cell cell = cell_at(k, s);
    const T* values = rois + kRotatedRoiColumns * cell.roi;
    const std::int64_t image = image_index(values[0], s.images);
    if (image < 0) {
      out[k] = static_cast<T>(NAN);
      continue;
    }
    const T* plane = features + (image * s.channels + cell.channel) * s.height * s.width;
    const RotatedRoi<T> roi = roi_at(values, s);
    T sum = T(0);
    if (roi.u.samples > 0) {
      visit_rotated_samples(
          roi, cell.v, cell.u, MapSize{s.height, s.width},
          [&](const Tap<T>& row, const Tap<T>& column) {
            const T* low = plane + row.low * s.width;
            const T* high = plane + row.high * s.width;
            sum += row.low_weight * (column.low_weight * low[column.low] +
                                     column.high_weight * low[column.high]) +
                   row.high_weight * (column.low_weight * high[column.low] +
                                      column.high_weight * high[column.high]);
          });
      sum /= samples_of(roi);
    }
    out[k] = sum;
  }
}

template <typename T>
__global__ void backward_kernel(const T* grad_out, const T* rois, RoiAlignSizes s,
                                std::int64_t items, T* grad_features) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const Cell cell = cell_at(k, s);
    const T* values = rois + kRotatedRoiColumns * cell.roi;
    const std::int64_t image = image_index(values[0], s.images);
    const RotatedRoi<T> roi = roi_at(values, s);
    if (image < 0 || roi.u.samples == 0) continue;
    T* plane = grad_features + (image * s.channels + cell.channel) * s.height * s.width;
    const T value = grad_out[k] / samples_of(roi);
    visit_rotated_samples(roi, cell.v, cell.u, MapSize{s.height, s.width},
                          [&](const Tap<T>& row, const Tap<T>& column) {
                            T* low = plane + row.low * s.width;
                            T* high = plane + row.high * s.width;
                            atomicAdd(low + column.low, value * row.low_weight * column.low_weight);
                            atomicAdd(low + column.high,
                                      value * row.low_weight * column.high_weight);
                            atomicAdd(high + column.low,
                                      value * row.high_weight * column.low_weight);
                            atomicAdd(high + column.high,
                                      value * row.high_weight * column.high_weight);
                          });
  }
}

bool usable(const RoiAlignSizes& s) {
  return s.images >= 0 && s.channels >= 0 && s.height >= 0 && s.width >= 0 && s.rois >= 0 &&
         s.out_height > 0 && s.out_width > 0 && s.sampling_ratio >= 0 &&
         s.sampling_ratio <= kMaxSamplingRatio && s.spatial_scale > 0 &&
         is_finite(s.spatial_scale) && !s.channels_last;
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

Status roi_align_rotated(const float* features, const float* rois, const RoiAlignSizes& sizes,
                         float* out, void* stream) noexcept {
  return forward(features, rois, sizes, out, stream);
}

Status roi_align_rotated(const double* features, const double* rois, const RoiAlignSizes& sizes,
                         double* out, void* stream) noexcept {
  return forward(features, rois, sizes, out, stream);
}

Status roi_align_rotated_backward(const float* grad_out, const float* rois,
                                  const RoiAlignSizes& sizes, float* grad_features,
                                  void* stream) noexcept {
  return backward(grad_out, rois, sizes, grad_features, stream);
}

Status roi_align_rotated_backward(const double* grad_out, const double* rois,
                                  const RoiAlignSizes& sizes, double* grad_features,
                                  void* stream) noexcept {
  return backward(grad_out, rois, sizes, grad_features, stream);
}

}  // namespace geodet::cuda
