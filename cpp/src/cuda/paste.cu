#include "geodet/paste.hpp"

#include "geodet/paste_sampling.hpp"
#include "launch.cuh"

namespace geodet::cuda {
namespace {

// Value of one image pixel of one mask; 0 off the mask.
template <typename T>
__device__ T pasted_value(const T* mask, const T* box, const PasteSizes& s, std::int64_t pixel_y,
                          std::int64_t pixel_x) {
  const PasteAxis<T> x_axis{box[0], box[2]};
  const PasteAxis<T> y_axis{box[1], box[3]};
  if (!can_paste(x_axis) || !can_paste(y_axis)) return T(0);
  const T x = mask_position(x_axis, pixel_x, s.mask_width);
  const T y = mask_position(y_axis, pixel_y, s.mask_height);
  if (!is_on_mask(x, s.mask_width) || !is_on_mask(y, s.mask_height)) return T(0);
  const MaskTap<T> column = mask_tap(x);
  const MaskTap<T> row = mask_tap(y);
  T blended[2];
  for (int side = 0; side < 2; ++side) {
    const std::int64_t cell = column.low + side;
    const bool has_column = cell >= 0 && cell < s.mask_width;
    const bool has_low = has_column && row.low >= 0;
    const bool has_high = has_column && row.low + 1 < s.mask_height;
    const T low = has_low ? mask[row.low * s.mask_width + cell] : T(0);
    const T high = has_high ? mask[(row.low + 1) * s.mask_width + cell] : T(0);
    blended[side] = blend(low, high, row.part);
  }
  return blend(blended[0], blended[1], column.part);
}

template <typename T>
__device__ void store(T value, T threshold, bool* out) {
  *out = value >= threshold;
}

template <typename T>
__device__ void store(T value, T, T* out) {
  *out = value;
}

template <typename T, typename Out>
__global__ void paste_kernel(const T* probabilities, const T* boxes, PasteSizes s, T threshold,
                             std::int64_t items, Out* out) {
  for (std::int64_t k = first_item(); k < items; k += item_stride()) {
    const std::int64_t row = k / s.width;
    const std::int64_t mask = row / s.height;
    const T value = pasted_value(probabilities + mask * s.mask_height * s.mask_width,
                                 boxes + 4 * mask, s, row % s.height, k % s.width);
    store(value, threshold, out + k);
  }
}

template <typename T, typename Out>
Status launch(const T* probabilities, const T* boxes, const PasteSizes& s, double threshold,
              Out* out, void* stream) noexcept {
  if (s.masks < 0 || s.mask_height <= 0 || s.mask_width <= 0 || s.height < 0 || s.width < 0 ||
      !(threshold > 0)) {
    return Status::kInvalidArgument;
  }
  const std::int64_t items = s.masks * s.height * s.width;
  if (items == 0) return Status::kOk;
  paste_kernel<<<blocks_for(items), kThreads, 0, as_stream(stream)>>>(
      probabilities, boxes, s, static_cast<T>(threshold), items, out);
  return launch_status();
}

}  // namespace

Status paste_masks(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                   double threshold, bool* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, threshold, out, stream);
}

Status paste_masks(const double* probabilities, const double* boxes, const PasteSizes& sizes,
                   double threshold, bool* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, threshold, out, stream);
}

Status paste_probabilities(const float* probabilities, const float* boxes, const PasteSizes& sizes,
                           float* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, 1.0, out, stream);
}

Status paste_probabilities(const double* probabilities, const double* boxes,
                           const PasteSizes& sizes, double* out, void* stream) noexcept {
  return launch(probabilities, boxes, sizes, 1.0, out, stream);
}

}  // namespace geodet::cuda
