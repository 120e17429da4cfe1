#include "geodet/roi_align_rotated.hpp"

#include "roi_plan.hpp"

namespace geodet {

std::int64_t roi_align_rotated_scratch_bytes(const float* rois, const RoiAlignSizes& sizes,
                                             int num_threads) noexcept {
  return tap_scratch_bytes<RotatedCells<float>>(rois, sizes, num_threads);
}

std::int64_t roi_align_rotated_scratch_bytes(const double* rois, const RoiAlignSizes& sizes,
                                             int num_threads) noexcept {
  return tap_scratch_bytes<RotatedCells<double>>(rois, sizes, num_threads);
}

Status roi_align_rotated(const float* features, const float* rois, const RoiAlignSizes& sizes,
                         void* scratch, float* out, int num_threads) noexcept {
  return pool_by_taps<RotatedCells<float>>(features, rois, sizes, scratch, out, num_threads);
}

Status roi_align_rotated(const double* features, const double* rois, const RoiAlignSizes& sizes,
                         void* scratch, double* out, int num_threads) noexcept {
  return pool_by_taps<RotatedCells<double>>(features, rois, sizes, scratch, out, num_threads);
}

Status roi_align_rotated_backward(const float* grad_out, const float* rois,
                                  const RoiAlignSizes& sizes, void* scratch, float* grad_features,
                                  int num_threads) noexcept {
  return unpool_by_taps<RotatedCells<float>>(grad_out, rois, sizes, scratch, grad_features,
                                             num_threads);
}

Status roi_align_rotated_backward(const double* grad_out, const double* rois,
                                  const RoiAlignSizes& sizes, void* scratch,
                                  double* grad_features, int num_threads) noexcept {
  return unpool_by_taps<RotatedCells<double>>(grad_out, rois, sizes, scratch, grad_features,
                                              num_threads);
}

}  // namespace geodet
