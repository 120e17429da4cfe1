// Where a pasted pixel reads its mask: the maths that CPU and CUDA kernels share, so that both
// paint the same pixels.
#pragma once

#include <cmath>
#include <cstdint>

#include "geodet/host_device.hpp"

namespace geodet {

struct PasteSizes {
  std::int64_t masks, mask_height, mask_width;  // of the probabilities
  std::int64_t height, width;                   // of the image
  // 4 of upright boxes x1, y1, x2, y2; 5 of rotated ones cx, cy, w, h, angle (paste_frame.hpp).
  std::int64_t box_columns = 4;
};

constexpr std::int64_t kUprightColumns = 4;
constexpr std::int64_t kRotatedColumns = 5;

// One axis of a box. A box without area has no place for a mask.
template <typename T>
struct PasteAxis {
  T low, high;
};

template <typename T>
GEODET_HD inline bool can_paste(const PasteAxis<T>& axis) {
  const T extent = axis.high - axis.low;
  // The differences are 0 for finite numbers and NaN otherwise.
  return extent > T(0) && extent - extent == T(0) && axis.low - axis.low == T(0);
}

// Centre of an image pixel in mask cells, cell 0 having its centre at 0. By way of [-1, 1], in the
// steps of torch's grid_sample, so that roundings are the same.
template <typename T>
GEODET_HD inline T mask_position(const PasteAxis<T>& axis, std::int64_t pixel,
                                 std::int64_t cells) {
  const T unit =
      (static_cast<T>(pixel) + T(0.5) - axis.low) / (axis.high - axis.low) * T(2) - T(1);
  return ((unit + T(1)) * static_cast<T>(cells) - T(1)) / T(2);
}

// Does a position read any cell with a weight?
template <typename T>
GEODET_HD inline bool is_on_mask(T position, std::int64_t cells) {
  return position > T(-1) && position < static_cast<T>(cells);
}

// A position between cell `low` (-1 is the zero before the first) and the next.
template <typename T>
struct MaskTap {
  std::int64_t low;
  T part;  // of the next cell
};

template <typename T>
GEODET_HD inline MaskTap<T> mask_tap(T position) {
  const T floor = std::floor(position);
  return {static_cast<std::int64_t>(floor), position - floor};
}

template <typename T>
GEODET_HD inline T blend(T low, T high, T part) {
  return (T(1) - part) * low + part * high;
}

// Value between four cells, those outside the mask being 0. Cells are blended along x, then along
// y: every kernel keeps to this order, so that all of them round alike.
template <typename T>
GEODET_HD inline T value_between(const T* mask, const PasteSizes& s, const MaskTap<T>& row,
                                 const MaskTap<T>& column) {
  T blended[2] = {T(0), T(0)};
  for (int side = 0; side < 2; ++side) {
    const std::int64_t cell = row.low + side;
    if (cell < 0 || cell >= s.mask_height) continue;
    const T* cells = mask + cell * s.mask_width;
    const T left = column.low >= 0 ? cells[column.low] : T(0);
    const T right = column.low + 1 < s.mask_width ? cells[column.low + 1] : T(0);
    blended[side] = blend(left, right, column.part);
  }
  return blend(blended[0], blended[1], row.part);
}

// Value of one image pixel of one mask in an upright box, 0 off the mask.
template <typename T>
GEODET_HD inline T pasted_value(const T* mask, const T* box, const PasteSizes& s,
                                std::int64_t pixel_y, std::int64_t pixel_x) {
  const PasteAxis<T> x_axis{box[0], box[2]};
  const PasteAxis<T> y_axis{box[1], box[3]};
  if (!can_paste(x_axis) || !can_paste(y_axis)) return T(0);
  const T x = mask_position(x_axis, pixel_x, s.mask_width);
  const T y = mask_position(y_axis, pixel_y, s.mask_height);
  if (!is_on_mask(x, s.mask_width) || !is_on_mask(y, s.mask_height)) return T(0);
  return value_between(mask, s, mask_tap(y), mask_tap(x));
}

struct PixelRange {
  std::int64_t begin, end;
};

// Pixels of [0, size) that may read the mask; the exact test is is_on_mask.
template <typename T>
GEODET_HD inline PixelRange pixels_near(const PasteAxis<T>& axis, std::int64_t cells,
                                        std::int64_t size) {
  if (!can_paste(axis)) return {0, 0};
  const double low = static_cast<double>(axis.low);
  const double high = static_cast<double>(axis.high);
  const double margin = (high - low) / static_cast<double>(cells) + 1;
  const double limit = static_cast<double>(size);
  const double begin = std::floor(low - margin);
  const double end = std::ceil(high + margin);
  return {begin > 0 ? static_cast<std::int64_t>(begin < limit ? begin : limit) : 0,
          end > 0 ? static_cast<std::int64_t>(end < limit ? end : limit) : 0};
}

}  // namespace geodet
