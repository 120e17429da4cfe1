// RoIAlign over rotated boxes. rotated_roi.hpp says where the samples lie; with angle 0 they are
// those of roi_align with `aligned`.
//
// Rois are rows image, cx, cy, w, h, angle: input pixels, and degrees counter-clockwise as seen on
// the screen. Sizes are those of roi_align.hpp; `aligned` is not looked at. With channels_last maps
// are [images, height, width, channels], which spares the CPU from turning them round.
#pragma once

#include <cstdint>

#include "geodet/roi_align.hpp"
#include "geodet/status.hpp"

namespace geodet {

// Bytes of scratch for the functions below, which depend on the rois and grow with the number of
// threads; -1 when `sizes` cannot be used. num_threads is at least 1.
std::int64_t roi_align_rotated_scratch_bytes(const float* rois, const RoiAlignSizes& sizes,
                                             int num_threads) noexcept;
std::int64_t roi_align_rotated_scratch_bytes(const double* rois, const RoiAlignSizes& sizes,
                                             int num_threads) noexcept;

// out [rois, channels, out_height, out_width], overwritten; scratch: 8-byte aligned, overwritten.
// A roi with a number that is not finite, or that reaches further than kFarthestRotatedRoi feature
// pixels, gives zeros. An image index that is no whole number in [0, images) gives kOutOfRange
// before anything is written.
Status roi_align_rotated(const float* features, const float* rois, const RoiAlignSizes& sizes,
                         void* scratch, float* out, int num_threads) noexcept;
Status roi_align_rotated(const double* features, const double* rois, const RoiAlignSizes& sizes,
                         void* scratch, double* out, int num_threads) noexcept;

// Adds the gradient of roi_align_rotated with respect to the features to grad_features, which the
// caller zeroes first. Bit-equal from run to run whatever the number of threads.
Status roi_align_rotated_backward(const float* grad_out, const float* rois,
                                  const RoiAlignSizes& sizes, void* scratch, float* grad_features,
                                  int num_threads) noexcept;
Status roi_align_rotated_backward(const double* grad_out, const double* rois,
                                  const RoiAlignSizes& sizes, void* scratch,
                                  double* grad_features, int num_threads) noexcept;

namespace cuda {

// The same on device memory, channels first, without scratch. An image index out of range gives
// NaN for that roi and no gradient: refusing it would mean to wait for the device.
Status roi_align_rotated(const float* features, const float* rois, const RoiAlignSizes& sizes,
                         float* out, void* stream) noexcept;
Status roi_align_rotated(const double* features, const double* rois, const RoiAlignSizes& sizes,
                         double* out, void* stream) noexcept;

// Adds with atomics: the last bits differ from run to run.
Status roi_align_rotated_backward(const float* grad_out, const float* rois,
                                  const RoiAlignSizes& sizes, float* grad_features,
                                  void* stream) noexcept;
Status roi_align_rotated_backward(const double* grad_out, const double* rois,
                                  const RoiAlignSizes& sizes, double* grad_features,
                                  void* stream) noexcept;

}  // namespace cuda
}  // namespace geodet
