// RoIAlign: the mean of bilinear samples in every cell of a grid laid over a box, for each channel
// of a feature map (He et al. 2017, "Mask R-CNN", section 3). roi_sampling.hpp says where the
// samples lie.
//
// Feature maps are [images, channels, height, width] unless said otherwise; rois are rows image,
// x1, y1, x2, y2 in input pixels. All arrays are row-major and contiguous.
#pragma once

#include <cstdint>

#include "geodet/status.hpp"

namespace geodet {

struct RoiAlignSizes {
  std::int64_t images, channels, height, width;  // of the feature map
  std::int64_t rois;
  std::int64_t out_height, out_width;  // cells per roi
  double spatial_scale;                // feature pixels per input pixel
  std::int64_t sampling_ratio;         // samples per cell and axis; 0: ceil(cell size)
  bool aligned;                        // pixel centres lie at .5
  bool channels_last = false;          // maps are [images, height, width, channels]
};

// Bytes of scratch for the functions below; -1 when `sizes` cannot be used.
std::int64_t roi_align_scratch_bytes(const RoiAlignSizes& sizes,
                                     std::int64_t element_size) noexcept;

// out [rois, channels, out_height, out_width], overwritten; scratch: 8-byte aligned, overwritten.
// A roi with a coordinate that is not finite gives zeros. An image index that is no whole number
// in [0, images) gives kOutOfRange before anything is written. A feature that is not finite may
// spread to the other cells of its roi.
Status roi_align(const float* features, const float* rois, const RoiAlignSizes& sizes,
                 void* scratch, float* out, int num_threads) noexcept;
Status roi_align(const double* features, const double* rois, const RoiAlignSizes& sizes,
                 void* scratch, double* out, int num_threads) noexcept;

// Adds the gradient of roi_align with respect to the features to grad_features, which the caller
// zeroes first. Rois are added in their order whatever the number of threads, so results are
// bit-equal from run to run; threads share the channels among themselves.
Status roi_align_backward(const float* grad_out, const float* rois, const RoiAlignSizes& sizes,
                          void* scratch, float* grad_features, int num_threads) noexcept;
Status roi_align_backward(const double* grad_out, const double* rois, const RoiAlignSizes& sizes,
                          void* scratch, double* grad_features, int num_threads) noexcept;

// The same for maps with channels_last, which are read as they lie. The scratch depends on the rois
// and grows with the number of threads, which is at least 1. Sums run in another order than above.
std::int64_t roi_align_channels_last_scratch_bytes(const float* rois, const RoiAlignSizes& sizes,
                                                   int num_threads) noexcept;
std::int64_t roi_align_channels_last_scratch_bytes(const double* rois, const RoiAlignSizes& sizes,
                                                   int num_threads) noexcept;
Status roi_align_channels_last(const float* features, const float* rois,
                               const RoiAlignSizes& sizes, void* scratch, float* out,
                               int num_threads) noexcept;
Status roi_align_channels_last(const double* features, const double* rois,
                               const RoiAlignSizes& sizes, void* scratch, double* out,
                               int num_threads) noexcept;
Status roi_align_channels_last_backward(const float* grad_out, const float* rois,
                                        const RoiAlignSizes& sizes, void* scratch,
                                        float* grad_features, int num_threads) noexcept;
Status roi_align_channels_last_backward(const double* grad_out, const double* rois,
                                        const RoiAlignSizes& sizes, void* scratch,
                                        double* grad_features, int num_threads) noexcept;

namespace cuda {

// The same on device memory, without scratch. An image index out of range gives NaN for that roi
// and no gradient: refusing it would mean to wait for the device.
Status roi_align(const float* features, const float* rois, const RoiAlignSizes& sizes, float* out,
                 void* stream) noexcept;
Status roi_align(const double* features, const double* rois, const RoiAlignSizes& sizes,
                 double* out, void* stream) noexcept;

// Adds with atomics: the last bits differ from run to run.
Status roi_align_backward(const float* grad_out, const float* rois, const RoiAlignSizes& sizes,
                          float* grad_features, void* stream) noexcept;
Status roi_align_backward(const double* grad_out, const double* rois, const RoiAlignSizes& sizes,
                          double* grad_features, void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
